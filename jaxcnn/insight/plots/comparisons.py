"""Pictures of two models side by side: the images that changed, and the kernels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.comparing import Change, Changes, Movement
from jaxcnn.insight.plots.drawing import SIGNED, Drawing, styled
from jaxcnn.insight.plots.examples import check_examples, show_framed
from jaxcnn.insight.plots.text import drawable, shortened

_CORRECTED, _BROKEN, _OTHERS = "#0072B2", "#D55E00", "#808080"
# Images side by side.
_ACROSS = 6
_KERNEL_ROWS = ("before", "after", "difference")


@styled
def changed_images(
    images: Images, changes: Changes, class_names: Sequence[str], *, most: int = 12
) -> Drawing:
    """Draw the images that two models predict as different classes, in three groups.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1], or
        sequences ``(N, length, C)``, which are drawn as curves.
      changes: What :func:`jaxcnn.insight.compare_errors` returns for them.
      class_names: One per class.
      most: Number of images of each group at the most, at least 1.

    Raises:
      ValueError: the images have another number of channels, or are not those compared.
    """
    aspect = check_examples("images", images)
    if len(images) != changes.images:
        raise ValueError(
            f"images must be the {changes.images:,} that were compared. Received: {len(images):,}"
        )
    most = arguments.check_count("most", most)
    names = shortened(drawable(class_names))
    groups = [
        ("wrong before, correct after", changes.corrected, _CORRECTED),
        ("correct before, wrong after", changes.broken, _BROKEN),
        ("wrong before and after, differently", changes.others, _OTHERS),
    ]
    groups = [group for group in groups if group[1]]
    lines = [-(-min(len(group), most) // _ACROSS) for _, group, _ in groups]
    heights = [0.35 + (0.75 + 1.5 * aspect) * count for count in lines]
    figure = Drawing(figsize=(1.75 * _ACROSS, max(sum(heights), 0.6) + 0.6))
    figure.suptitle(
        f"{changes.accuracy_before:.2%} of {changes.images:,} images correct before, "
        f"{changes.accuracy_after:.2%} after (exact McNemar test: p = {changes.p_value:.2g})"
    )
    if not groups:
        axes = figure.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "No prediction changed", ha="center", va="center")
        return figure
    parts: Any = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)
    for part, (title, group, color), count in zip(parts.flat, groups, lines, strict=True):
        left_out = f", {most} shown" if len(group) > most else ""
        part.suptitle(
            f"{len(group):,} {title}{left_out}", x=0.01, ha="left", color=color, fontsize=11
        )
        for axes in part.subplots(count, _ACROSS, squeeze=False).flat:
            axes.set_axis_off()
        for axes, change in zip(part.axes, group[:most], strict=False):
            _draw_change(axes, images[change.row], change, names, color)
    return figure


@styled
def movements(moved: Sequence[Movement], *, most: int = 30) -> Drawing:
    """Draw how far the kernels of a model moved, and their norms before and after.

    Of more arrays than `most`, first those of one axis are left out, such as biases, then those
    that moved least. All stay in the order of the model.

    Args:
      moved: What :func:`jaxcnn.insight.compare_arrays` returns.
      most: Number of arrays at the most, at least 1.

    Raises:
      ValueError: there is no array.
    """
    shown = _choose(moved, arguments.check_count("most", most))
    if not shown:
        raise ValueError("moved must have at least one array. Received: none")
    letters = max(len(movement.name) for movement in shown)
    figure = Drawing(figsize=(9.5 + 0.085 * letters, 1.8 + 0.27 * len(shown)))
    distances, norms = figure.subplots(1, 2, sharey=True)
    places = range(len(shown))
    relative = [movement.relative_distance or 0.0 for movement in shown]
    bars = distances.barh(places, relative, height=0.65)
    texts = [_describe(movement) for movement in shown]
    distances.bar_label(bars, texts, padding=3, fontsize=8.5, color="#404040")
    distances.margins(x=0.32, y=0.02)
    distances.xaxis.set_major_locator(MaxNLocator(nbins=5))
    distances.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    left_out = f" ({len(shown)} of {len(moved)} arrays)" if len(shown) < len(moved) else ""
    distances.set(title=f"Movement{left_out}", xlabel="‖after − before‖ / ‖before‖, and the cosine")
    for place, movement in enumerate(shown):
        before, after = movement.norm_before, movement.norm_after
        norms.plot([before, after], [place, place], color="#C0C0C0", lw=2.5, zorder=1)
    norms.plot([m.norm_before for m in shown], places, "o", color=_OTHERS, ms=8, mfc="none", mew=2)
    norms.plot([m.norm_after for m in shown], places, "o", color=_CORRECTED, ms=6)
    norms.set(title="Norms", xlabel="Euclidean norm")
    sizes = [n for m in shown for n in (m.norm_before, m.norm_after)]
    if min(sizes) > 0 and max(sizes) > 20 * min(sizes):
        norms.set(xscale="log", xlabel="Euclidean norm (logarithmic)")
        subs = (1, 3) if max(sizes) < 1e4 * min(sizes) else (1,)
        norms.xaxis.set_major_locator(LogLocator(subs=subs))
        norms.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
        norms.xaxis.set_minor_formatter(NullFormatter())
    handles = [
        Line2D([], [], ls="", marker="o", ms=8, mfc="none", mew=2, color=_OTHERS, label="before"),
        Line2D([], [], ls="", marker="o", ms=6, color=_CORRECTED, label="after"),
    ]
    norms.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    for axes in (distances, norms):
        axes.grid(visible=False)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    distances.set_yticks(places, [movement.name for movement in shown], parse_math=False)
    distances.set_ylim(len(shown) - 0.4, -0.6)
    return figure


@styled
def kernels_before_and_after(before: Any, after: Any, *, most: int = 16) -> Drawing:
    """Draw kernels of two models and their difference, all on one scale centered at zero.

    A kernel of a 2-D convolution is drawn as the mean over its input channels; one of a 1-D
    convolution with a row for each input channel. Kernels that moved most come first.

    Args:
      before: ``(*kernel_size, in_features, features)`` with one or two spatial axes, such as
        ``model.conv_1.kernel``.
      after: The same kernels of another model.
      most: Number of kernels at the most, at least 1.

    Raises:
      ValueError: the kernels have other shapes.
    """
    first, second = (np.asarray(kernel, float) for kernel in (before, after))
    if first.shape != second.shape or first.ndim not in (3, 4):
        raise ValueError(
            "before and after must be kernels (*kernel_size, in_features, features) of one shape, "
            f"of 1-D or 2-D convolutions. Received: shapes {first.shape} and {second.shape}"
        )
    moved = np.linalg.norm((second - first).reshape(-1, first.shape[-1]), axis=0)
    order = np.argsort(-moved, kind="stable")[: arguments.check_count("most", most)]
    rows = [_as_pictures(kernel)[order] for kernel in (first, second, second - first)]
    top = max(float(np.abs(np.stack(rows)).max()), 1e-12)
    height, width = rows[0].shape[1:]
    side = 0.75
    tall = side * min(max(height / width, 0.4), 3)
    figure = Drawing(figsize=(side * 1.12 * max(len(order), 6) + 2.2, 3 * (tall + 0.1) + 0.75))
    figure.get_layout_engine().set(hspace=0, h_pad=0.03)  # type: ignore[union-attr, call-arg]  # a constrained layout
    grid = figure.subplots(3, len(order), squeeze=False)
    for (row, column), axes in np.ndenumerate(grid):
        image = axes.imshow(
            rows[row][column], cmap=SIGNED, vmin=-top, vmax=top,
            aspect="equal" if first.ndim == 4 else "auto",
        )  # fmt: skip
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(visible=True, linewidth=0.5)
        if row == 0:
            axes.set_title(f"{order[column]}", fontsize=9, weight="normal", loc="center")
        if column == 0:
            axes.set_ylabel(_KERNEL_ROWS[row], rotation=0, ha="right", va="center", labelpad=8)
    channels = first.shape[-2]
    mean = f", mean over {channels} input channels" if first.ndim == 4 and channels > 1 else ""
    count = f"{len(order)} of {first.shape[-1]}" if len(order) < first.shape[-1] else len(order)
    figure.suptitle(f"{count} kernels before and after{mean}; those that moved most first")
    bar = figure.colorbar(image, ax=grid, label="weight", shrink=0.8, aspect=20)
    bar.outline.set_visible(False)
    return figure


def _as_pictures(kernel: np.ndarray) -> np.ndarray:
    """Return kernels as ``(features, height, width)``."""
    if kernel.ndim == 4:
        return np.moveaxis(kernel.mean(axis=2), -1, 0)
    return np.transpose(kernel, (2, 1, 0))


def _draw_change(axes: Axes, image: Any, change: Change, names: Sequence[str], color: str) -> None:
    before = f"before: {names[change.before]} ({change.before_probability:.0%})"
    after = f"after: {names[change.after]} ({change.after_probability:.0%})"
    show_framed(axes, image, color, after, before)
    if change.label not in (change.before, change.after):
        axes.set_xlabel(f"truly {names[change.label]}", fontsize=8.5, parse_math=False, loc="left")


def _choose(moved: Sequence[Movement], most: int) -> list[Movement]:
    chosen = list(moved)
    if len(chosen) > most:
        chosen = [movement for movement in chosen if len(movement.shape) > 1] or chosen
    by_distance = sorted(chosen, key=lambda m: -(m.relative_distance or 0))[:most]
    kept = {movement.name for movement in by_distance}
    return [movement for movement in chosen if movement.name in kept]


def _describe(movement: Movement) -> str:
    relative, cosine = movement.relative_distance, movement.cosine
    if relative is None:
        return f"from zero to norm {movement.norm_after:.2g}"
    return f"{relative:.1%}" + ("" if cosine is None else f", cos {round(cosine, 2) + 0:.2f}")

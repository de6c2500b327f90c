"""Pictures of a classifier's mistakes: the confusion matrix, the pairs, the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.classifier_errors import ConfusedPair, Errors, Mistake, confused_pairs
from jaxcnn.insight.plots.drawing import SHARES, Drawing, styled
from jaxcnn.insight.plots.examples import caption, check_examples, show_example
from jaxcnn.insight.plots.text import drawable, shortened

# Above this many classes, a confusion matrix has no numbers: 100 classes would take 10,000 texts,
# 21 s and 1.4 GB. Up to the other number, each cell has room for its share as well.
_MOST_CELLS, _MOST_WITH_SHARES = 30, 6
# Pairs beside the matrix of many classes.
_PAIRS = 20
# Images side by side.
_ACROSS = 4
# Opacity of a heat map over an image where it is highest.
_OPACITY = 0.7


@styled
def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw a confusion matrix; with its counts, or of many classes with the most confused pairs.

    Cells are colored by the share of their true class, so that rare classes show as well. Of many
    classes the color follows the square root of the share, so that rare mistakes show too, and
    classes that are neither true nor predicted are left out.

    Args:
      matrix: ``(classes, classes)`` counts: row the true class, column the predicted one.
      class_names: One per class.
    """
    names, classes = drawable(class_names), np.arange(len(class_names))
    left_out = ""
    if len(classes) > _MOST_CELLS:
        classes = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
        if len(classes) < len(names):
            left_out = f"; {len(classes):,} of {len(names):,} classes"
        matrix, names = matrix[np.ix_(classes, classes)], [names[number] for number in classes]
    count = len(classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    if count > _MOST_CELLS:
        figure = Drawing(figsize=(13, 6.2))
        axes, beside = figure.subplots(1, 2, width_ratios=(1.25, 1))
        image = axes.imshow(shares, cmap=SHARES, norm=PowerNorm(0.5, 0, 1))
        ticks: Sequence[float] | None = (0, 0.01, 0.05, 0.2, 0.5, 1)
        draw_pairs(beside, confused_pairs(matrix)[:_PAIRS], names)
        numbers = FuncFormatter(
            lambda place, _: f"{classes[int(place)]}" if 0 <= place < count else ""
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
            axis.set_major_formatter(numbers)
    else:
        digits = len(f"{int(matrix.max(initial=0)):,}")
        cell = max(0.42, 0.12 + 0.075 * digits, 0.8 if count <= _MOST_WITH_SHARES else 0)
        letters = max(map(len, shortened(names)))
        side = cell * count
        figure = Drawing(figsize=(2.7 + 0.075 * letters + side, 1.5 + 0.06 * letters + side))
        axes, ticks = figure.subplots(), None
        image = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
        _write_counts(axes, matrix, shares)
        _name_classes(axes, shortened(names))
    axes.grid(visible=False)
    unit = "" if count <= _MOST_CELLS else " (number)"
    axes.set(
        title=f"Confusion matrix\n{_correct(matrix)}{left_out}",
        xlabel=f"predicted class{unit}",
        ylabel=f"true class{unit}",
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=25, ticks=ticks)
    bar.set_label("share of the true class")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    bar.outline.set_visible(False)
    return figure


@styled
def most_confused(errors: Errors, *, most: int = 15) -> Drawing:
    """Draw how many images of a class were taken for another one, the most frequent pairs first.

    Args:
      errors: What :func:`jaxcnn.insight.classification_errors` returns.
      most: Number of pairs at the most, at least 1.
    """
    pairs = errors.pairs[: arguments.check_count("most", most)]
    figure = Drawing(figsize=(7, 1.3 + 0.28 * max(len(pairs), 1)))
    draw_pairs(figure.subplots(), pairs, drawable(errors.class_names))
    return figure


@styled
def worst_mistakes(
    images: Images, errors: Errors, *, most: int = 16, maps: np.ndarray | None = None
) -> Drawing:
    """Draw the images that the model was most confidently wrong about.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1], or
        sequences ``(N, length, C)``, which are drawn as curves.
      errors: What :func:`jaxcnn.insight.classification_errors` returns for them.
      most: Number of images at the most, at least 1.
      maps: Heat maps ``(M, h, w)``, or of sequences ``(M, length)``, of any resolution, drawn over
        the first M of ``errors.mistakes``, in that order. Each is scaled from 0 to its own largest
        value.

    Raises:
      ValueError: the images have another number of channels, or are not those of the errors.
    """
    aspect = check_examples("images", images)
    if len(images) != len(errors.labels):
        raise ValueError(
            f"images must be the {len(errors.labels):,} of the errors. Received: {len(images):,}"
        )
    worst = errors.mistakes[: arguments.check_count("most", most)]
    names = shortened(drawable(errors.class_names))
    columns = min(max(len(worst), 1), _ACROSS)
    rows = -(-max(len(worst), 1) // columns)
    figure = Drawing(figsize=(max(2.2 * columns, 4.4), rows * (0.6 + 1.9 * aspect) + 0.5))
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_axis_off()
    first = f": the {len(worst)} most confident" if len(worst) < len(errors.mistakes) else ""
    wrong = "mistake" if len(errors.mistakes) == 1 else "mistakes"
    figure.suptitle(f"{len(errors.mistakes):,} {wrong} in {len(images):,} images{first}")
    for place, (axes, mistake) in enumerate(zip(figure.axes, worst, strict=False)):
        extent = show_example(axes, images[mistake.row])
        if maps is not None and place < len(maps):
            # The map covers the image, whatever its resolution, and hides it only where it is high.
            heat = np.maximum(np.asarray(maps[place], float), 0)
            heat = heat[None] if heat.ndim == 1 else heat
            axes.imshow(
                heat, cmap="inferno", alpha=_OPACITY * heat / max(heat.max(), 1e-12), vmin=0,
                extent=extent, interpolation="bilinear", aspect=axes.get_aspect(),
            )  # fmt: skip
        _name_mistake(axes, mistake, names)
    return figure


def draw_pairs(axes: Axes, pairs: Sequence[ConfusedPair], class_names: Sequence[str]) -> None:
    """Draw bars of confused pairs, with their counts and shares.

    Args:
      axes: The axes to draw in.
      pairs: The pairs, from top to bottom.
      class_names: Names that the fonts can draw.
    """
    axes.set_title("Most confused classes: true → predicted" if pairs else "No mistakes")
    if not pairs:
        axes.set_axis_off()
        return
    names = shortened(class_names)
    labels = [f"{names[pair.label]} → {names[pair.predicted]}" for pair in pairs]
    bars = axes.barh(range(len(pairs)), [pair.count for pair in pairs], height=0.7)
    axes.bar_label(
        bars, [f"{pair.count:,} ({pair.share:.1%})" for pair in pairs], padding=3, fontsize=8.5,
        color="#404040",
    )  # fmt: skip
    axes.set_yticks(range(len(pairs)), labels, parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.margins(x=0.3, y=0.02)
    axes.set_xlabel("images (share of the true class)")
    axes.grid(visible=False)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _correct(matrix: np.ndarray) -> str:
    images = int(matrix.sum())
    return f"{np.trace(matrix) / max(images, 1):.2%} of {images:,} images correct"


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            share = shares[row, column]
            text = f"{number:,}" + (f"\n{share:.0%}" if len(matrix) <= _MOST_WITH_SHARES else "")
            color = "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    options = slanted if max(map(len, names)) > 2 else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **options)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name_mistake(axes: Axes, mistake: Mistake, names: Sequence[str]) -> None:
    predicted = f"{names[mistake.predicted]} ({mistake.probability:.0%})"
    caption(axes, predicted, f"truly {names[mistake.label]} ({mistake.label_probability:.0%})")

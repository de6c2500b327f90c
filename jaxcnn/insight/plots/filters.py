"""A picture before and after a kernel, with the kernel as numbers between them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from jaxcnn.insight.filtering import CHANNELS, Filtered, number_text
from jaxcnn.insight.plots.drawing import SIGNED, Drawing, styled

# Pictures of up to this many pixels a side, and kernels of up to this many cells, show numbers.
_MOST_PIXELS, _MOST_CELLS = 10, 9
_WINDOW = "#E69F00"


@styled
def filtered_picture(steps: Filtered, *, window: Sequence[int] | None = None) -> Drawing:
    """Draw a picture before and after a kernel, the kernel between them, and the pooled output.

    Weights whose sum is 1 make a picture, which is drawn as one, clipped to black and white. The
    outputs of other kernels are drawn channel by channel with a color bar: zero-centered if they
    have a sign, otherwise in gray. Pictures of at most 10×10 pixels have their numbers in them.

    Args:
      steps: The result of :func:`jaxcnn.insight.filter_steps`.
      window: Row and column of an output, whose window and value are framed.
    """
    white = steps.white
    later = [("After", steps.output, steps.formula)]
    if steps.pooled is not None and steps.pool is not None:
        later.append((f"After {steps.pool!r}", steps.pooled, steps.pool_formula))
    as_picture = bool(
        np.isclose(steps.kernel.sum(), 1) and not steps.bias and steps.kernel.ndim == 2
    )
    maps = 1 if as_picture else steps.output.shape[-1]
    tall = steps.image.shape[0] > 1.2 * steps.image.shape[1]
    wide = 1.15 * (maps if tall and maps > 1 else 1) * (0.6 if tall and maps > 1 else 1)
    size = (4.1 * (1.6 + wide * len(later)), 6.6 if maps > 1 and not tall else 4.1)
    figure = Drawing(figsize=size, layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # type: ignore[union-attr, call-arg]  # a constrained layout
    widths = [1, 0.6, *[wide] * len(later)]
    places: Any = figure.subfigures(1, len(widths), width_ratios=widths)
    before, middle, *afters = places
    axes = before.subplots()
    _title(axes, "Before", steps.image.shape, f"values 0…{number_text(white)}")
    _picture(axes, steps.image, white)
    _draw_kernels(middle, steps)
    marked = None if window is None else steps.window(window)
    if marked is not None:
        _frame(axes, marked.first, steps.windows.window)
    for (name, values, formula), place in zip(later, afters, strict=True):
        rows, columns = (1, maps) if tall else (maps, 1)
        grid = place.subplots(rows, columns, squeeze=False).ravel()
        _title(grid[0], name, values.shape, *formula.split(", "))
        if as_picture:
            if values.min() < 0 or values.max() > white:
                grid[0].set_xlabel(f"clipped to 0…{number_text(white)}")
            _picture(grid[0], values.clip(0, white), white)
        else:
            _draw_values(place, grid, values, of=steps.output)
        if marked is not None and values is steps.output:
            for axes in grid:
                _frame(axes, marked.position, (1, 1))
    return figure


def _title(axes: Axes, name: str, shape: Sequence[int], *lines: str) -> None:
    axes.set_title(f"{name}: {'×'.join(map(str, shape))}", pad=8 + 13 * len(lines))
    for number, line in enumerate(reversed(lines)):
        axes.annotate(
            line, (0, 1), (0, 6 + 13 * number), xycoords="axes fraction",
            textcoords="offset points", fontsize=9, color="#404040",
        )  # fmt: skip


def _picture(axes: Axes, values: np.ndarray, white: float) -> None:
    shares = values / white
    axes.imshow(shares[..., 0] if values.shape[-1] == 1 else shares, cmap="gray", vmin=0, vmax=1)
    _bare(axes)
    if values.shape[-1] == 1:
        _numbers(axes, values[..., 0], shares[..., 0] < 0.5)


def _draw_values(
    place: SubFigure, grid: Sequence[Axes], values: np.ndarray, *, of: np.ndarray
) -> None:
    """Draw each channel in the scale of the unpooled output `of`, with one color bar."""
    # The few strongest edges of a photograph would leave the others pale.
    largest = float(np.abs(of).max())
    most = largest if of.size < 1000 else float(np.percentile(np.abs(of), 99.5))
    most = most or largest or 1.0
    signed = bool(of.min() < 0)
    scale: dict[str, Any] = (
        {"cmap": SIGNED, "vmin": -most} if signed else {"cmap": "gray", "vmin": 0}
    )
    names = CHANNELS[values.shape[-1]]
    for channel, axes in enumerate(grid):
        plane = values[..., channel]
        image = axes.imshow(plane, vmax=most, **scale)
        axes.set_ylabel(names[channel])
        _bare(axes)
        _numbers(axes, plane, np.abs(plane) > 0.6 * most if signed else plane < 0.5 * most)
    label = "zero is white" if signed else ""
    beyond = ("both" if signed else "max") if most < largest else "neither"
    bar = place.colorbar(image, ax=list(grid), shrink=0.85, aspect=30, label=label, extend=beyond)
    bar.outline.set_visible(False)


def _draw_kernels(place: SubFigure, steps: Filtered) -> None:
    weights = steps.applied_kernel
    planes = [weights] if weights.ndim == 2 else list(np.moveaxis(weights, -1, 0))
    names = CHANNELS[len(planes)]
    rows, columns = planes[0].shape
    grid = place.subplots(len(planes), 1, squeeze=False)[:, 0]
    readable = max(rows, columns) <= _MOST_CELLS
    lines = [f"{rows}×{columns}, {_strides(steps.windows.strides)}"]
    if not readable:
        lines.append(f"weights {number_text(weights.min())}…{number_text(weights.max())}")
    lines += ["flipped"] * steps.flip_kernel
    lines += [f"bias {number_text(steps.bias)}"] * bool(steps.bias)
    grid[0].set_title("\n".join([steps.kernel_name, ", ".join(lines)]), loc="center", fontsize=10)
    most = float(np.abs(weights).max()) or 1.0
    for axes, plane, name in zip(grid, planes, names, strict=True):
        # Weak colors, so that the numbers are read first.
        axes.imshow(plane, cmap=SIGNED, vmin=-2 * most, vmax=2 * most)
        axes.set_ylabel(name)
        _bare(axes)
        if readable:
            size = min(13, 52 / max(plane.shape) / (1 + 0.3 * (len(planes) - 1)))
            for (row, column), weight in np.ndenumerate(plane):
                axes.text(
                    column, row, weight_text(float(weight)), ha="center", va="center",
                    fontsize=size,
                )  # fmt: skip


def _strides(strides: Sequence[int]) -> str:
    return f"stride {strides[0] if len({*strides}) == 1 else '×'.join(map(str, strides))}"


def weight_text(weight: float) -> str:
    """Return a weight as a fraction if it is one with a small denominator: 1/9."""
    fraction = Fraction(weight).limit_denominator(256)
    short = fraction.denominator > 1 and abs(float(fraction) - weight) < 1e-6
    return str(fraction).replace("-", "−") if short and weight else number_text(weight)


def _numbers(axes: Axes, plane: np.ndarray, on_dark: np.ndarray) -> None:
    if max(plane.shape) > _MOST_PIXELS:
        return
    size = min(13, 90 / max(plane.shape) / 1.6)
    for (row, column), value in np.ndenumerate(plane):
        color = "white" if on_dark[row, column] else "black"
        axes.text(
            column, row, number_text(round(float(value), 2)), ha="center", va="center",
            color=color, fontsize=size,
        )  # fmt: skip


def _frame(axes: Axes, first: Sequence[int], sizes: Sequence[int]) -> None:
    (top, left), (height, width) = first, sizes
    frame = matplotlib.patches.Rectangle(
        (left - 0.5, top - 0.5), width, height, fill=False, edgecolor=_WINDOW, linewidth=2.5
    )
    frame.set_clip_on(False)  # a window may begin in the padding
    axes.add_patch(frame)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_linewidth(0.5)

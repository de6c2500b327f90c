"""Grids of kernels and of feature maps, each with one scale and one color bar."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from jaxcnn import arguments
from jaxcnn.insight.plots.drawing import SIGNED, UNSIGNED, Drawing, styled

# Columns of a grid, inches that a cell takes, and pixels of its longer side at the least.
_ACROSS, _CELL, _LEAST_PIXELS = 12, 0.72, 28
_WIDTH = _ACROSS * _CELL
# Height by width of the rectangle of a layer in one dimension.
_STRIP = 0.2
# Channels of an input, or slices of a kernel, that are drawn of each kernel.
_MOST_INPUTS = 12


@styled
def kernels(kernel: Any, *, most: int = 64, title: str = "Kernels") -> Drawing:
    """Draw the kernels of a convolution, in two dimensions as the course shows them.

    Of one input channel each kernel is one square, of three channels a picture in color, in which
    gray is zero. Of more channels each kernel is a row, with a square per input channel; so is one
    in three dimensions, with a square per slice of its first channel. In one dimension a kernel is
    a rectangle: its channels below each other, its positions side by side.

    Args:
      kernel: ``(*kernel_size, in_features, features)`` with one to three spatial axes.
      most: Number of kernels to show at the most, at least 1.
      title: What the picture shows.

    Raises:
      TypeError: ``most`` is not an integer.
      ValueError: the array has another rank, or ``most`` is below 1.
    """
    kernel, most = np.asarray(kernel, np.float32), arguments.check_integer("most", most, minimum=1)
    if not 3 <= kernel.ndim <= 5:
        raise ValueError(
            "kernel must be (*kernel_size, in_features, features) with one to three spatial axes. "
            f"Received: shape {kernel.shape}"
        )
    features, inputs = kernel.shape[-1], kernel.shape[-2]
    shown = np.moveaxis(kernel[..., :most], -1, 0)  # (features, *kernel_size, in_features)
    limit = _largest(shown)
    note = f"{len(shown)} of {features}" if len(shown) < features else f"{features}"
    first = f"first {_MOST_INPUTS} of " if kernel.ndim == 4 and inputs > _MOST_INPUTS else ""
    channels = f"{first}{inputs} input channel{'s' * (inputs != 1)}"
    heading = f"{title}: {note}, {'×'.join(map(str, kernel.shape[:-2]))}, {channels}"
    if kernel.ndim == 4 and inputs == 3:
        colors = 0.5 + shown / (2 * limit)
        return _grid(list(colors), heading + "; gray is zero", cmap=None)
    cells, columns = _squares(shown)
    return _grid(cells, heading, cmap=SIGNED, limits=(-limit, limit), columns=columns)


@styled
def feature_maps(
    maps: Mapping[str, Any], *, most: int = 24, title: str = "Feature maps"
) -> Drawing:
    """Draw the feature maps of one image, a block for each layer.

    The channels of a layer share one scale. It is zero-centered where the layer has values below
    zero. Give the input and the output of a pool to see the maps before and after it. In one
    dimension, a layer is one rectangle: its channels below each other, its positions side by side;
    in three dimensions the middle frame of each channel is drawn.

    Args:
      maps: By the path of the layer, as :func:`jaxcnn.insight.activations` returns them for one
        image: ``(*spatial, channels)`` with one to three spatial axes.
      most: Number of channels to show of each layer at the most, at least 1.
      title: What the picture shows.

    Raises:
      TypeError: ``most`` is not an integer.
      ValueError: there is no layer, a layer has no spatial axes, or ``most`` is below 1.
    """
    most = arguments.check_integer("most", most, minimum=1)
    if not maps:
        raise ValueError("maps must have at least one layer. Received: none")
    layers = {path: np.asarray(layer, np.float32) for path, layer in maps.items()}
    for path, layer in layers.items():
        if not 2 <= layer.ndim <= 4:
            raise ValueError(
                "maps must be (*spatial, channels) with one to three spatial axes. "
                f"Received: {path!r} of shape {layer.shape}"
            )
    sheets = {path: _layer_sheet(layer[..., :most]) for path, layer in layers.items()}
    heights = [_WIDTH * sheet.shape[0] / sheet.shape[1] + 0.4 for sheet in sheets.values()]
    figure = Drawing(figsize=(_WIDTH + 0.7, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    parts: Any = np.atleast_1d(figure.subfigures(len(sheets), 1, height_ratios=heights))  # type: ignore[arg-type]  # a list is taken, too
    for part, (path, sheet) in zip(parts, sheets.items(), strict=True):
        layer = layers[path]
        count = min(most, layer.shape[-1])
        some = f"{count} of {layer.shape[-1]}" if count < layer.shape[-1] else f"{count}"
        sizes = "×".join(map(str, layer.shape[:-1]))
        plural = "s" * (layer.shape[-1] != 1)
        part.suptitle(f"{path}: {some} channel{plural} of {sizes}", x=0.01, ha="left", fontsize=9)
        _show(part, sheet, *scale_of(layer[..., :most]), count=_maps_in(layer[..., :most]))
    return figure


def _maps_in(layer: np.ndarray) -> int:
    """Return the number of feature maps of a sheet; in one dimension there are none."""
    return 0 if layer.ndim == 2 else layer.shape[-1]


def scale_of(layer: np.ndarray) -> tuple[str, tuple[float, float]]:
    """Return the color map of values and its ends."""
    limit = _largest(layer)
    return (SIGNED, (-limit, limit)) if (layer < 0).any() else (UNSIGNED, (0.0, limit))


def _largest(values: np.ndarray) -> float:
    """Return the end of a scale: the largest absolute value that is finite, or 1 without any."""
    return float(np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).max()) or 1.0


def _layer_sheet(layer: np.ndarray) -> np.ndarray:
    """Return the channels of a layer as one array; in one dimension they are its rows."""
    if layer.ndim == 2:
        rows = layer.T.repeat(math.ceil(_STRIP * layer.shape[0] / layer.shape[1]) or 1, axis=0)
        return rows
    if layer.ndim == 4:
        layer = layer[len(layer) // 2]
    return _sheet(list(np.moveaxis(layer, -1, 0)), _ACROSS, gap_share=0.07)


def _squares(shown: np.ndarray) -> tuple[list[np.ndarray], int | None]:
    """Return the squares of kernels ``(features, *kernel_size, in_features)``, and the columns."""
    if shown.ndim == 3:
        return list(np.swapaxes(shown, 1, 2)), None
    rows = shown[..., 0] if shown.ndim == 5 else np.moveaxis(shown, -1, 1)
    rows = rows[:, :_MOST_INPUTS]
    return [square for row in rows for square in row], None if rows.shape[1] == 1 else rows.shape[1]


def _grid(
    cells: list[np.ndarray],
    heading: str,
    *,
    cmap: str | None,
    limits: tuple[float, float] | None = None,
    columns: int | None = None,
) -> Drawing:
    sheet = _sheet(cells, columns)
    width = _CELL * max(columns or _columns(len(cells)), 7)
    height = width * sheet.shape[0] / sheet.shape[1]
    figure = Drawing(figsize=(width + 0.7, height + 0.5), layout="constrained")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    _show(figure, sheet, cmap, limits)
    return figure


def _show(
    figure: Drawing | SubFigure,
    sheet: np.ndarray,
    cmap: str | None,
    limits: tuple[float, float] | None,
    *,
    count: int = 0,
) -> None:
    """Draw one array, with its color bar if its numbers stand for colors.

    Args:
      figure: The figure to draw in.
      sheet: The array.
      cmap: The color map of numbers, or ``None`` for colors.
      limits: The ends of the scale.
      count: Number of feature maps in rows of twelve, with thin lines between them.
    """
    low, high = limits or (None, None)
    axes = figure.subplots()
    axes.set_axis_off()
    bad = "#C8C8C8" if cmap == SIGNED and count else "white"  # where white is zero
    colors = None if cmap is None else matplotlib.colormaps[cmap].with_extremes(bad=bad)
    image = axes.imshow(sheet, cmap=colors, vmin=low, vmax=high)
    if count:
        _cover(axes, count, _ACROSS, sheet)
    if cmap is not None:
        bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01, fraction=0.03, aspect=12)
        bar.ax.locator_params(nbins=3)
        bar.outline.set_visible(False)


def _columns(count: int) -> int:
    """Return how many cells stand in a row: as many as fill whole rows, if they can."""
    if count <= _ACROSS:
        return count
    return next((n for n in (12, 10, 11, 9, 8) if count % n == 0), _ACROSS)


def _sheet(
    cells: list[np.ndarray], columns: int | None = None, *, gap_share: float = 0.2
) -> np.ndarray:
    """Return cells of one size side by side in rows, with white between; NaN is white."""
    columns = columns or _columns(len(cells))
    rows = math.ceil(len(cells) / columns)
    scale = math.ceil(_LEAST_PIXELS / max(cells[0].shape[:2]))
    enlarged = [cell.repeat(scale, axis=0).repeat(scale, axis=1) for cell in cells]
    height, width, *colors = enlarged[0].shape
    gap = max(round(gap_share * max(height, width)), 1)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *colors)
    sheet = np.full(shape, 1.0 if colors else np.nan, np.float32)
    for number, cell in enumerate(enlarged):
        top, left = (height + gap) * (number // columns), (width + gap) * (number % columns)
        sheet[top : top + height, left : left + width] = cell
    return sheet


def _cover(axes: Axes, count: int, columns: int, sheet: np.ndarray) -> None:
    """Leave the places after the last cell white."""
    empty = -count % columns
    rows = math.ceil(count / columns)
    height, width = sheet.shape[0] / rows, sheet.shape[1] / columns
    if empty:
        corner = ((columns - empty) * width - 0.5, (rows - 1) * height - 0.5)
        axes.add_patch(Rectangle(corner, empty * width + 1, height + 1, color="white", linewidth=0))

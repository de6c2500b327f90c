"""The feature maps of each layer as a stack of sheets, layer after layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.patches import Polygon
from matplotlib.transforms import Affine2D

from jaxcnn import arguments
from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.maps import scale_of

# Layers side by side, and inches: sides of the largest and the smallest sheet, the distance of two
# sheets, between layers, the least width of a layer for its text, and the room of the text.
_ACROSS, _LARGEST, _SMALLEST, _STEP, _GAP, _LEAST, _TEXT = 6, 1.9, 0.5, 0.16, 0.35, 1.15, 0.6
# A sheet is seen from the side: its width is shortened, and its upper edge falls.
_SHORTENED, _FALL = 0.55, 0.3


@styled
def feature_map_stacks(
    maps: Mapping[str, Any], *, most: int = 8, title: str = "Feature maps"
) -> Drawing:
    """Draw the feature maps of one image as stacks of sheets in perspective, layer after layer.

    A layer is as large as its height and width are beside those of the others, down to a size that
    can still be seen; its shape is written below. The first channel is in front.

    Args:
      maps: By the path of the layer, as :func:`jaxcnn.insight.activations` returns them for one
        image: ``(height, width, channels)``.
      most: Number of channels to draw of each layer at the most, at least 1.
      title: What the picture shows.

    Raises:
      TypeError: ``most`` is not an integer.
      ValueError: there is no layer, a layer has another rank, or ``most`` is below 1.
    """
    most = arguments.check_integer("most", most, minimum=1)
    if not maps:
        raise ValueError("maps must have at least one layer. Received: none")
    layers = {path: np.asarray(layer, np.float32) for path, layer in maps.items()}
    for path, layer in layers.items():
        if layer.ndim != 3:
            raise ValueError(
                f"maps must be (height, width, channels). Received: {path!r} of shape {layer.shape}"
            )
    unit = _LARGEST / max(max(layer.shape[:2]) for layer in layers.values())
    figure = Drawing()
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    left = right = 0.0
    row = _LARGEST * (1 + _FALL * _SHORTENED) + _TEXT + 0.2
    for number, (path, layer) in enumerate(layers.items()):
        if number % _ACROSS == 0:
            left = 0.0
        bottom = -row * (number // _ACROSS)
        scale = max(unit, _SMALLEST / max(layer.shape[:2]))
        shown = layer[..., :most]
        height, width = layer.shape[0] * scale, layer.shape[1] * scale * _SHORTENED
        stack = width + _STEP * (shown.shape[-1] - 1)
        slot = max(stack, _LEAST, 0.085 * len(path))
        start = left + (slot - stack) / 2
        colors, (low, high) = scale_of(shown)
        for depth in range(shown.shape[-1]):
            channel = shown.shape[-1] - 1 - depth
            corner = (start + depth * _STEP, bottom + _FALL * width)
            _sheet(axes, shown[..., channel], (*corner, width, height), colors, (low, high))
        middle = left + slot / 2
        sizes = "×".join(map(str, layer.shape))
        axes.text(middle, bottom - 0.1, sizes, ha="center", va="top", weight="bold")
        axes.text(middle, bottom - 0.32, path, ha="center", va="top", fontsize=9, parse_math=False)
        left += slot + _GAP
        right = max(right, left - _GAP)
    top = row - _TEXT + 0.35
    rows = -(-len(layers) // _ACROSS)
    axes.text(0, top - 0.1, title, va="top", fontsize=12, weight="bold", parse_math=False)
    floor = -row * (rows - 1) - _TEXT
    axes.set(xlim=(-0.1, right + 0.1), ylim=(floor, top), aspect="equal")
    figure.set_size_inches(right + 0.2, top - floor)
    return figure


def _sheet(
    axes: Any,
    values: np.ndarray,
    place: tuple[float, float, float, float],
    colors: str,
    limits: tuple[float, float],
) -> None:
    """Draw one map with its lower left corner at a place, its right edge lower than the left."""
    x, y, width, height = place
    low, high = limits
    seen = Affine2D().skew(0, -np.arctan(_FALL)).translate(x, y)
    image = axes.imshow(
        values, cmap=colors, vmin=low, vmax=high, extent=(0, width, 0, height),
        transform=seen + axes.transData,
    )  # fmt: skip
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    outline = Polygon(corners, fill=False, edgecolor="#606060", linewidth=0.6)
    outline.set_transform(seen + axes.transData)
    axes.add_patch(outline)
    image.set_clip_on(False)

"""Pictures of segmentations: masks over images, the worst images, IoU of the classes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.mask_scores import image_iou
from jaxcnn.insight.plots.drawing import Drawing, show_image, styled
from jaxcnn.insight.plots.percent_axes import show_percent
from jaxcnn.insight.plots.text import drawable, shortened

# The colors of Okabe and Ito (2008), which are told apart with any color vision; of more classes
# they come again, lighter and then darker.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_VOID = "#808080"
_INTERIOR, _CONTOUR = 0.45, 1.0  # opacities
# Inches of a picture's side, classes in a legend, and bars of classes.
_SIDE, _MOST_IN_LEGEND, _MOST_BARS = 2.6, 24, 40


@styled
def segmentation(
    images: Images,
    predictions: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    class_names: Sequence[str],
    most: int = 6,
    background: int | None = 0,
) -> Drawing:
    """Draw images beside their true and their predicted masks, which lie over the image.

    A class is a translucent color with a contour; void is hatched in gray. Above a prediction
    stands the mean IoU of the classes in that image.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1].
      predictions: ``(N, H, W)`` class numbers, or ``(N, H, W, classes)`` of which the largest
        counts.
      labels: ``(N, H, W)`` class numbers, 255 for void; ``None`` draws predictions alone.
      class_names: One per class.
      most: Number of images at the most, at least 1.
      background: The class that has no color; ``None`` colors all.

    Raises:
      ValueError: the images have other axes, or masks another size.
    """
    predictions = _check(images, predictions, labels)
    count = min(len(images), arguments.check_count("most", most))
    rows = np.arange(count)
    return _draw(images, predictions, labels, rows, class_names, background)


@styled
def worst_segmentations(
    images: Images,
    predictions: np.ndarray,
    labels: np.ndarray,
    *,
    class_names: Sequence[str],
    most: int = 6,
    background: int | None = 0,
) -> Drawing:
    """Draw the images of the lowest mean IoU as :func:`segmentation` does, the worst first.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1].
      predictions: ``(N, H, W)`` class numbers, or ``(N, H, W, classes)``.
      labels: ``(N, H, W)`` class numbers, 255 for void.
      class_names: One per class.
      most: Number of images at the most, at least 1.
      background: The class that has no color; ``None`` colors all.

    Raises:
      ValueError: the images have other axes, or masks another size.
    """
    predictions = _check(images, predictions, labels)
    count = min(len(images), arguments.check_count("most", most))
    means = _means(image_iou(predictions, labels, len(class_names)))
    rows = np.argsort(means, kind="stable")[:count]  # NaN, of void alone, is the last
    return _draw(images, predictions, labels, rows, class_names, background)


@styled
def class_iou(iou: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw the intersection over union of each class as bars, and their mean as a line.

    Of more than 40 classes the lowest are drawn. A class of which there is neither example nor
    prediction is left out.

    Args:
      iou: ``(classes,)`` in [0, 1] or NaN, as the metric :func:`jaxcnn.training.iou` gives.
      class_names: One per class.

    Raises:
      ValueError: there is not one number per class, or none at all.
    """
    iou = np.asarray(iou, float)
    if iou.shape != (len(class_names),) or np.isnan(iou).all():
        raise ValueError(
            f"iou must be one number per class ({len(class_names)} here), and not NaN for all. "
            f"Received: shape {iou.shape}"
        )
    present = np.flatnonzero(~np.isnan(iou))
    mean = iou[present].mean()
    shown = present
    if len(present) > _MOST_BARS:
        shown = np.sort(present[np.argsort(iou[present], kind="stable")[:_MOST_BARS]])
    names = shortened(drawable([class_names[number] for number in shown.tolist()]))
    figure = Drawing(figsize=(6, 0.9 + 0.28 * len(shown)))
    axes = figure.subplots()
    places = np.arange(len(shown))
    axes.barh(places, iou[shown], color="#0072B2", height=0.7)
    axes.axvline(mean, color="#D55E00", linestyle="--", linewidth=1.4)
    for place, value in enumerate(iou[shown].tolist()):
        axes.text(min(value, 0.99) + 0.01, place, f"{value:.1%}", va="center", fontsize=8)
    axes.set_yticks(places, names)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    show_percent(axes, "x", 0.0, 1.0)
    axes.set_xlim(0, 1.1)  # with room for the number of a full bar
    part = f"; the lowest {len(shown)} of {len(present)}" if len(shown) < len(present) else ""
    axes.set_title(f"Intersection over union: mean {mean:.1%}{part}")
    return figure


def _draw(
    images: Images,
    predictions: np.ndarray,
    labels: np.ndarray | None,
    rows: np.ndarray,
    class_names: Sequence[str],
    background: int | None,
) -> Drawing:
    masks = [("predicted", predictions)] if labels is None else [
        ("true", labels), ("predicted", predictions),
    ]  # fmt: skip
    height, width = images.shape[1:3]
    colors = _colors(len(class_names), background)
    names = shortened(drawable(class_names))
    used = np.unique(np.concatenate([mask[rows].ravel() for _, mask in masks]))
    listed = [number for number in range(len(names)) if number in used and number in colors]
    handles = [
        Patch(facecolor=(*colors[number], _INTERIOR), edgecolor=colors[number], label=names[number])
        for number in listed[:_MOST_IN_LEGEND]
    ]
    if (used >= len(names)).any():
        handles.append(Patch(facecolor="none", edgecolor=_VOID, hatch="////", label="void"))
    columns = 1 + len(masks)
    side = _SIDE * min(height / width, 2)
    room = 0.25 + 0.25 * -(-len(handles) // 4)
    figure = Drawing(figsize=(_SIDE * columns, (side + 0.3) * len(rows) + room))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes in line:
            show_image(axes, np.asarray(images[row]))
        line[0].set_title(f"image {row}", fontsize=9)
        for axes, (title, mask) in zip(line[1:], masks, strict=True):
            _overlay(axes, mask[row], colors, len(names))
            axes.set_title(title, fontsize=9)
        if labels is not None:
            mean = _means(image_iou(predictions[[row]], labels[[row]], len(names)))[0]
            line[-1].set_title(f"predicted, mean IoU {mean:.1%}", fontsize=9)
    if handles:
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=min(len(handles), 4)
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _overlay(
    axes: Axes, mask: np.ndarray, colors: dict[int, tuple[float, float, float]], classes: int
) -> None:
    """Draw a mask over an image: colors with contours, and void hatched."""
    layer = np.zeros((*mask.shape, 4))
    edges = _edges(mask)
    for number, color in colors.items():
        layer[mask == number] = (*color, _INTERIOR)
        layer[(mask == number) & edges] = (*color, _CONTOUR)
    axes.imshow(layer, interpolation="nearest")
    void = (mask >= classes).astype(float)
    if void.any():
        layer = np.zeros((*mask.shape, 4))
        layer[void > 0] = (*to_rgb(_VOID), _INTERIOR)
        axes.imshow(layer, interpolation="nearest")
        # A border of zeros, so that void at the edge of the image is closed.
        framed = np.pad(void, 1)
        rows, columns = (np.arange(-1, side + 1) for side in mask.shape)
        axes.contourf(columns, rows, framed, levels=[0.5, 1.5], colors="none", hatches=["////"])
        axes.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))


def _edges(mask: np.ndarray) -> np.ndarray:
    """Return the positions that have a neighbor of another class."""
    edges = np.zeros(mask.shape, bool)
    down, across = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    return edges


def _colors(classes: int, background: int | None) -> dict[int, tuple[float, float, float]]:
    """Return the color of each class but the background."""
    colors = {}
    for place, number in enumerate(n for n in range(classes) if n != background):
        turn, index = divmod(place, len(_COLORS))
        color = np.array(to_rgb(_COLORS[index]))
        towards, share = (1.0, 0.45) if turn % 2 else (0.0, 0.35)
        color = color if turn == 0 else color + (towards - color) * share
        red, green, blue = color.tolist()
        colors[number] = red, green, blue
    return colors


def _means(iou: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that are not NaN; NaN where there is none."""
    known = ~np.isnan(iou)
    total, count = np.nansum(iou, axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _check(images: Images, predictions: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Return the predictions as class numbers, of the size of the images."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must be (N, H, W, 1 or 3). Received: images of shape {images.shape}"
        )
    if predictions.ndim == 4:
        predictions = predictions.argmax(axis=-1)
    for name, masks in (("predictions", predictions), ("labels", labels)):
        if masks is not None and masks.shape != images.shape[:3]:
            raise ValueError(
                f"{name} must be masks of the size of the images, {images.shape[:3]}. "
                f"Received: shape {masks.shape}"
            )
    return predictions

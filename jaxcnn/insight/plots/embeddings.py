"""Pictures of features: images as points of the plane, and the images nearest to a prediction."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.embedding import Neighbors, Projection
from jaxcnn.insight.plots.drawing import Drawing, show_image, styled
from jaxcnn.insight.plots.examples import check_examples, show_framed
from jaxcnn.insight.plots.text import drawable, shortened

# Of eight colors people with any color vision can tell apart; more classes are told by their names.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#606060")
_MOST_NAMED = 40
# Width of the picture of points in inches, and the share of it that a thumbnail takes.
_WIDTH, _THUMBNAIL = 9.0, 1 / 30
_SAME, _OTHER, _QUERY = "#0072B2", "#D55E00", "#404040"
_METHODS = {"pca": "principal components", "tsne": "t-SNE", "umap": "UMAP"}


@styled
def thumbnails(
    images: Images,
    projection: Projection,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    most: int = 500,
) -> Drawing:
    """Draw each image at the point of its features, in a frame of the color of its class.

    An image that would cover another one is left out and remains a dot. The name of a class stands
    at the median of its points, or above a small group.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1]; sequences
        ``(N, length, C)`` remain dots.
      projection: What :func:`jaxcnn.insight.project` returns for their features.
      labels: ``(N,)`` classes.
      class_names: One per class.
      most: Number of thumbnails at the most, at least 0; the classes take turns.

    Raises:
      ValueError: the images have another number of channels, or are not those of the points.
    """
    check_examples("images", images)
    points, labels = projection.points, np.asarray(labels)
    if not len(images) == len(points) == len(labels):
        raise ValueError(
            "images, projection and labels must have one row per image. "
            f"Received: {len(images)}, {len(points)} and {len(labels)} rows"
        )
    most = arguments.check_count("most", most, minimum=0)
    low, high = points.min(axis=0), points.max(axis=0)
    # At least as high as half the width, and at most as wide.
    span = np.maximum(high - low, (1e-9, 0.5 * max(high[0] - low[0], 1e-9)))
    span[0] = max(span[0], 0.9 * span[1])
    span *= 1.1
    figure = Drawing(figsize=(_WIDTH, _WIDTH * span[1] / span[0] + 0.6))
    axes = figure.subplots()
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - span[0] / 2, middle[0] + span[0] / 2)
    axes.set_ylim(middle[1] - span[1] / 2, middle[1] + span[1] / 2)
    colors = class_colors(len(class_names))
    axes.scatter(
        points[:, 0],
        points[:, 1],
        c=[colors[label] for label in labels],
        s=14,
        alpha=0.7,
        linewidths=0,
    )
    height, width = images.shape[1:3] if images.ndim == 4 else (1, 1)
    longest = _THUMBNAIL * span[0]
    size = np.array([width, height]) * longest / max(width, height)
    most = most if images.ndim == 4 else 0
    shown = spread_out(points, labels, size=size * 1.12, most=most)
    for row in shown:
        _draw_thumbnail(axes, np.asarray(images[row]), points[row], size, colors[labels[row]])
    axes.set_xlim(middle[0] - span[0] / 2, middle[0] + span[0] / 2)
    axes.set_ylim(middle[1] - span[1] / 2, middle[1] + span[1] / 2)
    axes.set_aspect("equal")
    _name_groups(axes, points, labels, drawable(class_names), colors, size)
    _name_axes(axes, projection)
    axes.set_title(
        f"{len(points):,} {'images' if most else 'examples'} by their features, "
        f"{_METHODS[projection.method]}" + f" ({len(shown):,} shown as pictures)" * (most > 0)
    )
    return figure


@styled
def nearest_neighbors(
    queries: Images,
    probabilities: np.ndarray,
    images: Images,
    labels: np.ndarray,
    neighbors: Neighbors,
    class_names: Sequence[str],
) -> Drawing:
    """Draw the predicted images, each beside the images with the most similar features.

    Neighbors of the predicted class have a blue frame, others an orange one.

    Args:
      queries: The predicted images, ``(queries, H, W, C)`` with 1 or 3 channels, or sequences
        ``(queries, length, C)``, which are drawn as curves.
      probabilities: ``(queries, classes)`` probability of each class.
      images: The images from which the neighbors are, such as those of training, likewise.
      labels: ``(N,)`` their classes.
      neighbors: What :func:`jaxcnn.insight.nearest_images` returns.
      class_names: One per class.

    Raises:
      ValueError: the images have another number of channels, or the rows do not fit.
    """
    aspect = check_examples("queries", queries)
    check_examples("images", images)
    if not len(queries) == len(probabilities) == len(neighbors.rows):
        raise ValueError(
            "queries, probabilities and neighbors must have one row per query. Received: "
            f"{len(queries)}, {len(probabilities)} and {len(neighbors.rows)} rows"
        )
    names = shortened(drawable(class_names))
    count = neighbors.rows.shape[1]
    figure = Drawing(figsize=(1.75 * (count + 1.15), len(queries) * (0.45 + 1.55 * aspect) + 0.9))
    # An empty column between the prediction and its neighbors.
    grid = figure.subplots(
        len(queries), count + 2, squeeze=False, width_ratios=(1, 0.12, *[1] * count)
    )
    figure.suptitle("Predicted images, and the images with the most similar features")
    for row, (query, shares) in enumerate(zip(queries, probabilities, strict=True)):
        predicted = int(np.argmax(shares[: len(names)]))
        grid[row, 1].set_axis_off()
        text = f"predicted with {shares[predicted]:.0%}"
        show_framed(grid[row, 0], query, _QUERY, names[predicted], text)
        found = zip(neighbors.rows[row], neighbors.distances[row], strict=True)
        for axes, (near, distance) in zip(grid[row, 2:], found, strict=True):
            color = _SAME if labels[near] == predicted else _OTHER
            text = f"distance {distance:.2g}"
            show_framed(axes, images[near], color, names[labels[near]], text)
    figure.supxlabel(
        "Frame: blue of the predicted class, orange of another one. Cosine distance, 0 to 2",
        fontsize=9, color="#606060",
    )  # fmt: skip
    return figure


def class_colors(count: int) -> list[Any]:
    """Return a color for each class: eight that all can tell apart, or hues of a circle.

    Args:
      count: Number of classes.
    """
    if count <= len(_COLORS):
        return list(_COLORS[:count])
    hues = matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, count))
    return [tuple(hue) for hue in hues]


def spread_out(points: np.ndarray, labels: np.ndarray, *, size: np.ndarray, most: int) -> list[int]:
    """Return rows of points around which boxes do not overlap; the classes take turns.

    >>> points = np.array([[0, 0], [0.5, 0], [3, 0], [9, 9]])
    >>> spread_out(points, np.array([0, 0, 0, 1]), size=np.array([1, 1]), most=9)
    [0, 3, 2]

    Args:
      points: ``(N, 2)``.
      labels: ``(N,)`` classes.
      size: ``(2,)`` width and height of a box.
      most: Number of rows at the most.
    """
    turns = np.zeros(len(labels), int)
    for label in np.unique(labels):
        turns[labels == label] = np.arange((labels == label).sum())
    chosen: list[int] = []
    for row in np.lexsort((labels, turns)):
        if len(chosen) >= most:
            break
        apart = np.abs(points[chosen] - points[row]) >= size
        if apart.any(axis=1).all():
            chosen.append(int(row))
    return chosen


def _draw_thumbnail(
    axes: Axes, image: np.ndarray, point: np.ndarray, size: np.ndarray, color: Any
) -> None:
    corner = point - size / 2
    extent = (corner[0], corner[0] + size[0], corner[1], corner[1] + size[1])
    is_on = axes.axison
    show_image(axes, image, extent=extent, zorder=2)
    axes.axison = is_on
    axes.add_patch(Rectangle((corner[0], corner[1]), *size, fill=False, ec=color, lw=1.4, zorder=3))


def _name_groups(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    colors: Sequence[Any],
    size: np.ndarray,
) -> None:
    """Write the name of each class at the median of its points, of the largest classes."""
    found, counts = np.unique(labels, return_counts=True)
    halo = [patheffects.withStroke(linewidth=4, foreground="white")]
    names = shortened(names)
    for label in found[np.argsort(-counts, kind="stable")][:_MOST_NAMED]:
        group = points[labels == label]
        x, y = np.median(group, axis=0)
        # Of a small group the name would cover its pictures.
        if (np.ptp(np.quantile(group, (0.1, 0.9), axis=0), axis=0) < 4 * size).all():
            y = np.quantile(group[:, 1], 0.95) + 1.1 * size[1]
        axes.text(
            x, y, names[label], color=colors[label],
            fontsize=15, weight="bold", ha="center", va="center", zorder=4, path_effects=halo,
            parse_math=False,
        )  # fmt: skip


def _name_axes(axes: Axes, projection: Projection) -> None:
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("#D0D0D0")
    if projection.explained is not None:
        first, second = projection.explained
        axes.set(
            xlabel=f"first component: {first:.1%} of the variance",
            ylabel=f"second component: {second:.1%}",
        )

"""Boxes as labels: where the objects of an image are, and their classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcnn import arguments

# A box of a label: its corners (x1, y1, x2, y2) in pixels from the left and the upper edge of the
# image; its class, -1 in a row that only fills up; and whether it surrounds a crowd.
BOX = np.dtype([("corners", np.float32, (4,)), ("label", np.int32), ("crowd", np.bool_)])
# Corners beyond the image by less than this, in pixels, are rounding; they are clipped.
ROUNDING = 1.0


def box_labels(
    corners: Sequence[Any],
    labels: Sequence[Any],
    *,
    crowd: Sequence[Any] | None = None,
    most: int | None = None,
) -> np.ndarray:
    """Return the boxes of some images as labels of a :class:`jaxcnn.Dataset`.

    >>> boxes = box_labels([[[2, 2, 10, 8]], []], [[0], []])
    >>> boxes.shape, boxes["corners"][0, 0].tolist(), boxes["label"].tolist()
    ((2, 1), [2.0, 2.0, 10.0, 8.0], [[0], [-1]])

    Args:
      corners: For each image its boxes ``(n, 4)``: x1, y1, x2, y2 in pixels from the left and the
        upper edge; n may differ, and may be 0.
      labels: For each image the class numbers of its boxes, ``(n,)``.
      crowd: For each image whether a box surrounds a crowd of objects, which detections within it
        neither find nor miss, ``(n,)`` bool; ``None`` means none does.
      most: Boxes of an image in the result, at least the largest n, which is the default.

    Returns:
      ``(N, most)`` of a structured dtype with the fields ``corners`` (four float32), ``label``
      (int32, -1 in rows that only fill up) and ``crowd`` (bool).

    Raises:
      TypeError: `most` is not an integer.
      ValueError: the numbers of boxes, labels and crowds differ, an array has another shape, a
        label is below 0, or `most` is too small.
    """
    rows = [np.asarray(each, np.float32).reshape(-1, 4) for each in map(_four, corners)]
    classes = [np.asarray(each, np.int64).reshape(-1) for each in labels]
    crowds = [np.zeros(len(row), bool) for row in rows]
    if crowd is not None:
        crowds = [np.asarray(each, bool).reshape(-1) for each in crowd]
    counts = [[len(each) for each in part] for part in (rows, classes, crowds)]
    if not counts[0] == counts[1] == counts[2]:
        raise ValueError(
            "labels and crowd must have one value per box of each image. "
            f"Received: {arguments.shown(counts[0])} boxes, {arguments.shown(counts[1])} labels, "
            f"{arguments.shown(counts[2])} crowds"
        )
    lowest = min((int(each.min()) for each in classes if each.size), default=0)
    if lowest < 0:
        raise ValueError(f"labels must be class numbers from 0. Received: {lowest}")
    largest = max(counts[0], default=0)
    size = max(largest, 1)
    if most is not None:
        size = arguments.check_integer("most", most, minimum=1)
    if size < largest:
        raise ValueError(
            f"most must be at least the boxes of an image, {largest}. Received: most={most}"
        )
    result = np.zeros((len(rows), size), BOX)
    result["label"] = -1
    for number, (row, label, many) in enumerate(zip(rows, classes, crowds, strict=True)):
        result["corners"][number, : len(row)] = row
        result["label"][number, : len(row)] = label
        result["crowd"][number, : len(row)] = many
    return result


def to_rows(labels: np.ndarray) -> np.ndarray:
    """Return boxes as one array, as the step of training takes them.

    >>> to_rows(box_labels([[[2, 2, 10, 8]]], [[3]])).tolist()
    [[[2.0, 2.0, 10.0, 8.0, 3.0, 0.0]]]

    Args:
      labels: ``(N, M)`` boxes of :func:`box_labels`.

    Returns:
      ``(N, M, 6)`` float32: x1, y1, x2, y2, class and crowd.
    """
    rows = np.empty((*labels.shape, 6), np.float32)
    rows[..., :4] = labels["corners"]
    rows[..., 4], rows[..., 5] = labels["label"], labels["crowd"]
    return rows


def check_boxes(
    labels: np.ndarray, image_shapes: tuple[int, ...], class_names: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return boxes within their images, and the class names.

    Args:
      labels: ``(N, M)`` of :data:`BOX`.
      image_shapes: ``(N, H, W, C)``.
      class_names: The class names, or nothing to number them.

    Raises:
      ValueError: the shape does not fit, a corner is outside its image by a pixel or more, a box
        has no area, or a class is out of range.
    """
    if labels.ndim != 2 or len(image_shapes) != 4 or labels.size == 0:
        raise ValueError(
            "boxes as labels must be (N, M) of images (N, H, W, C). "
            f"Received: {labels.shape} for images {image_shapes}"
        )
    real = labels["label"] >= 0
    highest = int(labels["label"].max())
    if class_names and highest >= len(class_names):
        raise ValueError(
            f"labels of boxes must be in 0…{len(class_names) - 1}, because there are "
            f"{len(class_names)} classes. Received: {highest}"
        )
    _, height, width, _ = image_shapes
    size = np.array((width, height, width, height), np.float32)
    corners = np.where(real[..., None], labels["corners"], 0)
    outside = ~((corners >= -ROUNDING) & (corners <= size + ROUNDING)).all(axis=-1)
    _refuse(labels, outside & real, f"lie within its image, of width {width} and height {height}")
    corners = corners.clip(0, size)
    empty = (corners[..., 2:] <= corners[..., :2]).any(axis=-1)
    _refuse(labels, empty & real, "have x1 < x2 and y1 < y2")
    checked = labels.copy()
    checked["corners"] = corners
    checked["label"] = np.where(real, labels["label"], -1)
    return checked, class_names or tuple(map(str, range(max(highest, 0) + 1)))


def _refuse(labels: np.ndarray, bad: np.ndarray, rule: str) -> None:
    found = np.argwhere(bad)
    if len(found):
        image, row = found[0].tolist()
        box = labels["corners"][image, row].tolist()
        raise ValueError(
            f"every box (x1, y1, x2, y2) must {rule}. Received: {box} in image {image}, and "
            f"{len(found) - 1} more boxes"
        )


def _four(boxes: Any) -> Any:
    shape = np.shape(boxes)
    if shape and shape[0] == 0:
        return np.zeros((0, 4), np.float32)
    if len(shape) != 2 or shape[1] != 4:
        raise ValueError(
            f"corners must be (n, 4) for each image: x1, y1, x2, y2. Received: shape {shape}"
        )
    return boxes

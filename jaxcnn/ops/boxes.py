"""Boxes in a picture: their area and overlap, their formats, and the limits of the picture.

A box is (x1, y1, x2, y2) in pixels from the left and the upper edge of the picture, as in
torchvision; one with x2 ≤ x1 or y2 ≤ y1 is empty.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.ops.primitives.summation import accumulator

BOX_FORMATS = ("xyxy", "xywh", "cxcywh")
"""The formats of :func:`convert_boxes`: corners, corner and size, or center and size."""


def iou(boxes: jax.Array, others: jax.Array, *, pairwise: bool = True) -> jax.Array:
    """Return the intersection over union of each box with each of the others.

    :math:`IoU = area(A ∩ B)/(area(A) + area(B) − area(A ∩ B))`, from 0 for boxes apart to 1 for
    equal ones. That of an empty box is 0, unlike torchvision's, which is NaN for two of them.

    >>> iou(jnp.array([[0., 0., 2., 2.]]), jnp.array([[1., 0., 3., 2.], [5., 5., 6., 6.]]))
    Array([[0.33333334, 0.        ]], dtype=float32)

    Args:
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2; halves are computed in float32.
      others: ``(other_count, 4)``, of the same dtype.
      pairwise: Whether each box meets each of the others; if not, both arrays are ``(…, 4)`` of the
        same shape, and each box meets the other one in its place.

    Returns:
      ``(count, other_count)``, or ``(…,)`` of boxes in the same places.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: an array is not ``(count, 4)``, or the shapes differ.
    """
    first, second, dtype = _pairs(boxes, others, pairwise)
    return overlap(first, second, "union").astype(dtype)


def giou(boxes: jax.Array, others: jax.Array, *, pairwise: bool = True) -> jax.Array:
    """Return the generalized intersection over union of each box with each of the others.

    :math:`GIoU = IoU − area(C ∖ (A ∪ B))/area(C)`, C the smallest box around A and B: from 1 for
    equal boxes to near −1 for boxes far apart, so that its gradient moves boxes that do not overlap
    together. It is 0 where C is empty; gradients are finite everywhere. Source: Rezatofighi et al.,
    "Generalized Intersection over Union", CVPR 2019.

    >>> giou(jnp.array([[0., 0., 1., 1.]]), jnp.array([[0., 0., 1., 1.], [3., 0., 4., 1.]]))
    Array([[ 1. , -0.5]], dtype=float32)
    >>> boxes = jnp.array([[0., 0., 1., 1.], [0., 0., 1., 1.]])
    >>> giou(boxes, boxes + jnp.array([[3., 0., 3., 0.]]), pairwise=False)
    Array([-0.5, -0.5], dtype=float32)

    Args:
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2; halves are computed in float32.
      others: ``(other_count, 4)``, of the same dtype.
      pairwise: Whether each box meets each of the others; if not, both arrays are ``(…, 4)`` of the
        same shape, and each box meets the other one in its place, as in a loss.

    Returns:
      ``(count, other_count)``, or ``(…,)`` of boxes in the same places.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: an array is not ``(count, 4)``, or the shapes differ.
    """
    first, second, dtype = _pairs(boxes, others, pairwise)
    both = intersection(first, second)
    union = _area(first) + _area(second) - both
    low = jnp.minimum(first[..., :2], second[..., :2])
    high = jnp.maximum(first[..., 2:], second[..., 2:])
    around = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    return (_ratio(both, union) - _ratio(around - union, around)).astype(dtype)


def box_area(boxes: jax.Array) -> jax.Array:
    """Return the area of boxes in square pixels; that of an empty box is 0.

    >>> box_area(jnp.array([[0., 0., 2., 3.], [2., 2., 1., 3.]]))
    Array([6., 0.], dtype=float32)

    Args:
      boxes: ``(…, 4)``, floating point: x1, y1, x2, y2.

    Returns:
      ``(…,)``, of the same dtype.

    Raises:
      TypeError: the array is not floating point.
      ValueError: the last axis is not 4.
    """
    boxes = checks.array("boxes", boxes)
    check_corners("boxes", boxes)
    return _area(boxes)


def clip_boxes(boxes: jax.Array, size: Sequence[int]) -> jax.Array:
    """Return boxes cut off at the edges of the picture; one outside becomes empty.

    >>> clip_boxes(jnp.array([[-2., 1., 5., 9.]]), (8, 4))
    Array([[0., 1., 4., 8.]], dtype=float32)

    Args:
      boxes: ``(…, 4)``, floating point: x1, y1, x2, y2.
      size: Height and width of the picture, each at least 1.

    Returns:
      ``(…, 4)``, of the same dtype.

    Raises:
      TypeError: the array is not floating point, or a size is not an integer.
      ValueError: the last axis is not 4, or a size is below 1.
    """
    boxes = checks.array("boxes", boxes)
    check_corners("boxes", boxes)
    if not arguments.is_sequence(size) or len(size) != 2:
        raise ValueError(f"size must be (height, width). Received: size={arguments.shown(size)}")
    height, width = (arguments.check_count("size", side) for side in size)
    limits = jnp.array([width, height] * 2, boxes.dtype)
    return jnp.clip(boxes, 0, jnp.broadcast_to(limits, boxes.shape))


def convert_boxes(boxes: jax.Array, old: str, new: str) -> jax.Array:
    """Return boxes in another format.

    The formats are ``"xyxy"``, the corners x1, y1, x2, y2; ``"xywh"``, the upper left corner, width
    and height, as in COCO; and ``"cxcywh"``, the center, width and height, as in YOLO.

    >>> convert_boxes(jnp.array([[1., 2., 4., 6.]]), "xyxy", "cxcywh")
    Array([[2.5, 4. , 3. , 4. ]], dtype=float32)

    Args:
      boxes: ``(…, 4)``, floating point.
      old: The format of ``boxes``.
      new: The format of the result.

    Returns:
      ``(…, 4)``, of the same dtype.

    Raises:
      TypeError: the array is not floating point, or a format is not a string.
      ValueError: the last axis is not 4, or there is no such format.
    """
    boxes = checks.array("boxes", boxes)
    check_corners("boxes", boxes)
    arguments.check_choice("old", old, BOX_FORMATS)
    arguments.check_choice("new", new, BOX_FORMATS)
    if old == new:
        return boxes
    first, second = boxes[..., :2], boxes[..., 2:]
    if old != "xyxy":
        low = first if old == "xywh" else first - second / 2
        first, second = low, low + second
    if new != "xyxy":
        size = second - first
        first, second = first if new == "xywh" else first + size / 2, size
    return jnp.concatenate([first, second], axis=-1)


def check_corners(name: str, x: jax.Array) -> None:
    """Check that ``x`` is floating point, with four values on its last axis.

    Raises:
      TypeError: it is not floating point.
      ValueError: it has another shape.
    """
    checks.floating(name, x)
    if x.ndim == 0 or x.shape[-1] != 4:
        raise ValueError(
            f"{name} must be (…, 4), with four values of each box. Received: shape {x.shape}"
        )


def overlap(boxes: jax.Array, others: jax.Array, method: str) -> jax.Array:
    """Return the share of the intersection; arrays ``(…, 4)`` that broadcast.

    Args:
      boxes: ``(…, 4)``, floating point.
      others: ``(…, 4)``, of the same dtype.
      method: ``"union"``, which divides by the area of both, or ``"minimum"``, by the smaller one.
    """
    both = intersection(boxes, others)
    areas = _area(boxes), _area(others)
    return _ratio(both, areas[0] + areas[1] - both if method == "union" else jnp.minimum(*areas))


def intersection(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Return the area that boxes have in common; arrays ``(…, 4)`` that broadcast."""
    low = jnp.maximum(boxes[..., :2], others[..., :2])
    high = jnp.minimum(boxes[..., 2:], others[..., 2:])
    return jnp.prod(jnp.maximum(high - low, 0), axis=-1)


def _pairs(
    boxes: jax.Array, others: jax.Array, pairwise: bool
) -> tuple[jax.Array, jax.Array, jnp.dtype]:
    """Return two arrays that broadcast, in at least float32, and the dtype of the result."""
    boxes, others = checks.array("boxes", boxes), checks.array("others", others)
    each = arguments.check_flag("pairwise", pairwise)
    for name, x in (("boxes", boxes), ("others", others)):
        (checks.boxes if each else check_corners)(name, x)
    checks.same_dtype(boxes=boxes, others=others)
    if not each and boxes.shape != others.shape:
        raise ValueError(
            "boxes and others must have the same shape where pairwise=False. "
            f"Received: {boxes.shape} and {others.shape}"
        )
    wide = accumulator(boxes)
    first, second = boxes.astype(wide), others.astype(wide)
    return (first[:, None], second[None], boxes.dtype) if each else (first, second, boxes.dtype)


def _area(boxes: jax.Array) -> jax.Array:
    return jnp.prod(jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    """Return the quotient, 0 where the whole is 0, with finite gradients."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)

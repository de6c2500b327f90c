"""Boxes as a detector predicts them: distances from locations, or offsets of anchors."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.ops.boxes import check_corners

# Largest change of a side in the natural logarithm: from 16 to 1000 pixels, as in torchvision.
_LARGEST_SCALE = 1000 / 16
_SMALLEST_SIDE = 1e-6


def boxes_to_distances(boxes: jax.Array, locations: jax.Array) -> jax.Array:
    """Return the distances from locations to the sides of boxes, as FCOS predicts them.

    They are left = x − x1, top = y − y1, right = x2 − x, bottom = y2 − y: all above 0 where the
    location is within the box. Source: Tian et al., "FCOS", ICCV 2019.

    >>> boxes_to_distances(jnp.array([[0., 0., 4., 6.]]), jnp.array([[1., 2.]]))
    Array([[1., 2., 3., 4.]], dtype=float32)

    Args:
      boxes: ``(…, 4)``, floating point: x1, y1, x2, y2.
      locations: ``(…, 2)``, x and y, of the same dtype; with the same leading axes.

    Returns:
      ``(…, 4)``: left, top, right, bottom.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: a last axis has another size, or the leading axes differ.
    """
    boxes, locations = _check("boxes", boxes, locations)
    return jnp.concatenate([locations - boxes[..., :2], boxes[..., 2:] - locations], axis=-1)


def distances_to_boxes(distances: jax.Array, locations: jax.Array) -> jax.Array:
    """Return the boxes with these distances from locations to their sides.

    The inverse of :func:`boxes_to_distances`.

    >>> distances_to_boxes(jnp.array([[1., 2., 3., 4.]]), jnp.array([[1., 2.]]))
    Array([[0., 0., 4., 6.]], dtype=float32)

    Args:
      distances: ``(…, 4)``, floating point: left, top, right, bottom.
      locations: ``(…, 2)``, x and y, of the same dtype; with the same leading axes.

    Returns:
      ``(…, 4)``: x1, y1, x2, y2.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: a last axis has another size, or the leading axes differ.
    """
    distances, locations = _check("distances", distances, locations)
    return jnp.concatenate(
        [locations - distances[..., :2], locations + distances[..., 2:]], axis=-1
    )


def encode_boxes(
    boxes: jax.Array, anchors: jax.Array, *, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """Return boxes as offsets of anchors, as Faster R-CNN and SSD predict them.

    With the centers and sizes of box and anchor, they are :math:`dx = (x − x_a)/w_a`,
    :math:`dy = (y − y_a)/h_a`, :math:`dw = log(w/w_a)` and :math:`dh = log(h/h_a)`, each multiplied
    by its weight. Sides below 10⁻⁶ count as 10⁻⁶, so that empty boxes have finite offsets. Source:
    Ren et al., "Faster R-CNN", 2015.

    >>> encode_boxes(jnp.array([[1., 0., 3., 4.]]), jnp.array([[0., 0., 2., 4.]]))
    Array([[0.5, 0. , 0. , 0. ]], dtype=float32)

    Args:
      boxes: ``(…, 4)``, floating point: x1, y1, x2, y2.
      anchors: ``(…, 4)``, of the same dtype; with the same leading axes.
      weights: Of dx, dy, dw and dh, each above 0; torchvision's detectors use (10, 10, 5, 5).

    Returns:
      ``(…, 4)``: dx, dy, dw, dh.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: a last axis has another size, the leading axes differ, or a weight is not above 0.
    """
    boxes, anchors = checks.array("boxes", boxes), checks.array("anchors", anchors)
    check_corners("boxes", boxes)
    check_corners("anchors", anchors)
    checks.same_dtype(boxes=boxes, anchors=anchors)
    _check_shapes("anchors", anchors, boxes, "boxes")
    factors = _weights(weights, boxes)
    (center, size), (anchor_center, anchor_size) = _middle(boxes), _middle(anchors)
    moved, scaled = (center - anchor_center) / anchor_size, jnp.log(size / anchor_size)
    return jnp.concatenate([moved, scaled], axis=-1) * factors


def decode_boxes(
    offsets: jax.Array, anchors: jax.Array, *, weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """Return the boxes with these offsets of anchors: the inverse of :func:`encode_boxes`.

    A side grows by a factor of 62.5 at most, as in torchvision, so that untrained predictions do
    not overflow.

    >>> decode_boxes(jnp.array([[0.5, 0., 0., 0.]]), jnp.array([[0., 0., 2., 4.]]))
    Array([[1., 0., 3., 4.]], dtype=float32)

    Args:
      offsets: ``(…, 4)``, floating point: dx, dy, dw, dh.
      anchors: ``(…, 4)``, x1, y1, x2, y2 of the same dtype; with the same leading axes.
      weights: As for :func:`encode_boxes`.

    Returns:
      ``(…, 4)``: x1, y1, x2, y2.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: a last axis has another size, the leading axes differ, or a weight is not above 0.
    """
    offsets, anchors = checks.array("offsets", offsets), checks.array("anchors", anchors)
    check_corners("offsets", offsets)
    check_corners("anchors", anchors)
    checks.same_dtype(offsets=offsets, anchors=anchors)
    _check_shapes("anchors", anchors, offsets, "offsets")
    offsets = offsets / _weights(weights, offsets)
    anchor_center, anchor_size = _middle(anchors)
    center = anchor_center + offsets[..., :2] * anchor_size
    limit = jnp.log(jnp.asarray(_LARGEST_SCALE, offsets.dtype))
    half = jnp.exp(jnp.minimum(offsets[..., 2:], limit)) * anchor_size / 2
    return jnp.concatenate([center - half, center + half], axis=-1)


def _check(name: str, values: jax.Array, locations: jax.Array) -> tuple[jax.Array, jax.Array]:
    values, locations = checks.array(name, values), checks.array("locations", locations)
    check_corners(name, values)
    checks.floating("locations", locations)
    if locations.ndim == 0 or locations.shape[-1] != 2:
        raise ValueError(
            f"locations must be (…, 2), with x and y of each. Received: shape {locations.shape}"
        )
    checks.same_dtype(**{name: values, "locations": locations})
    _check_shapes("locations", locations, values, name)
    return values, locations


def _check_shapes(name: str, x: jax.Array, values: jax.Array, other: str) -> None:
    if x.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"{name} must have the leading axes of {other}, "
            f"{values.shape[:-1]}; use jnp.broadcast_to. Received: shape {x.shape}"
        )


def _middle(boxes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the center and the size of boxes, each side at least the smallest one."""
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + size / 2, jnp.maximum(size, _SMALLEST_SIDE)


def _weights(weights: Sequence[float], values: jax.Array) -> jax.Array:
    if not arguments.is_sequence(weights) or len(weights) != 4:
        raise ValueError(
            "weights must be four numbers, of dx, dy, dw and dh. "
            f"Received: weights={arguments.shown(weights)}"
        )
    checked = [arguments.check_number("weights", weight, above=0) for weight in weights]
    return jnp.broadcast_to(jnp.array(checked, values.dtype), values.shape)

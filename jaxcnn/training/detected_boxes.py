"""Boxes from the outputs of a dense detector."""

import functools

import jax
import jax.numpy as jnp

from jaxcnn import arguments, ops
from jaxcnn.training.detection_loss import CENTERNESS, CLASSES, DISTANCES, check_outputs

LIMIT = 100
SCORE_THRESHOLD = 0.05
IOU_THRESHOLD = 0.6
CANDIDATES = 1000
# A row that only fills up.
NOTHING = (0, 0, 0, 0, 0, -1)


def detections(
    outputs: jax.Array,
    *,
    limit: int = LIMIT,
    score_threshold: float = SCORE_THRESHOLD,
    iou_threshold: float = IOU_THRESHOLD,
    candidates: int = CANDIDATES,
) -> jax.Array:
    """Return the boxes that a dense detector finds, those of the highest score first.

    The score of a class at a location is :math:`√{σ(a)·σ(b)}`, a the logit of the class and b that
    of the centerness, as in FCOS (Tian et al., 2019). Of the `candidates` highest, those above the
    threshold pass through non-maximum suppression within their class, and the best `limit` are
    returned. Boxes are cut at the edges of the picture, as far as the cells of the smallest stride
    show them.

    >>> location = jnp.array([4.0, 4, 8, 3, 3, 3, 3, 20, 20, -20])
    >>> boxes = detections(location[None, None], limit=2)
    >>> [round(float(number), 3) for number in boxes[0, 0]]  # score 1, class 0
    [1.0, 1.0, 7.0, 7.0, 1.0, 0.0]
    >>> [float(number) for number in boxes[0, 1]]  # only fills up
    [0.0, 0.0, 0.0, 0.0, 0.0, -1.0]

    Args:
      outputs: ``(batch, locations, 8 + classes)``, as :class:`jaxcnn.detector` describes them.
      limit: Number of boxes of a picture, at least 1.
      score_threshold: Boxes of this score or less are left out, in [0, 1].
      iou_threshold: Largest overlap of two boxes of one class, in [0, 1].
      candidates: Number of pairs of a location and a class before the suppression, at least 1.

    Returns:
      ``(batch, limit, 6)`` float32: x1, y1, x2, y2 in pixels, score, class. Rows that only fill up
      have the class -1 and zeros.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: the shape does not fit, or an option is out of its range.
    """
    outputs = check_outputs(outputs)
    limit = arguments.check_count("limit", limit)
    minimum = arguments.check_number("score_threshold", score_threshold, minimum=0, maximum=1)
    arguments.check_number("iou_threshold", iou_threshold, minimum=0, maximum=1)
    candidates = arguments.check_count("candidates", candidates)
    if outputs.shape[0] == 0:
        return jnp.zeros((0, limit, 6), jnp.float32)
    found = candidate_boxes(outputs, candidates=candidates)
    scores = jnp.where(found[..., 4] > minimum, found[..., 4], -jnp.inf)
    suppress = functools.partial(ops.nms, threshold=iou_threshold, limit=limit)
    kept, chosen = jax.vmap(lambda boxes, scores, label: suppress(boxes, scores, classes=label))(
        found[..., :4], scores, found[..., 5].astype(jnp.int32)
    )
    found = jnp.take_along_axis(found, kept[..., None], axis=1)
    nothing = jnp.array(NOTHING, jnp.float32)
    return jnp.where(chosen[..., None], found, nothing)


def candidate_boxes(outputs: jax.Array, *, candidates: int = CANDIDATES) -> jax.Array:
    """Return the boxes of the highest scores before any suppression, those first.

    Args:
      outputs: As for :func:`detections`.
      candidates: As for :func:`detections`.

    Returns:
      ``(batch, count, 6)`` float32: x1, y1, x2, y2, score, class; `count` is the smaller one of
      `candidates` and the number of pairs of a location and a class.
    """
    batch, locations, channels = outputs.shape
    classes = channels - CLASSES
    centerness = jax.nn.sigmoid(outputs[..., CENTERNESS, None])
    scores = jnp.sqrt(jax.nn.sigmoid(outputs[..., CLASSES:]) * centerness)
    scores, index = jax.lax.top_k(
        scores.reshape(batch, locations * classes), min(candidates, locations * classes)
    )
    label = index % classes
    rows = jnp.take_along_axis(outputs[..., :CLASSES], index[..., None] // classes, axis=1)
    place, distances = rows[..., :2], rows[..., DISTANCES]
    size = _picture_size(outputs)[:, None]
    low = jnp.clip(place - distances[..., :2], 0, size)
    high = jnp.clip(place + distances[..., 2:], 0, size)
    return jnp.concatenate(
        [low, high, scores[..., None], label[..., None].astype(jnp.float32)], axis=-1
    )


def _picture_size(outputs: jax.Array) -> jax.Array:
    """Return ``(batch, 2)``: width and height as far as the cells of the smallest stride show."""
    stride = outputs[..., 2:3]
    ends = outputs[..., :2] + stride / 2
    fine = stride == jnp.min(stride, axis=1, keepdims=True)
    return jnp.max(jnp.where(fine, ends, 0), axis=1)

"""Boxes in a picture: their overlap, and the suppression of boxes of the same thing.

A box is (x1, y1, x2, y2) in pixels from the left and the upper edge of the picture, as in
torchvision; one with x2 ≤ x1 or y2 ≤ y1 is empty.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.ops.primitives.summation import accumulator

NMS_METHODS = ("union", "minimum")
# The number of boxes chosen so far, the scores of those that are left, and the two results.
_State: TypeAlias = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def iou(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Return the intersection over union of each box with each of the others.

    IoU = area(A ∩ B) / (area(A) + area(B) − area(A ∩ B)), from 0 for boxes apart to 1 for equal
    ones. That of an empty box is 0, unlike torchvision's, which is NaN for two of them.

    >>> iou(jnp.array([[0., 0., 2., 2.]]), jnp.array([[1., 0., 3., 2.], [5., 5., 6., 6.]]))
    Array([[0.33333334, 0.        ]], dtype=float32)

    Args:
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2; halves are computed in float32.
      others: ``(other_count, 4)``, of the same dtype.

    Returns:
      ``(count, other_count)``.

    Raises:
      TypeError: an array is not floating point, or the dtypes differ.
      ValueError: an array is not ``(count, 4)``.
    """
    boxes, others = checks.array("boxes", boxes), checks.array("others", others)
    checks.boxes("boxes", boxes)
    checks.boxes("others", others)
    checks.same_dtype(boxes=boxes, others=others)
    wide = accumulator(boxes)
    pairs = boxes.astype(wide)[:, None], others.astype(wide)[None]
    return _overlap(*pairs, method="union").astype(boxes.dtype)


def nms(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    threshold: float,
    limit: int,
    method: str = "union",
) -> tuple[jax.Array, jax.Array]:
    """Choose the boxes with the highest scores of all that overlap: non-maximum suppression.

    The box with the highest score is chosen, the first one of equal scores; all boxes that overlap
    it by more than ``threshold`` are dropped; and so on with those that are left, as in
    torchvision. The results have a fixed size, so that it compiles. Use ``jax.vmap`` for several
    pictures or classes. The choice has no gradient; the boxes that are read with it do.

    >>> boxes = jnp.array([[0., 0., 2., 2.], [0., 0., 2., 3.], [5., 5., 6., 6.]])
    >>> nms(boxes, jnp.array([0.8, 0.9, 0.7]), threshold=0.5, limit=3)
    (Array([1, 2, 0], dtype=int32), Array([ True,  True, False], dtype=bool))

    Args:
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2; halves are computed in float32.
      scores: ``(count,)``, floating point. A box with a score of −∞ or NaN is never chosen: use −∞
        for rows that only fill up the array.
      threshold: Largest overlap of two chosen boxes, in [0, 1].
      limit: Largest number of chosen boxes, at least 1. The time grows with the number chosen
        times ``count``.
      method: What the intersection of two boxes is divided by: ``"union"``, the area of both
        together, or ``"minimum"``, that of the smaller one, which also drops a small box within a
        large one.

    Returns:
      The indices of the chosen boxes, ``(limit,)`` of int32, with falling scores; and
      ``(limit,)`` of bool: whether each is a chosen box. Where it is not, the index is 0.

    Raises:
      TypeError: an array is not floating point, or an option has the wrong type.
      ValueError: the shapes do not fit, or an option is out of range.
    """
    boxes, scores = checks.array("boxes", boxes), checks.array("scores", scores)
    checks.boxes("boxes", boxes)
    checks.floating("scores", scores)
    if scores.shape != boxes.shape[:1]:
        raise ValueError(
            f"scores must be ({boxes.shape[0]},), one per box. Received: shape {scores.shape}"
        )
    threshold = arguments.check_number("threshold", threshold, minimum=0, maximum=1)
    limit = arguments.check_count("limit", limit)
    arguments.check_choice("method", method, NMS_METHODS)
    indices, chosen = jnp.zeros(limit, jnp.int32), jnp.zeros(limit, bool)
    if boxes.shape[0] == 0:
        return indices, chosen
    wide = jax.lax.stop_gradient(boxes.astype(accumulator(boxes)))
    scores = jax.lax.stop_gradient(scores)
    lowest = jnp.asarray(-jnp.inf, scores.dtype)
    left = jnp.where(scores > lowest, scores, lowest)

    def any_left(state: _State) -> jax.Array:
        step, left, _, _ = state
        return (step < limit) & (jnp.max(left) > lowest)

    def choose(state: _State) -> _State:
        step, left, indices, chosen = state
        best = jnp.argmax(left).astype(jnp.int32)
        dropped = _overlap(wide, wide[best][None], method) > threshold
        left = jnp.where(dropped, lowest, left).at[best].set(lowest)
        return step + 1, left, indices.at[step].set(best), chosen.at[step].set(True)

    state = jnp.zeros((), jnp.int32), left, indices, chosen
    _, _, indices, chosen = jax.lax.while_loop(any_left, choose, state)
    return indices, chosen


def _overlap(boxes: jax.Array, others: jax.Array, method: str) -> jax.Array:
    """Return the share of the intersection; arrays ``(…, 4)`` that broadcast."""
    both = _area(
        jnp.maximum(boxes[..., :2], others[..., :2]), jnp.minimum(boxes[..., 2:], others[..., 2:])
    )
    areas = [_area(each[..., :2], each[..., 2:]) for each in (boxes, others)]
    whole = areas[0] + areas[1] - both if method == "union" else jnp.minimum(*areas)
    return jnp.where(whole > 0, both / jnp.where(whole > 0, whole, 1), 0)


def _area(low: jax.Array, high: jax.Array) -> jax.Array:
    return jnp.prod(jnp.maximum(high - low, 0), axis=-1)

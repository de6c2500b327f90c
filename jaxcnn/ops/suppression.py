"""The suppression of boxes of the same thing: non-maximum suppression, hard and soft."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments, checks
from jaxcnn.ops.boxes import overlap
from jaxcnn.ops.primitives.summation import accumulator

NMS_METHODS = ("union", "minimum")
SOFT_NMS_METHODS = ("linear", "gaussian")
# The number of boxes chosen so far, the scores of those that are left, and the results: indices,
# scores, and whether a row holds a chosen box.
_State: TypeAlias = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]
# Lower the scores of the boxes that are left by their overlap with the box that was chosen.
_Lower: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]


def nms(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    threshold: float,
    limit: int,
    method: str = "union",
    classes: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Choose the boxes with the highest scores of all that overlap: non-maximum suppression.

    The box with the highest score is chosen, the first one of equal scores; all boxes that overlap
    it by more than ``threshold`` are dropped; and so on with those that are left, as in
    torchvision. The results have a fixed size, so that it compiles. Use ``jax.vmap`` for several
    pictures. The choice has no gradient; the boxes that are read with it do.

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
      classes: ``(count,)``, integers: a box drops only boxes of its own class. The classes are
        compared, not encoded as offsets of the boxes, which round large coordinates.

    Returns:
      The indices of the chosen boxes, ``(limit,)`` of int32, with falling scores; and
      ``(limit,)`` of bool: whether each is a chosen box. Where it is not, the index is 0.

    Raises:
      TypeError: an array has the wrong dtype, or an option has the wrong type.
      ValueError: the shapes do not fit, or an option is out of range.
    """
    boxes, scores, classes = _check(boxes, scores, classes)
    threshold = arguments.check_number("threshold", threshold, minimum=0, maximum=1)
    limit = arguments.check_count("limit", limit)
    arguments.check_choice("method", method, NMS_METHODS)

    bound = overlap_bound(threshold, accumulator(boxes))

    def lower(left: jax.Array, shares: jax.Array) -> jax.Array:
        return jnp.where(shares > bound, jnp.asarray(-jnp.inf, left.dtype), left)

    indices, _, chosen = _choose(boxes, scores, classes, limit, method, lower)
    return indices, chosen


def overlap_bound(threshold: float, dtype: Any) -> np.ndarray:
    """Return the largest number of a dtype that is not above a threshold.

    torchvision compares float32 with the double that was given, of which 0.3 is below the float32
    of 3 / 10.
    """
    bound = np.asarray(threshold, dtype)
    return np.nextafter(bound, -np.inf, dtype=bound.dtype) if float(bound) > threshold else bound


def soft_nms(
    boxes: jax.Array,
    scores: jax.Array,
    *,
    limit: int,
    method: str = "gaussian",
    threshold: float = 0.3,
    sigma: float = 0.5,
    score_threshold: float = 0.001,
    classes: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Choose boxes by their scores, and lower the scores of those that overlap a chosen one.

    The box with the highest score is chosen, the first one of equal scores. The scores of those
    that are left are multiplied by 1 − IoU where the IoU is at least ``threshold`` (linear), or by
    :math:`exp(−IoU²/σ)` (Gaussian); and so on with the box that has the highest score now. Two objects
    close together are both found, the second with a lower score. The results have a fixed size and
    no gradient. Source: Bodla et al., "Soft-NMS", ICCV 2017.

    >>> boxes = jnp.array([[0., 0., 2., 2.], [0., 0., 2., 4.], [5., 5., 6., 6.]])
    >>> soft_nms(boxes, jnp.array([0.8, 0.9, 0.7]), limit=3, method="linear")
    (Array([1, 2, 0], dtype=int32), Array([0.9, 0.7, 0.4], dtype=float32), Array([ True,  True,  True], dtype=bool))

    Args:
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2; halves are computed in float32.
      scores: ``(count,)``, floating point, from 0: probabilities, not logits. Rows that only fill
        up the array have 0, −∞ or NaN.
      limit: Largest number of chosen boxes, at least 1.
      method: ``"gaussian"`` or ``"linear"``.
      threshold: The IoU from which the linear method lowers scores, in [0, 1].
      sigma: The width of the Gaussian, above 0.
      score_threshold: A box whose score falls to this or below is dropped, at least 0.
      classes: ``(count,)``, integers: a box lowers only scores of its own class.

    Returns:
      The indices of the chosen boxes, ``(limit,)`` of int32; their lowered scores, ``(limit,)``,
      falling; and ``(limit,)`` of bool: whether each is a chosen box. Where it is not, the index
      and the score are 0.

    Raises:
      TypeError: an array has the wrong dtype, or an option has the wrong type.
      ValueError: the shapes do not fit, or an option is out of range.
    """  # noqa: E501  # a row of the example is one line
    boxes, scores, classes = _check(boxes, scores, classes)
    limit = arguments.check_count("limit", limit)
    arguments.check_choice("method", method, SOFT_NMS_METHODS)
    threshold = arguments.check_number("threshold", threshold, minimum=0, maximum=1)
    sigma = arguments.check_number("sigma", sigma, above=0)
    least = arguments.check_number("score_threshold", score_threshold, minimum=0)

    def lower(left: jax.Array, shares: jax.Array) -> jax.Array:
        if method == "linear":
            factor = jnp.where(shares >= threshold, 1 - shares, 1)
        else:
            factor = jnp.exp(-(shares**2) / sigma)
        return _above(left * factor.astype(left.dtype), least)

    return _choose(boxes, _above(scores, least), classes, limit, "union", lower)


def _check(
    boxes: jax.Array, scores: jax.Array, classes: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    boxes, scores = checks.array("boxes", boxes), checks.array("scores", scores)
    checks.boxes("boxes", boxes)
    checks.floating("scores", scores)
    if classes is not None:
        classes = checks.array("classes", classes)
        checks.integers("classes", classes)
    for name, values in (("scores", scores), ("classes", classes)):
        if values is not None and values.shape != boxes.shape[:1]:
            raise ValueError(
                f"{name} must be ({boxes.shape[0]},), one per box. Received: shape {values.shape}"
            )
    return boxes, scores, classes


def _above(scores: jax.Array, least: float) -> jax.Array:
    """Return the scores above the least one, −∞ in place of others and of NaN."""
    return jnp.where(scores > least, scores, jnp.asarray(-jnp.inf, scores.dtype))


def _choose(
    boxes: jax.Array,
    scores: jax.Array,
    classes: jax.Array | None,
    limit: int,
    method: str,
    lower: _Lower,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return indices, scores and mask of the boxes that are chosen one after the other."""
    indices, chosen = jnp.zeros(limit, jnp.int32), jnp.zeros(limit, bool)
    kept = jnp.zeros(limit, scores.dtype)
    if boxes.shape[0] == 0:
        return indices, kept, chosen
    wide = jax.lax.stop_gradient(boxes.astype(accumulator(boxes)))
    left = _above(jax.lax.stop_gradient(scores), -jnp.inf)
    lowest = jnp.asarray(-jnp.inf, scores.dtype)

    def any_left(state: _State) -> jax.Array:
        step, left, *_ = state
        return (step < limit) & (jnp.max(left) > lowest)

    def choose(state: _State) -> _State:
        step, left, indices, kept, chosen = state
        best = jnp.argmax(left).astype(jnp.int32)
        shares = overlap(wide, wide[best][None], method)
        if classes is not None:
            shares = jnp.where(classes == classes[best], shares, 0)
        return (
            step + 1,
            lower(left, shares).at[best].set(lowest),
            indices.at[step].set(best),
            kept.at[step].set(left[best]),
            chosen.at[step].set(True),
        )

    state = jnp.zeros((), jnp.int32), left, indices, kept, chosen
    _, _, indices, kept, chosen = jax.lax.while_loop(any_left, choose, state)
    return indices, kept, chosen

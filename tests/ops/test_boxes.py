"""Overlap of boxes by hand, and the suppression of boxes against a list cut down in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops

COUNT, LIMIT = 12, 8


def areas(low, high):
    return np.maximum(high - low, 0).prod(-1)


def overlaps(box, others, method):
    """Intersection over the union or over the smaller area, in float64."""
    both = areas(np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:]))
    own, theirs = areas(box[:2], box[2:]), areas(others[:, :2], others[:, 2:])
    whole = own + theirs - both if method == "union" else np.minimum(own, theirs)
    return np.divide(both, whole, out=np.zeros_like(both), where=whole > 0)


def greedy(boxes, scores, threshold, limit, method="union"):
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > -np.inf]
    kept = []
    while order:
        best, order = order[0], order[1:]
        kept.append(best)
        order = [i for i in order if overlaps(boxes[best], boxes[i][None], method)[0] <= threshold]
    return kept[:limit]


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 2 / 6),
        ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7),
        ((0, 0, 4, 4), (1, 1, 3, 3), 4 / 16),  # within
        ((0, 0, 2, 2), (2, 0, 4, 2), 0),  # an edge in common
        ((0, 0, 2, 2), (5, 5, 6, 6), 0),
        ((-1.5, -0.5, 0.5, 0.5), (-0.5, -0.5, 0.5, 1.5), 1 / 3),
        ((1, 1, 1, 3), (0, 0, 4, 4), 0),  # empty
        ((1, 1, 1, 1), (1, 1, 1, 1), 0),
        ((2, 2, 0, 0), (0, 0, 2, 2), 0),  # corners in the wrong order
    ],
)
def test_iou_by_hand(box, other, expected):
    a, b = (jnp.array([each], jnp.float32) for each in (box, other))
    np.testing.assert_allclose(ops.iou(a, b), [[expected]], rtol=1e-6)
    np.testing.assert_allclose(ops.iou(b, a), [[expected]], rtol=1e-6)


def test_iou_of_empty_boxes_has_finite_gradients():
    empty = jnp.array([[1.0, 1.0, 1.0, 1.0]])
    for gradient in jax.grad(lambda a, b: ops.iou(a, b).sum(), (0, 1))(empty, empty):
        assert np.isfinite(gradient).all()


def drawn(seed, count=COUNT):
    """Boxes between whole numbers, of which many are equal or empty, and few different scores."""
    random = np.random.default_rng(seed)
    low = random.integers(0, 6, (count, 2))
    boxes = np.concatenate([low, low + random.integers(-1, 6, (count, 2))], axis=1)
    scores = random.choice([0.1, 0.5, 0.7, 0.9, -np.inf], count)
    return boxes.astype(np.float32), scores.astype(np.float32)


iou = jax.jit(ops.iou)


@given(st.integers(0, 2**16))
def test_properties_of_iou(seed):
    boxes, others = drawn(seed)[0], drawn(seed + 1, 7)[0]
    found = np.asarray(iou(boxes, others))
    expected = [overlaps(box, others, "union") for box in boxes.astype(np.float64)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found, np.asarray(iou(others, boxes)).T)
    assert ((found >= 0) & (found <= 1)).all()
    itself = np.diag(iou(boxes, boxes))
    np.testing.assert_array_equal(itself, areas(boxes[:, :2], boxes[:, 2:]) > 0)
    np.testing.assert_allclose(iou(boxes * 4 + 8, others * 4 + 8), found, rtol=1e-5)


# 0.31 is no overlap of two of these boxes, where rounding would decide.
SUPPRESS = {
    (threshold, method): jax.jit(
        jax.vmap(
            lambda boxes, scores, threshold=threshold, method=method: ops.nms(
                boxes, scores, threshold=threshold, limit=LIMIT, method=method
            )
        )
    )
    for threshold in (0.0, 0.31, 1.0)
    for method in ("union", "minimum")
}


@given(st.integers(0, 2**16), st.sampled_from(sorted(SUPPRESS)))
def test_nms_is_that_of_a_list(seed, options):
    threshold, method = options
    many = [drawn(seed + 1000 * i) for i in range(20)]
    boxes, scores = (np.stack(each) for each in zip(*many, strict=True))
    indices, chosen = map(np.asarray, SUPPRESS[options](boxes, scores))
    assert (indices[~chosen] == 0).all()
    for row, mask, box, score in zip(indices, chosen, boxes, scores, strict=True):
        expected = greedy(box.astype(np.float64), score, threshold, LIMIT, method)
        assert list(row[mask]) == expected
        assert mask[: len(expected)].all()


def suppress(boxes, scores, **options):
    indices, chosen = ops.nms(
        jnp.array(boxes, jnp.float32), jnp.array(scores, jnp.float32),
        **{"threshold": 0.5, "limit": len(boxes)} | options,
    )  # fmt: skip
    return list(np.asarray(indices)[np.asarray(chosen)])


def test_nms_by_hand():
    boxes = [[0, 0, 4, 4], [0, 0, 4, 5], [1, 1, 3, 3], [9, 9, 10, 10]]
    scores = [0.8, 0.9, 0.6, 0.7]
    assert suppress(boxes, scores) == [1, 3, 2]  # 16/20 drops the first; 4/20 keeps the small one
    assert suppress(boxes, scores, method="minimum") == [1, 3]  # 4/4 drops it
    assert suppress(boxes, scores, threshold=0.8) == [1, 0, 3, 2]  # an overlap equal to it stays
    assert suppress(boxes, scores, limit=2) == [1, 3]
    assert suppress(boxes, [0.8, float("nan"), 0.6, -float("inf")]) == [0, 2]
    assert suppress(boxes, [0.5] * 4) == [0, 2, 3]  # of equal scores the first


def test_nms_of_no_box_or_of_fewer_than_the_limit():
    none = ops.nms(jnp.zeros((0, 4)), jnp.zeros(0), threshold=0.5, limit=3)
    one = ops.nms(jnp.ones((1, 4)), jnp.ones(1), threshold=0.5, limit=3)
    assert [list(map(bool, chosen)) for _, chosen in (none, one)] == [
        [False, False, False],
        [True, False, False],
    ]


def test_a_chosen_box_is_chosen_once():
    """An empty box does not overlap itself."""
    assert suppress([[1, 1, 1, 1], [2, 2, 2, 2]], [0.9, 0.8]) == [0, 1]

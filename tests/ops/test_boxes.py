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
    halves = [[0, 0, 4, 4], [0, 0, 4, 8]]
    assert suppress(halves, [0.8, 0.9], threshold=0.5) == [1, 0]  # an overlap equal to it stays
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


def test_nms_of_classes():
    boxes = [[0, 0, 4, 4], [0, 0, 4, 5], [0, 0, 4, 4]]
    classes = jnp.array([0, 1, 0])
    assert suppress(boxes, [0.8, 0.9, 0.7], classes=classes) == [1, 0]
    # An offset of the boxes by class would round these: float32 has steps of 8 above 2²⁶.
    far = [[2.0**26 + 8 * x for x in box] for box in boxes]
    assert suppress(far, [0.8, 0.9, 0.7], classes=classes * 1000) == [1, 0]


def soft(boxes, scores, **options):
    indices, lowered, chosen = ops.soft_nms(
        jnp.array(boxes, jnp.float32), jnp.array(scores, jnp.float32),
        **{"limit": len(boxes)} | options,
    )  # fmt: skip
    mask = np.asarray(chosen)
    return list(np.asarray(indices)[mask]), np.asarray(lowered)[mask].tolist()


def test_soft_nms_by_hand():
    boxes = [[0, 0, 4, 4], [0, 0, 4, 8], [9, 9, 10, 10], [0, 0, 4, 1]]
    scores = [0.9, 0.8, 0.5, 0.1]
    indices, lowered = soft(boxes, scores, method="linear")
    assert indices == [0, 2, 1, 3]  # IoU 1/2, 0, and 1/4, below the threshold
    assert lowered == pytest.approx([0.9, 0.5, 0.4, 0.1])
    indices, lowered = soft(boxes, scores, sigma=0.5)
    first = np.exp(-0.5)  # exp(−(1/2)² / 0.5)
    assert indices == [0, 2, 1, 3]
    assert lowered == pytest.approx([0.9, 0.5, 0.8 * first, 0.1 * np.exp(-(1 / 8) - (1 / 32))])
    assert soft(boxes, scores, score_threshold=0.45)[0] == [0, 2, 1]
    assert soft(boxes, scores, classes=jnp.arange(4))[1] == pytest.approx(scores)
    assert soft(boxes, [0.9, float("nan"), -float("inf"), 0.0])[0] == [0]
    assert soft(np.zeros((0, 4)), [], limit=2) == ([], [])


def test_giou_by_hand_and_its_gradient_for_empty_boxes():
    boxes = jnp.array([[0.0, 0, 2, 2]])
    others = jnp.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [4, 0, 6, 2], [4, 4, 4, 4]])
    expected = [[1, 1 / 3, -4 / 12, -12 / 16]]
    np.testing.assert_allclose(ops.giou(boxes, others), expected, rtol=1e-6)
    empty = jnp.array([[1.0, 1, 1, 1], [0, 0, 2, 2], [3, 3, 3, 3]])
    for first in (empty, jnp.ones((3, 4)), empty[::-1]):
        pair = jax.grad(lambda a, b: ops.giou(a, b, pairwise=False).sum(), (0, 1))(first, empty)
        for gradient in pair:
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.giou(x, x[:1], pairwise=False), "the same shape where pairwise=False"),
        (lambda x: ops.giou(x[0], x), r"boxes must be \(count, 4\)"),
        (lambda x: ops.clip_boxes(x, (8,)), r"size must be \(height, width\)"),
        (lambda x: ops.clip_boxes(x, (8, 0)), "size must be at least 1"),
        (lambda x: ops.convert_boxes(x, "xyxy", "xyhw"), "Did you mean 'xywh'"),
        (lambda x: ops.box_area(x[:, :3]), r"boxes must be \(…, 4\)"),
        (lambda x: ops.boxes_to_distances(x, x), r"locations must be \(…, 2\)"),
        (lambda x: ops.distances_to_boxes(x, x[:1, :2]), "locations must have the leading axes"),
        (lambda x: ops.encode_boxes(x, x, weights=(1, 1)), "weights must be four numbers"),
        (lambda x: ops.decode_boxes(x, x, weights=(1, 1, 0, 1)), "weights must be above 0"),
        (lambda x: ops.decode_boxes(x, x[:1]), "anchors must have the leading axes"),
        (lambda x: ops.soft_nms(x, x[:, 0], limit=2, method="cubic"), "method must be"),
        (lambda x: ops.soft_nms(x, x[:, 0], limit=2, sigma=0), "sigma must be above 0"),
        (lambda x: ops.nms(x, x[:, 0], limit=2, threshold=0.5, classes=jnp.zeros(3, int)),
         r"classes must be \(2,\), one per box"),
    ],
)  # fmt: skip
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones((2, 4)))


def test_classes_are_integers():
    with pytest.raises(TypeError, match="classes must be integers"):
        ops.nms(jnp.ones((2, 4)), jnp.ones(2), limit=2, threshold=0.5, classes=jnp.zeros(2))

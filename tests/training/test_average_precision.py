"""Average precision by hand, and the metric over batches against the function of the whole set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import average_precision, mean_average_precision
from jaxcnn.training.named_metrics import METRICS, name_metrics, resolve_metrics


def rows(*boxes, most=4, empty=-1.0, column=5):
    """Boxes of one picture, filled up."""
    result = np.zeros((1, most, 6))
    result[..., column] = empty
    for number, box in enumerate(boxes):
        result[0, number] = box
    return result


def truth(*boxes):
    return rows(*boxes, column=4)


def test_a_perfect_detection_and_none():
    boxes = truth((0, 0, 10, 10, 0, 0), (20, 20, 60, 60, 1, 0))
    perfect = average_precision(rows((0, 0, 10, 10, 0.9, 0), (20, 20, 60, 60, 0.8, 1)), boxes, 3)
    # COCO adds the smallest step above 1 to the denominator of the precision.
    assert (perfect.mean, perfect.mean_50, perfect.recall) == pytest.approx((1, 1, 1))
    assert (perfect.small, perfect.medium) == pytest.approx((1, 1))
    assert np.isnan(perfect.large)
    np.testing.assert_allclose(perfect.per_class, [1, 1, np.nan])
    nothing = average_precision(rows(), boxes, 3)
    assert (nothing.mean, nothing.recall) == (0, 0)
    assert np.isnan(average_precision(rows((0, 0, 9, 9, 0.9, 0)), truth(), 1).mean)


def test_iou_decides_at_which_thresholds_a_detection_counts():
    """An IoU of 0.8 counts at the seven thresholds 0.5 … 0.8."""
    boxes = truth((0, 0, 10, 10, 0, 0))
    scores = average_precision(rows((0, 0, 10, 8, 0.9, 0)), boxes, 1)
    np.testing.assert_allclose(scores.precision[:, 0, 0], [1] * 7 + [0] * 3)
    assert scores.mean == pytest.approx(0.7)


def test_precision_falls_with_a_wrong_detection_before():
    """Wrong, right, right of two boxes: the precision is 1/2, then 2/3 at both recalls."""
    boxes = truth((0, 0, 10, 10, 0, 0), (20, 0, 30, 10, 0, 0))
    found = rows((50, 0, 60, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (20, 0, 30, 10, 0.7, 0))
    scores = average_precision(found, boxes, 1)
    np.testing.assert_allclose(scores.precision[0, :, 0], 2 / 3, rtol=1e-12)
    twice = rows((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0))
    doubled = average_precision(twice, boxes, 1)
    np.testing.assert_allclose(doubled.precision[0, :51, 0], 1)  # up to a recall of 1/2
    assert not doubled.precision[0, 51:].any()


def test_a_crowd_neither_misses_nor_is_found():
    boxes = truth((0, 0, 10, 10, 0, 0), (20, 0, 60, 40, 0, 1))
    inside = [(20, 0, 30, 10, 0.9, 0), (40, 10, 50, 20, 0.9, 0)]
    assert average_precision(rows((0, 0, 10, 10, 0.5, 0), *inside), boxes, 1).mean == pytest.approx(
        1
    )
    assert average_precision(rows((0, 0, 10, 10, 0.5, 0)), boxes, 1).mean == pytest.approx(1)


def drawn(count=12):
    random = np.random.default_rng(0)
    low = random.integers(0, 20, (count, 5, 2))
    boxes = np.concatenate([low, low + random.integers(4, 20, (count, 5, 2))], axis=-1)
    labels = random.integers(-1, 3, (count, 5, 1))
    truth = np.concatenate([boxes, labels, random.random((count, 5, 1)) < 0.1], axis=-1)
    moved = boxes + random.integers(-1, 2, boxes.shape)
    found = np.concatenate([moved, random.random((count, 5, 1)), labels], axis=-1)
    return found.astype(np.float32), truth.astype(np.float32)


@pytest.mark.parametrize("name", ["map", "map_50", "map_75"])
def test_the_metric_gathers_the_batches(name):
    found, boxes = drawn()
    expected = average_precision(found[:10], boxes[:10], 3)
    metric = METRICS[name]
    parts = [
        metric.measure(
            jnp.array(found[start : start + 4]), jnp.array(boxes[start : start + 4]),
            jnp.arange(start, start + 4) < 10,
        )
        for start in (0, 4, 8)
    ]  # fmt: skip
    gathered = jax.tree.map(lambda *each: np.concatenate(each), *parts)
    value = {"map": expected.mean, "map_50": expected.mean_50, "map_75": expected.mean_75}[name]
    assert metric.gathers
    assert metric.result(gathered) == pytest.approx(value, abs=1e-12)
    assert 0 < value < 1


def test_the_metric_by_name():
    assert name_metrics(resolve_metrics([mean_average_precision, "map_50"])) == {
        "mean_average_precision": "map", "map_50": "map_50",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_precision(np.zeros((1, 2, 5)), truth(), 1), "detections must be"),
        (lambda: average_precision(rows(), np.zeros((1, 6)), 1), "labels must be"),
        (lambda: average_precision(rows(), np.zeros((2, 1, 6)), 1), "the same pictures"),
        (lambda: average_precision(rows((0, 0, 1, 1, 1, 7)), truth(), 3), r"classes of detections"),
        (lambda: average_precision(rows((0, 0, 1, 1, np.nan, 0)), truth(), 3), "finite"),
        (lambda: average_precision(rows(), truth(), 0), "num_classes"),
        (lambda: mean_average_precision(threshold=0.52), "threshold must be one of"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_is_no_detection():
    with pytest.raises(TypeError, match="must hold numbers"):
        average_precision(np.zeros((1, 2, 6), str), truth(), 1)

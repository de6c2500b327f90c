"""Boxes of a detector's outputs, with the suppression of each class by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import detections
from jaxcnn.training.output_activation import ACTIVATIONS

NOTHING = [0, 0, 0, 0, 0, -1]


def location(x, y, distances, logits, *, stride=8, centerness=20.0):
    return [x, y, stride, *distances, centerness, *logits]


def test_boxes_scores_and_classes():
    """At p = ½ of centerness and class the score is ½; corners beyond the picture are cut."""
    outputs = jnp.asarray(
        [
            [
                location(4, 4, (9, 3, 2, 1), (-20, 0), centerness=0.0),
                location(12, 4, (1, 1, 9, 3), (20, -20)),
                location(4, 12, (1, 1, 1, 1), (-20, -20)),
            ]
        ]
    )
    found = np.asarray(detections(outputs, limit=3))
    assert found.shape == (1, 3, 6)
    assert np.allclose(found[0, 0], [11, 3, 16, 7, 1, 0], atol=1e-6)
    assert np.allclose(found[0, 1], [0, 1, 6, 5, 0.5, 1], atol=1e-6)
    assert found[0, 2].tolist() == NOTHING


def test_a_class_suppresses_only_itself():
    box = (4, 4, 4, 4)
    outputs = jnp.asarray(
        [
            [
                location(8, 8, box, (3, -20)),
                location(8, 8, box, (2, -20)),  # the same class: suppressed
                location(8, 8, box, (-20, 1)),
                location(40, 40, box, (-3.2, -20)),  # σ = 0.039, its root is 0.2
            ]
        ]
    )
    found = np.asarray(detections(outputs, limit=4))[0]
    assert found[:, 5].tolist() == [0, 1, 0, -1]
    assert np.allclose(found[:3, 4], np.sqrt(1 / (1 + np.exp([-3, -1, 3.2]))), atol=1e-6)
    above = np.asarray(detections(outputs, limit=4, score_threshold=0.5))[0]
    assert above[:, 5].tolist() == [0, 1, -1, -1]
    loose = np.asarray(detections(outputs, limit=4, iou_threshold=1))[0]
    assert loose[:, 5].tolist() == [0, 0, 1, 0]
    assert np.asarray(detections(outputs, limit=4, candidates=1))[0, :, 5].tolist() == [
        0,
        -1,
        -1,
        -1,
    ]


def test_pictures_do_not_depend_on_each_other_and_none_gives_none():
    key = jax.random.key(1)
    numbers = jax.random.normal(key, (3, 30, 4 + 2 + 3))
    place = jnp.broadcast_to(jnp.arange(30.0)[:, None] * 4 + 2, (3, 30, 2))
    strides = jnp.full((3, 30, 1), 4.0)
    outputs = jnp.concatenate([place, strides, 9 * jnp.exp(numbers[..., :4]), numbers[..., 4:]], -1)
    together = ACTIVATIONS["boxes"](outputs)
    assert together.shape == (3, 100, 6)
    for number in range(3):
        alone = detections(outputs[number : number + 1])
        assert np.allclose(alone[0], together[number], atol=1e-5)
    assert ACTIVATIONS["boxes"](outputs[:0]).shape == (0, 100, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be"),
        ({"candidates": 0}, "candidates must be"),
        ({"score_threshold": 2}, "score_threshold must be"),
        ({"iou_threshold": -1}, "iou_threshold must be"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        detections(jnp.zeros((1, 2, 9)), **options)

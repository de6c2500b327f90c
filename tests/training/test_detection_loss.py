"""The loss of a detector: the boxes of its locations, worked by hand, and what counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import detection
from jaxcnn.training.detection_loss import assign

CLASSES = 3
EMPTY = (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)
assigned = jax.jit(assign, static_argnames=("radius", "size_per_stride"))


def outputs_of(levels, *, batch=1, side=16, logit=0.0):
    """Returns outputs of square levels of these strides, with boxes of two strides."""
    rows = []
    for stride in levels:
        middles = np.arange(stride / 2, side, stride)
        y, x = (each.ravel() for each in np.meshgrid(middles, middles, indexing="ij"))
        distances = np.full((len(x), 4), stride)
        logits = np.full((len(x), 1 + CLASSES), logit)
        rows.append(np.column_stack([x, y, np.full(len(x), stride), distances, logits]))
    rows = np.concatenate(rows).astype(np.float32)
    return jnp.asarray(np.broadcast_to(rows, (batch, *rows.shape)))


def positions(target, outputs):
    """Returns x, y, stride and class of every assigned location."""
    chosen = np.asarray(target.positive[0])
    place = np.asarray(outputs[0, chosen, :3]).astype(int).tolist()
    return [
        (*each, label) for each, label in zip(place, target.label[0][chosen].tolist(), strict=True)
    ]


def assign_boxes(outputs, *boxes, radius=1.5, size_per_stride=8.0):
    labels = jnp.asarray([boxes], jnp.float32)
    return assigned(outputs, labels, radius=radius, size_per_stride=size_per_stride)


def test_locations_near_the_middle_are_assigned():
    """Strides of 4: middles at 2, 6, 10, 14; those within 1.5 · 4 of (8, 6), and in the box."""
    outputs = outputs_of([4])
    target = assign_boxes(outputs, (1, 1, 15, 11, 2, 0), EMPTY)
    # |x − 8| < 6 leaves 6 and 10 (2 and 14 are exactly 6 away); |y − 6| < 6 leaves 2, 6 and 10.
    assert positions(target, outputs) == [(x, y, 4, 2) for y in (2, 6, 10) for x in (6, 10)]
    first = np.flatnonzero(target.positive[0])[0]  # (6, 2)
    assert target.distances[0, first].tolist() == [5, 1, 9, 9]
    assert not target.ignored.any()


def test_the_smallest_box_wins():
    outputs = outputs_of([4])
    target = assign_boxes(outputs, (0, 0, 16, 16, 0, 0), (5, 5, 8, 8, 1, 0), radius=9)
    found = positions(target, outputs)
    assert (6, 6, 4, 1) in found
    assert len(found) == 16
    assert [each[3] for each in found].count(1) == 1


def test_sizes_belong_to_levels():
    """With 2 strides: up to 8 pixels to the farthest edge at stride 4, more at stride 8."""
    outputs = outputs_of([4, 8])
    small = assign_boxes(outputs, (4, 4, 8, 8, 0, 0), size_per_stride=2)
    assert positions(small, outputs) == [(6, 6, 4, 0)]
    large = assign_boxes(outputs, (0, 0, 16, 16, 1, 0), size_per_stride=2)
    # From 6 and 10 the farthest edge is at 10, beyond stride 4; from 4 and 12 at 12.
    assert positions(large, outputs) == [(x, y, 8, 1) for y in (4, 12) for x in (4, 12)]


def test_crowds_and_rows_that_fill_up_do_not_count():
    outputs = outputs_of([4])
    target = assign_boxes(outputs, (0, 0, 8, 8, 0, 1), (4, 4, 8, 8, 2, 0), EMPTY)
    assert positions(target, outputs) == [(6, 6, 4, 2)]
    ignored = np.asarray(outputs[0, np.asarray(target.ignored[0]), :2]).tolist()
    assert ignored == [[2, 2], [6, 2], [2, 6]]
    loss = jax.jit(detection)
    box, crowd = (4, 4, 8, 8, 2, 0), (0, 0, 8, 8, 0, 1)
    alone = loss(outputs, jnp.asarray([[box, EMPTY]]))
    filled = loss(outputs, jnp.asarray([[EMPTY, box]]))
    assert np.allclose(alone, filled, rtol=1e-6)
    # Three locations of 3 classes at p = ½ fewer: each class has ¾ · ¼ · log 2.
    fewer = loss(outputs, jnp.asarray([[box, crowd]]))
    assert np.allclose(alone - fewer, 9 * 0.75 * 0.25 * np.log(2), rtol=1e-5)


def test_a_perfect_output_has_no_loss_and_no_box_a_finite_gradient():
    outputs = np.array(outputs_of([4], batch=2, logit=-30.0))
    row = 5  # the location (6, 6)
    assert outputs[0, row, :2].tolist() == [6, 6]
    outputs[0, row, 3:7] = 2
    outputs[0, row, 7], outputs[0, row, 8 + 1] = 30, 30
    labels = jnp.asarray([[(4, 4, 8, 8, 1, 0)], [EMPTY]])
    losses = detection(jnp.asarray(outputs), labels)
    assert np.abs(losses).max() < 1e-6
    gradient = jax.grad(lambda y: detection(y, labels).sum())(jnp.asarray(outputs_of([4], batch=2)))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[1, :, 3:8]).max() == 0  # no box: nothing to say of distances
    assert np.abs(gradient[1, :, 8:]).min() > 0


def test_an_example_does_not_depend_on_its_batch():
    key = jax.random.key(0)
    outputs = outputs_of([4, 8], batch=2) + jnp.abs(jax.random.normal(key, (2, 20, 11)))
    outputs = outputs.at[..., :3].set(outputs_of([4, 8], batch=2)[..., :3])
    labels = jnp.asarray(
        [[(1, 2, 9, 9, 1, 0), (8, 8, 15, 15, 0, 0)], [(0, 0, 15, 12, 2, 0), EMPTY]]
    )
    both = jax.jit(detection)(outputs, labels)
    swapped = detection(outputs[::-1], labels[::-1])  # not compiled, the other way round
    changed = jax.jit(detection)(outputs.at[1].add(1), labels)
    assert np.allclose(both, swapped[::-1], rtol=1e-6)
    assert changed[0] == both[0]
    assert changed[1] != both[1]
    none = jax.jit(detection)(outputs, jnp.zeros((2, 0, 6)))
    assert np.allclose(none, jax.jit(detection)(outputs, jnp.asarray([[EMPTY, EMPTY]] * 2)))


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        ((2, 5, 8), (2, 1, 6), "outputs must be .batch, locations, 8 . classes"),
        ((2, 5, 11), (2, 1, 5), r"labels must be .batch, boxes, 6.*labels \(2, 1, 5\)"),
        ((2, 5, 11), (1, 1, 6), r"labels must be .batch, boxes, 6"),
    ],
)
def test_shapes_that_do_not_fit(outputs, labels, message):
    with pytest.raises(ValueError, match=message):
        detection(jnp.zeros(outputs), jnp.zeros(labels))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius must be above 0"),
        ({"size_per_stride": -1}, "size_per_stride must be above 0"),
        ({"alpha": 2}, "alpha must be"),
        ({"gamma": -1}, "gamma must be"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        detection(jnp.zeros((1, 2, 9)), jnp.zeros((1, 1, 6)), **options)

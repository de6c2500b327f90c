"""The measured receptive field against hand values and the computed one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.insight import measure_receptive_field


def positive(network, shape):
    """A model with weights of 1, whose derivatives cannot cancel."""
    model = network.build(shape, rngs=nnx.Rngs(0))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, cnn.modules.Conv):
            module.kernel[...] = jnp.ones_like(module.kernel[...])
    return model


def extent(influence):
    """The first position above zero on each axis, and the one after the last."""
    axes = [np.flatnonzero(influence.any(axis=a)) for a in other_axes(influence.ndim)]
    return tuple((int(axis[0]), int(axis[-1]) + 1) for axis in axes)


def other_axes(count):
    return [tuple(a for a in range(count) if a != axis) for axis in range(count)]


@pytest.mark.parametrize(
    ("shape", "strides", "field"),
    [
        ((40, 2), 2, ((14, 25),)),
        ((31, 40, 1), (1, 2), ((12, 20), (14, 25))),
        ((20, 21, 22, 1), 1, ((6, 14), (7, 15), (7, 15))),
    ],
)
def test_positive_weights_reach_the_whole_computed_field(shape, strides, field, key):
    """Convolutions of 3 and 3 with a step, a pool of 2 and a convolution of 3."""
    network = cnn.serial(
        cnn.conv(2, 3, padding=1), cnn.conv(2, 3, strides=strides, padding=1), jax.nn.relu,
        cnn.avg_pool(2, strides=1), cnn.conv(2, 3), cnn.global_avg_pool(), cnn.dense(3),
    )  # fmt: skip
    found = measure_receptive_field(key, positive(network, shape), "conv_3", samples=2)
    assert found.influence.shape == shape[:-1]
    assert found.computed == field
    assert extent(found.influence) == field


def test_influence_by_hand():
    """Of a convolution of ones it is √channels in its window, and of two a pyramid."""
    network = cnn.serial(cnn.conv(1, 3, padding=1), cnn.conv(1, 3, padding=1))
    model = positive(network, (9, 1))
    found = [
        measure_receptive_field(jax.random.key(0), model, layer, samples=500, batch_size=100)
        for layer in ("conv_1", "conv_2")
    ]
    one, two = (each.influence / each.influence.max() for each in found)
    np.testing.assert_allclose(one, [0, 0, 0, 1, 1, 1, 0, 0, 0])
    np.testing.assert_allclose(two, np.array([0, 0, 1, 2, 3, 2, 1, 0, 0]) / 3, rtol=1e-5)
    assert found[0].influence.max() == pytest.approx(1, rel=0.1)  # the deviation of N(0, 1)
    assert [each.effective_size for each in found] == [3, 5]


def test_nothing_is_measured_outside_of_the_computed_field(key):
    """With random weights, at a layer within a block and at the block, on given images."""
    network = cnn.models.create("resnet18_small", features=4)
    model = network.build((32, 32, 3), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = measure_receptive_field(key, model, "stage_2/residual_1/body/conv_1", x, samples=4)
    (top, bottom), (left, right) = found.computed
    assert (bottom - top, right - left) == (13, 13)
    outside = found.influence.copy()
    outside[top:bottom, left:right] = 0
    assert found.influence.max() > 0
    assert outside.max() == 0
    block = measure_receptive_field(key, model, "stage_2.residual_1.add", x, samples=4)
    assert block.computed[0][1] - block.computed[0][0] == 17


class Maps(nnx.Module):
    """A user's module, without a description, that returns maps."""

    def __init__(self):
        self.inner = nnx.Conv(1, 2, (3,), rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.inner(x), x


def test_a_module_without_description(key):
    x = np.ones((1, 9, 1), np.float32)
    found = measure_receptive_field(key, Maps(), "inner", x, samples=2)
    assert found.computed is None
    assert extent(found.influence) == ((3, 6),)
    with pytest.raises(ValueError, match=r"x must be images for a model without input_shape"):
        measure_receptive_field(key, Maps(), "inner")
    with pytest.raises(ValueError, match="samples must be at least 1"):
        measure_receptive_field(key, Maps(), "inner", x, samples=0)


def test_a_layer_without_spatial_axes(key):
    network = cnn.serial(cnn.conv(2, 3), cnn.global_avg_pool(), cnn.dense(2))
    model = network.build((9, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"layer must have the spatial axes.*'dense_1'"):
        measure_receptive_field(key, model, "dense_1")

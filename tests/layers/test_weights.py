"""Descriptions with weights, and pyramids of feature maps."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import load, save
from jaxcnn.layers import conv, dense, flatten, max_pool, pretrained, pyramid, serial
from jaxcnn.modules.parameter_tree import arrays_of

BODY = serial(conv(2, 1), flatten(), head=dense(3))
KERNEL = np.arange(2, dtype=np.float32).reshape(1, 1, 1, 2)
WEIGHTS = {"conv_1.kernel": KERNEL, "conv_1.bias": np.ones(2, np.float32)}


def test_weights_are_those_given_and_the_others_initialized():
    network = pretrained(BODY, WEIGHTS)
    model = network.build((2, 2, 1), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.conv_1.kernel, KERNEL)
    np.testing.assert_array_equal(model.conv_1.bias, [1, 1])
    assert np.ptp(model.head.kernel) > 0
    assert network.output_shape((2, 2, 1)) == (3,)
    assert network.multiply_adds((2, 2, 1)) == 2 * 2 * 2 + 8 * 3


def test_weights_are_copied():
    """JAX takes over the memory of an array that begins at a multiple of 64 bytes."""
    memory = np.ones(32, np.float32)
    bias = memory[-memory.ctypes.data % 64 // 4 :][:2]
    model = pretrained(BODY, WEIGHTS | {"conv_1.bias": bias}).build((2, 2, 1), rngs=nnx.Rngs(0))
    bias[:] = 5
    np.testing.assert_array_equal(model.conv_1.bias, [1, 1])


def test_weights_within_a_composition():
    network = serial(trunk=pretrained(BODY, WEIGHTS), head=dense(4))
    model = network.build((2, 2, 1), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(model.trunk.conv_1.kernel, KERNEL)
    assert model.description == network


def test_weights_are_saved_once(tmp_path):
    model = serial(pretrained(BODY, WEIGHTS)).build((2, 2, 1), rngs=nnx.Rngs(0))
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.description == serial(BODY)
    for name, array in arrays_of(model).items():
        np.testing.assert_array_equal(arrays_of(loaded)[name], array)


def test_a_description_with_weights_is_a_value():
    network = pretrained(BODY, WEIGHTS)
    assert pickle.loads(pickle.dumps(network)) == network == pretrained(BODY, dict(WEIGHTS))
    assert network != pretrained(BODY, {"conv_1.kernel": KERNEL + 1})
    assert repr(network).startswith("pretrained(serial(conv(2, 1), ")


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"conv_2.kernel": KERNEL}, ValueError, "no place in the layer: conv_2.kernel"),
        ({"conv_1.bias": KERNEL}, ValueError, r"conv_1.bias \(1, 1, 1, 2\), not \(2,\)"),
        (3, TypeError, "weights must be arrays by name, or a function .* Received: 3"),
    ],
)
def test_wrong_weights(weights, error, message):
    with pytest.raises(error, match=message):
        pretrained(BODY, weights).build((2, 2, 1), rngs=nnx.Rngs(0))


MAPS = serial(stem=conv(4, 3, padding=1), stage_1=max_pool(2), stage_2=max_pool(2))


def test_pyramid_returns_what_its_network_computes_on_the_way():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    maps = pyramid(MAPS, ("stem", "stage_2"))
    model = maps.build((8, 8, 1), rngs=nnx.Rngs(0))
    whole = MAPS.build((8, 8, 1), rngs=nnx.Rngs(0))
    early, late = model(x)
    np.testing.assert_array_equal(early, whole.stem(x))
    np.testing.assert_array_equal(late, whole(x))
    assert maps.output_shapes((8, 8, 1)) == (early.shape[1:], late.shape[1:])
    assert maps.strides((8, 8, 1)) == (1, 4)
    assert (
        arrays_of(model).keys()
        == arrays_of(whole).keys()
        == arrays_of(maps.abstract((8, 8, 1))).keys()
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pyramid(MAPS, ("stage_3",)), ValueError, "no child of the network 'stage_3'"),
        (lambda: pyramid(MAPS, ("stage_2", "stem")), ValueError, "in the order of the network"),
        (lambda: pyramid(MAPS, ()), ValueError, "in the order of the network"),
        (lambda: pyramid(conv(3, 1), ("stem",)), TypeError, r"must be a serial. .*conv\(3, 1\)"),
    ],
)
def test_wrong_pyramids(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "input_shape", "number"),
    [
        (conv(8, 3, strides=2, padding=1, groups=2), (6, 6, 4), 9 * 8 * 9 * 2),
        (conv(8, (3, 1)), (6, 6, 4), 4 * 6 * 8 * 3 * 4),
        (dense(10), (7,), 70),
        (serial(conv(2, 1), jnp.tanh, flatten(), dense(3)), (2, 2, 1), 8 + 24),
    ],
)
def test_multiply_adds_by_hand(layer, input_shape, number):
    assert layer.multiply_adds(input_shape) == number

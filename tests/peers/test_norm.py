"""Normalization layers against PyTorch and Keras."""

import jax
import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compare import (
    assert_same,
    dtypes,
    fewer,
    first,
    last,
    per_axis,
    ranks,
    run_ours,
    run_torch,
    seeds,
    whole_numbers,
)
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

import jaxcnn as cnn

channel_counts = st.integers(2, 5)
# The variance of whole numbers, and a root: gradients cancel.
TOLERANCE = {"float32": 2e-4, "bfloat16": 2**-4, "float16": 2**-7}


@st.composite
def images(draw, channels=channel_counts):
    axes = draw(ranks)
    shape = (draw(st.integers(2, 3)), *per_axis(draw, axes, 2, 5), draw(channels))
    # Whole numbers, as two values that nearly agree leave a variance of rounding errors alone.
    return whole_numbers(draw(seeds), shape, draw(dtypes), most=8)


@fewer
@given(images(), st.integers(1, 6), st.sampled_from([0.5, 0.75]))
def test_local_response_norm(x, size, beta):
    options = {"alpha": 0.5, "beta": beta, "k": 2.0}

    def torch_norm(x):
        y = F.local_response_norm(first(x).float(), size, **options)
        return last(y).to(x.dtype)

    result = run_ours(lambda x: cnn.ops.local_response_norm(x, size, **options), x)
    assert_same(result, run_torch(torch_norm, x), TOLERANCE[str(x.dtype)])


def weights(x):
    channels = x.shape[-1]
    return (
        whole_numbers(1, (channels,), x.dtype) + 0.5,
        whole_numbers(2, (channels,), x.dtype) / 2,
    )


def ours(layer, x, *, train=False):
    """The layer as a function of its input, scale and bias."""
    model = layer.build(x.shape[1:], rngs=nnx.Rngs(0))
    graphdef, statistics = nnx.graphdef(model), nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))

    def function(x, scale, *bias):
        params = {"scale": scale} | ({"bias": bias[0]} if bias else {})
        module = nnx.merge(graphdef, params, statistics)
        return cnn.modules.call(module, x, train=train)

    return function


@pytest.mark.implicit_promotion
@fewer
@given(images())
def test_layer_norm(x):
    def torch_norm(x, scale, bias):
        return F.layer_norm(x, x.shape[-1:], scale, bias, eps=1e-5)

    assert_same(
        run_ours(ours(cnn.layer_norm(), x), x, *weights(x)),
        run_torch(torch_norm, x, *weights(x)),
        TOLERANCE[str(x.dtype)],
    )


@pytest.mark.implicit_promotion
@fewer
@given(images(channels=st.just(6)), st.sampled_from([1, 2, 3, 6]))
def test_group_norm(x, groups):
    def torch_norm(x, scale, bias):
        return last(F.group_norm(first(x), groups, scale, bias, eps=1e-5))

    assert_same(
        run_ours(ours(cnn.group_norm(groups), x), x, *weights(x)),
        run_torch(torch_norm, x, *weights(x)),
        TOLERANCE[str(x.dtype)],
    )


@pytest.mark.implicit_promotion
@fewer
@given(images())
def test_instance_norm(x):
    def torch_norm(x, scale, bias):
        return last(F.instance_norm(first(x), weight=scale, bias=bias, eps=1e-5))

    assert_same(
        run_ours(ours(cnn.instance_norm(), x), x, *weights(x)),
        run_torch(torch_norm, x, *weights(x)),
        TOLERANCE[str(x.dtype)],
    )


@pytest.mark.implicit_promotion
@fewer
@given(images())
def test_rms_norm(x):
    def torch_norm(x, scale):
        return F.rms_norm(x, x.shape[-1:], scale, eps=1e-5)

    scale, _ = weights(x)
    assert_same(
        run_ours(ours(cnn.rms_norm(), x), x, scale),
        run_torch(torch_norm, x, scale),
        TOLERANCE[str(x.dtype)],
    )


@fewer
@given(images(), st.sampled_from([0.0, 0.5, 0.9]))
def test_batch_norm(x, momentum):
    def torch_norm(x, scale, bias):
        return last(F.batch_norm(first(x), None, None, scale, bias, training=True, eps=1e-5))

    assert_same(
        run_ours(ours(cnn.batch_norm(), x, train=True), x, *weights(x)),
        run_torch(torch_norm, x, *weights(x)),
        TOLERANCE[str(x.dtype)],
    )
    x = x.astype("float32")
    channels, axes = x.shape[-1], tuple(range(x.ndim - 1))
    module = cnn.batch_norm(momentum=momentum).build(x.shape[1:], rngs=nnx.Rngs(0))
    mean, variance = torch.zeros(channels), torch.ones(channels)
    tensor = torch.from_numpy(np.array(x))
    for _ in range(3):
        module(x, train=True)
        F.batch_norm(first(tensor), mean, variance, training=True, momentum=1 - momentum)
    count = np.prod([x.shape[axis] for axis in axes])
    # PyTorch's is the unbiased variance of each batch.
    expected = momentum**3 + (variance.numpy() - momentum**3) * (count - 1) / count
    np.testing.assert_allclose(module.mean[...], mean.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(module.var[...], expected, rtol=1e-4, atol=1e-5)


@fewer
@given(images())
def test_batch_norm_against_keras(x):
    x = x.astype("float32")
    peer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    module = cnn.batch_norm().build(x.shape[1:], rngs=nnx.Rngs(0))
    for train in (True, True, False):
        expected = peer(x, training=train)
        np.testing.assert_allclose(module(x, train=train), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(module.mean[...], peer.moving_mean.value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(module.var[...], peer.moving_variance.value, rtol=1e-4)


@fewer
@given(images())
def test_layer_norm_against_keras(x):
    x = x.astype("float32")
    peer = keras.layers.LayerNormalization(epsilon=1e-5)
    module = cnn.layer_norm().build(x.shape[1:], rngs=nnx.Rngs(0))
    np.testing.assert_allclose(jax.jit(module)(x), peer(x), rtol=1e-3, atol=1e-4)

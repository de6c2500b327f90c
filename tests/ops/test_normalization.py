"""Batch normalization against its definition, value by value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from ops import references

from jaxcnn import modules, ops
from jaxcnn.ops.normalization import normalize_over_batch


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_by_hand():
    x = jnp.array([[[1.0, 0.0]], [[5.0, 3.0]]])
    mean, variance = ops.batch_moments(x)
    assert (mean.tolist(), variance.tolist()) == ([3, 1.5], [4, 2.25])
    y = ops.batch_norm(x, jnp.array([2.0, 1]), jnp.array([0.0, 10]), mean, variance, epsilon=0)
    np.testing.assert_allclose(y, [[[-2, 9]], [[2, 11]]], rtol=1e-6)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.1, 1e-3]),
)
def test_values(leading, channels, use_scale, use_bias, epsilon):
    x = numbers(0, *leading, channels)
    scale = numbers(1, channels) if use_scale else None
    bias = numbers(2, channels) if use_bias else None
    running = numbers(3, channels), numbers(4, channels) ** 2

    @jax.jit
    def computed(x, scale, bias, running):
        normal = ops.batch_norm(x, scale, bias, *running, epsilon=epsilon)
        return *ops.batch_moments(x), normal

    mean, variance, y = computed(x, scale, bias, running)
    expected_mean, expected_variance = references.batch_moments(x)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, expected_variance, rtol=1e-5, atol=1e-6)
    expected = references.batch_norm(x, scale, bias, *running, epsilon)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_normalization_over_the_batch_is_the_composition():
    x, scale, bias = (numbers(i, *s) for i, s in enumerate([(2, 3, 4, 5), (5,), (5,)]))

    def composed(x, scale, bias):
        moments = ops.batch_moments(x)
        return ops.batch_norm(x, scale, bias, *moments), *moments

    def loss(function):
        return lambda *arrays: sum((part**3).sum() for part in function(*arrays))

    @jax.jit
    def computed(*arrays):
        functions = (normalize_over_batch, composed)
        values = [function(*arrays) for function in functions]
        return values, [jax.grad(loss(f), argnums=(0, 1, 2))(*arrays) for f in functions]

    values, gradients = computed(x, scale, bias)
    for one, two in zip(*values, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_a_mean_that_is_large_beside_the_deviation():
    x = jnp.array([[10_000.0], [10_001.0]])
    mean, variance = ops.batch_moments(x)
    assert (mean.item(), variance.item()) == (10_000.5, 0.25)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves_are_computed_in_float32(dtype):
    x = np.ones((4096, 1), dtype)
    x[0] = 3

    @jax.jit
    def computed(x):
        mean, variance = ops.batch_moments(x)
        half = ops.batch_norm(x, None, None, mean, variance)
        y = ops.batch_norm(x, None, None, mean, variance, dtype=jnp.float32)
        expected = ops.batch_norm(x.astype(jnp.float32), None, None, mean, variance)
        return mean, variance, half, y, expected

    mean, variance, half, y, expected = computed(x)
    assert mean.dtype == variance.dtype == jnp.float32
    assert mean.item() == pytest.approx(1 + 2 / 4096, rel=1e-6)
    assert half.dtype == x.dtype
    np.testing.assert_array_equal(y, expected)


def test_an_empty_batch_has_no_moments():
    mean, variance = ops.batch_moments(jnp.zeros((0, 4, 3)))
    assert jnp.isnan(mean).all()
    assert jnp.isnan(variance).all()


def test_the_module_normalizes_with_the_operation():
    x = jnp.asarray(numbers(0, 2, 3, 4))
    module = modules.BatchNorm(4, momentum=0.75, epsilon=0.1, rngs=nnx.Rngs(0))
    module.scale[...], module.bias[...] = jnp.arange(4.0), jnp.arange(4.0) - 1
    scale, bias = module.scale[...], module.bias[...]
    old = module.mean[...], module.var[...]
    np.testing.assert_array_equal(module(x), ops.batch_norm(x, scale, bias, *old, epsilon=0.1))
    moments = ops.batch_moments(x)
    y = module(x, train=True)
    np.testing.assert_array_equal(y, ops.batch_norm(x, scale, bias, *moments, epsilon=0.1))
    for running, before, batch in zip((module.mean, module.var), old, moments, strict=True):
        np.testing.assert_allclose(running[...], 0.75 * before + 0.25 * batch, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": jnp.zeros(3)}, ValueError, r"x must be \(batch, …, channels\) with two axes or"),
        ({"x": jnp.zeros((2, 3), int)}, TypeError, "x must be floating point"),
        ({"x": [[1.0]]}, TypeError, "x must be an array"),
        ({"x": jnp.zeros((2, 3, 4))}, ValueError, "x must have 3 channels .* channels-first"),
        ({"scale": jnp.zeros(4)}, ValueError, r"scale must be \(channels,\) = \(3,\), as the last"),
        ({"bias": jnp.zeros((1, 3))}, ValueError, r"bias must be .* Received: shape \(1, 3\)"),
        ({"bias": jnp.zeros(3, int)}, TypeError, "bias must be floating point"),
        ({"mean": jnp.zeros((3, 3))}, ValueError, r"mean must be \(channels,\)\. Received: shape"),
        ({"mean": None}, TypeError, "mean must be an array"),
        ({"variance": jnp.zeros(1)}, ValueError, r"variance must be \(channels,\) = \(3,\)"),
        ({"epsilon": -1}, ValueError, "epsilon must be .*Received: epsilon=-1"),
        ({"epsilon": "0"}, TypeError, "epsilon must be .*Received: epsilon='0'"),
    ],
)
def test_errors(change, error, message):
    ones = jnp.ones(3)
    call = {"x": jnp.ones((2, 3)), "scale": ones, "bias": ones, "mean": ones, "variance": ones}
    with pytest.raises(error, match=message):
        ops.batch_norm(**call | change)


def test_errors_of_moments():
    with pytest.raises(ValueError, match=r"x must be \(batch, …, channels\)"):
        ops.batch_moments(jnp.zeros(3))
    with pytest.raises(TypeError, match="x must be floating point"):
        ops.batch_moments(jnp.zeros((2, 3), int))


def test_a_variance_of_an_example_that_overflows_is_noticed():
    """Squares of 1e30 overflow in float32; the results must not be 0 then."""
    x = numbers(0, 2, 4, 5, 6)
    x[0] *= 1e30  # the other example stays as it is
    norms = [
        modules.LayerNorm(6, rngs=nnx.Rngs(0)),
        modules.InstanceNorm(6, rngs=nnx.Rngs(0)),
        modules.RMSNorm(6, rngs=nnx.Rngs(0)),
        modules.GroupNorm(6, num_groups=1, rngs=nnx.Rngs(0)),
    ]
    for y in jax.jit(lambda x: [norm(x) for norm in norms])(x):
        assert jnp.isnan(y[0]).all()
        assert jnp.isfinite(y[1]).all()


def test_a_variance_that_overflows_is_noticed():
    """The variance of the batch is a result too: it is infinite, and what it divides NaN."""
    x = jnp.asarray(numbers(0, 4, 3, 2) * np.array([1e25, 1], np.float32))
    y, mean, variance = jax.jit(lambda x: normalize_over_batch(x, None, None))(x)
    assert variance[0] == jnp.inf
    assert jnp.isfinite(mean).all()
    at_inference = ops.batch_norm(x, None, None, mean, variance)
    for result in (y, at_inference):
        assert jnp.isnan(result[..., 0]).all()
        assert jnp.isfinite(result[..., 1]).all()

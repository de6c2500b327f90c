"""The max pool and its derivatives on CPU against XLA's and a slow definition."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxcnn import ops, shapes
from jaxcnn.ops.primitives import max_slices, maximum
from jaxcnn.ops.primitives.max_plain import MAX_PLAIN


@st.composite
def pools(draw, largest_dilation):
    axes = draw(st.integers(1, 3))
    each = st.tuples(*[st.integers(1, 4)] * axes)
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    spatial = draw(st.tuples(*[st.integers(1, 9)] * axes))
    try:
        return shapes.pool_windows(
            spatial,
            draw(each),
            strides=draw(each),
            padding=draw(st.tuples(*[pair] * axes)),
            dilation=draw(st.tuples(*[st.integers(1, largest_dilation)] * axes)),
            ceil_mode=draw(st.booleans()),
        )
    except ValueError:
        assume(False)


def small_numbers(seed, *shape):
    """Whole numbers with many ties."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32)


def slow_gradient(x, dy, windows):
    """Gives each value of ``dy`` to the first maximum of its window, one by one."""
    dx = np.zeros_like(x)
    for place in np.ndindex(*dy.shape):
        example, *at, channel = place
        best, winner = -np.inf, None
        for offset in itertools.product(*map(range, windows.window)):
            position = [
                a * s - low + o * d
                for a, s, (low, _), o, d in zip(
                    at, windows.strides, windows.padding, offset, windows.dilation, strict=True
                )
            ]
            if all(0 <= p < n for p, n in zip(position, windows.spatial, strict=True)):
                value = x[(example, *position, channel)]
                if winner is None or value > best or (np.isnan(value) and not np.isnan(best)):
                    best, winner = value, (example, *position, channel)
        dx[winner] += dy[place]
    return dx


@given(pools(2), st.booleans())
def test_value_and_derivatives(windows, with_nan):
    """The gradient by a slow definition; the tangent by the transpose of the gradient."""
    x = small_numbers(0, 2, *windows.spatial, 2)
    if with_nan:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    dx = small_numbers(1, *x.shape)
    dy = small_numbers(2, 2, *windows.output_sizes, 2)

    @jax.jit  # one program compiles faster than its parts
    def run(x, dx, dy):
        def pool(x):
            return maximum.window_max(x, windows)

        y, pull_back = jax.vjp(pool, x)
        tangent = jax.jvp(pool, (x,), (dx,))[1]
        return y, MAX_PLAIN.value(x, windows), pull_back(dy)[0], tangent

    y, expected, gradient, tangent = map(np.asarray, run(x, dx, dy))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(gradient, slow_gradient(x, dy, windows))
    np.testing.assert_array_equal((tangent * dy).sum(), (dx * gradient).sum())


def test_second_derivative():
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype(np.float32)
    windows = shapes.pool_windows((7, 7), 3, strides=2, padding=1)

    def derivatives(pool):
        gradient = jax.grad(lambda x: (pool(x) ** 3).sum())
        twice = jax.grad(lambda x: (gradient(x) ** 2).sum())
        return jax.jit(lambda x: (jax.jvp(gradient, (x,), (x,))[1], twice(x)))(x)

    ours = derivatives(lambda x: ops.max_pool(x, 3, strides=2, padding=1))
    plain = derivatives(lambda x: MAX_PLAIN.value(x, windows))
    for one, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-6)


@pytest.mark.parametrize("window", [15, 16])
def test_offsets_of_large_windows(window):
    """They are taken axis by axis, and along an axis of 256 offsets would need a second byte."""
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    windows = shapes.pool_windows((32, 32), window)
    dy = np.ones((1, *windows.output_sizes, 1), np.float32)

    @jax.jit
    def gradients(x, dy):
        by_slices = max_slices.cotangent(dy, x, max_slices.index(x, windows), windows)
        return by_slices, jax.grad(lambda x: ops.max_pool(x, window).sum())(x)

    expected = slow_gradient(x, dy, windows)
    for gradient in gradients(x, dy):
        np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("axis", [0, 1, 4])
def test_vmap(axis):
    x = small_numbers(0, 2, 5, 5, 2)
    gradient = jax.jit(jax.grad(lambda x: (ops.max_pool(x, 3, strides=2) ** 2).sum()))
    many = np.stack([x, x + 1, -x], axis=axis)
    together = jax.jit(jax.vmap(gradient, in_axes=axis))(many)
    for result, one in zip(np.asarray(together), (x, x + 1, -x), strict=True):
        np.testing.assert_array_equal(result, gradient(one))


def test_nothing_is_scattered():
    step = jax.jit(jax.grad(lambda x: (ops.max_pool(x, 3, strides=2) ** 2).sum()))
    assert "select_and_scatter" not in step.lower(jnp.ones((4, 16, 16, 32))).as_text()

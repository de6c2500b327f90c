"""The max pool's derivative on CPU, from offsets kept, against XLA's and a slow definition."""

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
def test_gradients(windows, with_nan):
    x = small_numbers(0, 2, *windows.spatial, 2)
    if with_nan:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    dy = small_numbers(2, 2, *windows.output_sizes, 2)
    y, pull_back = jax.vjp(lambda x: maximum.window_max(x, windows), jnp.asarray(x))
    np.testing.assert_array_equal(y, MAX_PLAIN.value(x, windows))
    np.testing.assert_array_equal(pull_back(jnp.asarray(dy))[0], slow_gradient(x, dy, windows))


@given(pools(1))
def test_forward_is_the_transpose_of_reverse(windows):
    x = jnp.asarray(small_numbers(0, 2, *windows.spatial, 2))
    dx = jnp.asarray(small_numbers(1, *x.shape))

    def pool(x):
        return maximum.window_max(x, windows)

    dy = jax.jvp(pool, (x,), (dx,))[1]
    weights = jnp.asarray(small_numbers(2, *dy.shape))
    dx_of_weights = jax.vjp(pool, x)[1](weights)[0]
    np.testing.assert_array_equal((dy * weights).sum(), (dx * dx_of_weights).sum())


def test_second_derivative():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 7, 3)), jnp.float32)

    def loss(pool):
        return lambda x: (pool(x) ** 3).sum()

    windows = shapes.pool_windows((7, 7), 3, strides=2, padding=1)
    for twice in (lambda f: jax.jvp(jax.grad(f), (x,), (x,))[1],
                  lambda f: jax.grad(lambda x: (jax.grad(f)(x) ** 2).sum())(x)):  # fmt: skip
        np.testing.assert_allclose(
            twice(loss(lambda x: ops.max_pool(x, 3, strides=2, padding=1))),
            twice(loss(lambda x: MAX_PLAIN.value(x, windows))),
            rtol=1e-6,
        )


@pytest.mark.parametrize("window", [15, 16])
def test_offsets_of_large_windows(window):
    """They are taken axis by axis, and along an axis of 256 offsets would need a second byte."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 32, 32, 1)), jnp.float32)
    windows = shapes.pool_windows((32, 32), window)
    dy = jnp.ones((1, *windows.output_sizes, 1))
    index = max_slices.index(x, windows)
    expected = slow_gradient(np.asarray(x), np.asarray(dy), windows)
    np.testing.assert_array_equal(max_slices.cotangent(dy, x, index, windows), expected)
    np.testing.assert_array_equal(jax.grad(lambda x: ops.max_pool(x, window).sum())(x), expected)


@pytest.mark.parametrize("axis", [0, 1, 4])
def test_vmap(axis):
    x = jnp.asarray(small_numbers(0, 2, 5, 5, 2))
    many = jnp.stack([x, x + 1, -x], axis=axis)
    gradient = jax.grad(lambda x: (ops.max_pool(x, 3, strides=2) ** 2).sum())
    together = jax.vmap(gradient, in_axes=axis)(many)
    for index, result in enumerate(together):
        np.testing.assert_array_equal(result, gradient(jnp.take(many, index, axis)))


def test_nothing_is_scattered():
    step = jax.jit(jax.grad(lambda x: (ops.max_pool(x, 3, strides=2) ** 2).sum()))
    assert "select_and_scatter" not in step.lower(jnp.ones((4, 16, 16, 32))).as_text()

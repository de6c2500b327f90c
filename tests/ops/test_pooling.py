"""Pools against their definitions, window by window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops import references
from ops.references import cases

from jaxcnn import ops, shapes


def few_values(seed, *shape, dtype=np.float32):
    """Whole numbers in −2…2, so that most windows have ties."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)


@given(cases(max_size=6, pool=True), st.integers(0, 2), st.booleans())
def test_max_pool_and_its_derivatives(case, batch, with_nan):
    """The tangent of a window is that of its first largest value."""
    x, dx = few_values(0, batch, *case.spatial, 2), few_values(1, batch, *case.spatial, 2)
    if with_nan:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    dy = few_values(2, batch, *shapes.pool_shape(x.shape[1:], case.window, **case.options))

    def pool(x):
        return ops.max_pool(x, case.window, **case.options)

    @jax.jit  # one program compiles faster than three
    def run(x, dx, dy):
        y, pull_back = jax.vjp(pool, x)
        return y, pull_back(dy)[0], jax.jvp(pool, (x,), (dx,))[1]

    y, gradient, tangent = run(x, dx, dy)
    np.testing.assert_array_equal(y, references.max_pool(x, case.axes))
    np.testing.assert_array_equal(gradient, references.max_pool_gradient(x, dy, case.axes))
    expected = np.zeros_like(y)
    for index, winner in references.winners(x, case.axes):
        expected[index] = 0 if winner is None else dx[winner]
    np.testing.assert_array_equal(tangent, expected)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bfloat16", "float16"])
def test_max_pool_of_other_types(dtype):
    x = np.random.default_rng(0).integers(0, 100, (2, 7, 6, 3)).astype(dtype)
    case = {"strides": 2, "padding": 1, "ceil_mode": True}
    axes = [references.Axis(n, 3, 2, (1, 1), 1, True) for n in (7, 6)]
    y = jax.jit(lambda x: ops.max_pool(x, 3, **case))(x)
    assert y.dtype == x.dtype
    expected = references.max_pool(x.astype(np.float32), axes)
    np.testing.assert_array_equal(np.asarray(y, np.float32), expected)


@given(cases(max_size=6, pool=True), st.integers(0, 2), st.sampled_from([1, 2, 3, 2.5]))
def test_sums_means_and_norms(case, batch, p):
    x = few_values(0, batch, *case.spatial, 2)
    dy = few_values(1, batch, *shapes.pool_shape(x.shape[1:], case.window, **case.options))
    dx = few_values(2, *x.shape)

    @jax.jit  # one program compiles faster than four
    def run(x, dy):
        y, pull_back = jax.vjp(lambda x: ops.sum_pool(x, case.window, **case.options), x)
        means = [
            ops.avg_pool(x, case.window, **case.options, count_include_pad=include)
            for include in (False, True)
        ]
        return y, pull_back(dy)[0], means, ops.lp_pool(x, case.window, p, **case.options)

    y, transposed, means, norm = run(x, dy)
    np.testing.assert_array_equal(y, references.sum_pool(x, case.axes))
    assert (transposed * dx).sum() == (dy * references.sum_pool(dx, case.axes)).sum()
    for include, mean in zip((False, True), means, strict=True):
        expected = references.avg_pool(x, case.axes, count_include_pad=include)
        np.testing.assert_allclose(mean, expected, rtol=1e-6)
    np.testing.assert_allclose(norm, references.lp_pool(x, case.axes, p), rtol=1e-5)


def test_lp_pool_of_zeros_has_gradient_zero():
    gradient = jax.jit(jax.grad(lambda x: ops.lp_pool(x, 2, 2).sum()))(np.zeros((1, 4, 1), "f4"))
    assert gradient.ravel().tolist() == [0, 0, 0, 0]


sizes = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 8)), min_size=1, max_size=3)


@given(sizes)
def test_adaptive_pools(sizes):
    spatial, counts = zip(*sizes, strict=True)
    x = few_values(0, 2, *spatial, 2)
    largest, mean = jax.jit(
        lambda x: (ops.adaptive_max_pool(x, counts), ops.adaptive_avg_pool(x, counts))
    )(x)
    for y, reduce in ((largest, np.max), (mean, np.mean)):
        assert y.shape[1:] == shapes.adaptive_shape(x.shape[1:], counts)
        expected = references.adaptive_pool(x, counts, reduce)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.booleans())
def test_global_pools(spatial, keepdims):
    x = few_values(0, 2, *spatial, 3)
    axes = tuple(range(1, x.ndim - 1))
    largest, mean = jax.jit(
        lambda x: (
            ops.global_max_pool(x, keepdims=keepdims),
            ops.global_avg_pool(x, keepdims=keepdims),
        )
    )(x)
    np.testing.assert_array_equal(largest, x.max(axes, keepdims=keepdims))
    np.testing.assert_allclose(mean, x.mean(axes, keepdims=keepdims), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("op", [ops.global_max_pool, lambda x: ops.adaptive_max_pool(x, 1)])
def test_a_tie_over_everything_goes_to_the_first(op):
    gradient = jax.jit(jax.grad(lambda x: op(x).sum()))(np.ones((1, 2, 3, 1), np.float32))
    assert np.ravel(gradient).tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("count_include_pad", [False, True])
def test_divisor_at_the_border(count_include_pad):
    """Keras's mean is of what is there; PyTorch's default counts the padding."""
    y = ops.avg_pool(
        jnp.ones((1, 3, 1)), 2, strides=1, padding=1, count_include_pad=count_include_pad
    )
    assert y.ravel().tolist() == ([0.5, 1, 1, 0.5] if count_include_pad else [1, 1, 1, 1])


def test_what_ceil_mode_reads_past_the_padding_counts_in_no_divisor():
    """PyTorch's rule: five ones, pairs; the last window has one position."""
    x = jnp.ones((1, 5, 1))
    for count_include_pad in (False, True):
        y = ops.avg_pool(x, 2, ceil_mode=True, count_include_pad=count_include_pad)
        assert y.ravel().tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves_are_summed_in_float32(dtype):
    @jax.jit
    def means(x):
        return {
            "avg_pool": ops.avg_pool(x, 4096),
            "sum_pool": ops.sum_pool(x, 4096) / 4096,
            "lp_pool": ops.lp_pool(x, 4096, 1) / 4096,
            "global_avg_pool": ops.global_avg_pool(x),
            "adaptive_avg_pool": ops.adaptive_avg_pool(x, 1),
        }

    found = means(jnp.ones((1, 4096, 1), dtype))
    assert {name: y.dtype for name, y in found.items()} == dict.fromkeys(found, jnp.dtype(dtype))
    assert {name: y.item() for name, y in found.items()} == dict.fromkeys(found, 1)


POOLS = {
    "max_pool": lambda x: ops.max_pool(x, 2, strides=1),
    "avg_pool": lambda x: ops.avg_pool(x, 3, strides=2),
    "sum_pool": lambda x: ops.sum_pool(x, 2),
    "lp_pool": lambda x: ops.lp_pool(x, 2, 2),
    "adaptive_max_pool": lambda x: ops.adaptive_max_pool(x, 4),
    "adaptive_avg_pool": lambda x: ops.adaptive_avg_pool(x, 4),
    "global_max_pool": lambda x: ops.global_max_pool(x, keepdims=True),
    "global_avg_pool": lambda x: ops.global_avg_pool(x, keepdims=True),
}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_nan_and_infinity_stay_in_their_windows(pool, value):
    """Wherever one stands, those outputs have it that depend on its place, and no others."""
    x, pool = np.arange(9, dtype=np.float32).reshape(1, 9, 1), jax.jit(pool)
    for place in range(9):
        large, bad = x.copy(), x.copy()
        large[0, place, 0], bad[0, place, 0] = 1e3, value
        touched = np.asarray(pool(large)) != np.asarray(pool(x))
        np.testing.assert_array_equal(~np.isfinite(pool(bad)), touched)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lp_pool_takes_powers_in_float32(dtype):
    """The squares of 300 are beyond float16; those of bfloat16 would be rounded before the sum."""
    x = np.random.default_rng(0).uniform(200, 300, (1, 64, 1))
    half = x.astype(dtype)
    exact = np.sqrt((np.asarray(half, np.float64) ** 2).sum())
    y = jax.jit(lambda x: ops.lp_pool(x, 64, 2))(half).item()
    assert y == pytest.approx(exact, rel=float(jnp.finfo(dtype).eps) / 2)


def test_windows_of_any_librarys_numbers():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    for two in (np.int64(2), np.array(2), jnp.array(2), np.array([2, 2])):
        np.testing.assert_array_equal(ops.max_pool(x, two), ops.max_pool(x, 2))


def test_windows_that_step_over_the_input_have_gradient_zero():
    """A dilated window around a single position reads only padding."""
    options = {"strides": 2, "padding": 1, "dilation": 2}
    x = np.ones((1, 1, 1), np.float32)
    gradient = jax.jit(jax.grad(lambda x: ops.sum_pool(x, 2, **options).sum()))(x)
    assert gradient.tolist() == [[[0]]]


@pytest.mark.parametrize("p", [2, 2.5, 100])
@pytest.mark.parametrize("window", [(1, 2), (1, 70)])
def test_lp_pool_of_huge_and_tiny_values(p, window):
    """Squares of 1e30 and 1e-30 are out of range in float32, norms and their gradients are not."""
    x = np.array([3e30, 4e30, 3e-30, 4e-30, 3.0, 4.0, 0.0, 0.0]) * np.array([[1], [1e-5]])
    x = x.reshape(2, 4, 2)[..., ::-1]
    expected = np.array([1, (3**p + 4**p) ** (1 / p), 4.0 * (1 + 0.75**p) ** (1 / p)])[-1]
    wide = np.zeros((8, 1, window[1], 1), np.float32)
    wide[:, 0, :2, 0] = x.reshape(8, 2)

    @jax.jit
    def computed(x):
        y, pull_back = jax.vjp(lambda x: ops.lp_pool(x, window, p), x)
        return y, pull_back(jnp.ones_like(y))[0]

    y, gradient = computed(wide)
    units = wide.max(axis=(1, 2, 3)) / 4
    np.testing.assert_allclose(y.ravel(), units * expected, rtol=1e-5)
    exact = (np.array([4, 3]) / expected) ** (p - 1)
    np.testing.assert_allclose(gradient[:3, 0, :2, 0], [exact] * 3, rtol=1e-4, atol=1e-12)
    assert not gradient[3].any()


def test_lp_pool_keeps_infinity_and_nan_in_their_windows():
    x = jnp.array([jnp.inf, 1, jnp.nan, 1, 3, 4])[None, :, None]
    y = jax.jit(lambda x: ops.lp_pool(x, 2, 2))(x)[0, :, 0]
    np.testing.assert_allclose(y, [np.inf, np.nan, 5])

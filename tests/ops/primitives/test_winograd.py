"""Winograd's way against the direct sum: values, both gradients, second order."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import ops, shapes
from jaxcnn.ops.primitives import conv_winograd as winograd
from jaxcnn.ops.primitives.conv_plain import PLAIN
from jaxcnn.ops.primitives.conv_strategy import Convolution


def normal(seed, *shape):
    return jax.device_put(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def assert_close(actual, expected):
    """Rounding is relative to the largest value: sums of opposite numbers lose digits."""
    scale = np.abs(np.asarray(expected)).max() + 1e-6
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


pair = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=10)  # each compiles a large program
@given(
    st.integers(1, 3), st.integers(3, 11), st.integers(3, 11), st.integers(1, 5),
    st.integers(1, 5), st.tuples(pair, pair),
)  # fmt: skip
def test_values_and_kernel_gradients(batch, height, width, in_features, features, padding):
    windows = shapes.windows((height, width), 3, padding=padding)
    convolution = Convolution(windows, 1, None)
    x, kernel = normal(0, batch, height, width, in_features), normal(1, 3, 3, in_features, features)

    @jax.jit  # one program compiles faster than its operations one by one
    def ours_and_plain(x, kernel):
        y = PLAIN.value(x, kernel, convolution)
        ours = (
            winograd.value(x, kernel, convolution),
            winograd.kernel_gradient(x, y, convolution),
        )
        return ours, (y, PLAIN.kernel_gradient(x, y, convolution))

    jax.tree.map(assert_close, *ours_and_plain(x, kernel))


def test_matrices_give_the_correlation_of_one_tile():
    """One axis, in float64: four outputs of a kernel of three over six inputs."""
    inputs, kernels, products = (m.astype(np.float64) for m in (
        winograd._INPUTS, winograd._KERNELS, winograd._PRODUCTS
    ))  # fmt: skip
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=6), rng.normal(size=3)
    expected = np.correlate(x, kernel, "valid")
    np.testing.assert_allclose(
        products @ ((inputs @ x) * (kernels @ kernel)), expected, rtol=0, atol=1e-6
    )


@pytest.mark.long
@pytest.mark.parametrize("padding", [0, 1, 2, ((0, 1), (2, 0))])
def test_a_large_convolution_takes_it_and_all_derivatives_agree(padding):
    x, kernel = normal(0, 4, 21, 18, 32), normal(1, 3, 3, 32, 40) / 17
    dx, dkernel = normal(2, *x.shape), normal(3, *kernel.shape) / 17
    windows = shapes.windows((21, 18), 3, padding=padding)
    assert winograd.suits(Convolution(windows), 4, 32, 40)

    def derivatives(conv):
        def loss(x, k):
            return (conv(x, k) ** 3).mean()

        gradient = jax.grad(loss, argnums=(0, 1))
        value = conv(x, kernel)
        return value, *gradient(x, kernel), *jax.jvp(gradient, (x, kernel), (dx, dkernel))[1]

    def plain(x, kernel):
        return PLAIN.value(x, kernel, Convolution(windows, 1, None))

    def ours(x, kernel):
        return ops.conv(x, kernel, padding=padding)

    assert "jit(along_height)" in jax.jit(ours).lower(x, kernel).as_text(debug_info=True)
    for actual, expected in zip(derivatives(ours), derivatives(plain), strict=True):
        assert_close(actual, expected)


def test_under_vmap():
    x, kernel = normal(0, 2, 4, 20, 20, 32), normal(1, 3, 3, 32, 32)
    conv = jax.jit(ops.conv)
    together = jax.jit(jax.vmap(conv, in_axes=(0, None)))(x, kernel)
    for one, expected in zip(np.asarray(x), np.asarray(together), strict=True):
        assert_close(conv(one, kernel), expected)


@pytest.mark.parametrize(
    ("spatial", "window", "options"),
    [
        ((32, 32), (5, 5), {}),
        ((32, 32), (3, 3), {"strides": 2}),
        ((32, 32), (3, 3), {"dilation": 2}),
        ((32, 32), (3, 3), {"padding": 3}),
        ((4, 4), (3, 3), {}),
        ((32,), (3,), {}),
        ((8, 32, 32), (1, 3, 3), {}),
    ],
)
def test_what_does_not_suit(spatial, window, options):
    windows = shapes.windows(spatial, window, **options)
    assert not winograd.suits(Convolution(windows), 32, 64, 64)
    assert not winograd.suits(Convolution(shapes.windows((32, 32), 3), groups=2), 32, 64, 64)


@pytest.mark.parametrize("precision", ["highest", jax.lax.Precision.DEFAULT])
def test_a_precision_asks_for_the_direct_sum(precision):
    x, kernel = normal(0, 4, 20, 20, 32), normal(1, 3, 3, 32, 32)

    def conv(x, kernel):
        return ops.conv(x, kernel, precision=precision)

    assert "along_height" not in jax.jit(conv).lower(x, kernel).as_text(debug_info=True)

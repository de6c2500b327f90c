"""Cases that the test suites and bug reports of PyTorch, Flax, Keras and JAX found worth keeping.

Inputs and expected values are theirs, or worked out by hand from their description.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ops import references
from ops.references import Axis

from jaxcnn import ops


def row(*values):
    return jax.device_put(np.array(values, np.float32)[None, :, None])


def weights(*values):
    return jax.device_put(np.array(values, np.float32)[:, None, None])


def square(rows):
    return jax.device_put(np.array(rows, np.float32)[None, :, :, None])


# Flax: tests/linen/linen_linear_test.py


def test_flax_convolution_of_ones():
    """Eight positions of three channels under a window of three, and a bias of 1."""
    y = ops.conv(jnp.ones((1, 8, 3)), jnp.ones((3, 3, 4)), jnp.ones(4))
    np.testing.assert_array_equal(y, np.full((1, 6, 4), 10))


def test_flax_grouped_convolution_of_ones():
    y = ops.conv(jnp.ones((1, 8, 4)), jnp.ones((3, 2, 4)), jnp.ones(4), groups=2)
    np.testing.assert_array_equal(y, np.full((1, 6, 4), 7))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [9, 8, 12, 16, 15]),
        ({"dilation": 2}, [9, 13, 12, 11, 15]),
        ({"strides": 2}, [9, 12, 15]),
    ],
)
def test_flax_circular_convolution(options, expected):
    """Five values around a circle, each twice and its neighbors once."""
    width = options.get("dilation", 1)
    y = ops.conv(
        row(1, 2, 3, 4, 5), weights(1, 2, 1), padding=width, padding_mode="circular", **options
    )
    assert y.ravel().tolist() == expected


def test_flax_circular_convolution_of_a_square():
    x = square([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    kernel = jnp.array([[0.0, 1, 0], [1, 2, 1], [0, 1, 0]])[:, :, None, None]
    y = ops.conv(x, kernel, padding=1, padding_mode="circular")
    np.testing.assert_array_equal(y[0, :, :, 0], [[18, 21, 24], [27, 30, 33], [36, 39, 42]])


def test_flax_reflecting_convolution():
    y = ops.conv(row(1, 2, 3, 4, 5), weights(1, 2, 1), padding=1, padding_mode="reflect")
    assert y.ravel().tolist() == [6, 8, 12, 16, 18]


@pytest.mark.parametrize(("flip", "expected"), [(False, [1, 3, 3, 2]), (True, [2, 3, 3, 1])])
def test_flax_transposed_kernel_is_ours_flipped(flip, expected):
    """Flax's default spreads a kernel of (2, 1) the other way round; PyTorch and we do not."""
    kernel = weights(1, 2)[::-1] if flip else weights(1, 2)
    assert ops.conv_transpose(row(1, 1, 1), kernel).ravel().tolist() == expected


# Flax: tests/linen/linen_test.py, pooling


def test_flax_max_pool_gradient():
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    gradient = jax.jit(jax.grad(lambda x: ops.max_pool(x, 2, strides=1).sum()))(x)
    np.testing.assert_array_equal(
        np.asarray(gradient)[0, :, :, 0], [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    )


def test_flax_avg_pool_gradient():
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    gradient = jax.jit(jax.grad(lambda x: ops.avg_pool(x, 2, strides=1).sum()))(x)
    expected = [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]
    np.testing.assert_array_equal(np.asarray(gradient)[0, :, :, 0], expected)


@pytest.mark.parametrize(
    ("count_include_pad", "expected"),
    [(True, [[10 / 4, 6 / 4], [7 / 4, 4 / 4]]), (False, [[10 / 4, 6 / 2], [7 / 2, 4 / 1]])],
)
def test_flax_avg_pool_same(count_include_pad, expected):
    y = ops.avg_pool(
        square([[1, 2], [3, 4]]), 2, strides=1, padding="SAME", count_include_pad=count_include_pad
    )
    np.testing.assert_array_equal(y[0, :, :, 0], expected)


# PyTorch: test/nn/test_pooling.py, test/nn/test_convolution.py


def test_torch_max_pool_of_large_negative_values():
    """Padding is below them all, and −inf itself may win."""
    y = ops.max_pool(row(-1e30, -2e30, -jnp.inf), 2, strides=1, padding=1)
    np.testing.assert_array_equal(y.ravel(), np.float32([-1e30, -1e30, -2e30, -np.inf]))


@pytest.mark.parametrize("place", range(4))
def test_torch_max_pool_of_nan(place):
    x = row(*(np.nan if i == place else i for i in range(4)))
    y, gradient = jax.jit(jax.value_and_grad(lambda x: ops.max_pool(x, 4).sum()))(x)
    assert np.isnan(y.item())
    assert np.ravel(gradient).tolist() == [i == place for i in range(4)]


def test_torch_ceil_mode_drops_a_window_that_starts_in_the_padding():
    """Size 3, window 2, stride 2, padding 1: a third window would start at 3, behind the end."""
    y = ops.max_pool(row(1, 2, 3), 2, strides=2, padding=1, ceil_mode=True)
    assert y.ravel().tolist() == [1, 3]


def test_torch_avg_pool_ceil_mode_at_the_border():
    """The divisor counts padding and never what lies past it (pytorch#57178)."""
    x = jnp.ones((1, 4, 4, 1))
    y = ops.avg_pool(x, 3, strides=2, padding=1, ceil_mode=True, count_include_pad=True)
    edges = np.array([2, 3, 1]) / [3, 3, 2]
    np.testing.assert_allclose(y[0, :, :, 0], np.outer(edges, edges), rtol=1e-6)


def test_torch_adaptive_pool_to_a_larger_size():
    y = ops.adaptive_avg_pool(row(1, 2, 3), 5)
    assert y.ravel().tolist() == [1, 1.5, 2, 2.5, 3]


def test_torch_groups_are_convolutions_side_by_side():
    random = np.random.default_rng(0)
    x, kernel = (
        random.integers(-3, 4, shape).astype(np.float32) for shape in ((2, 6, 6, 4), (3, 3, 2, 4))
    )

    @jax.jit
    def computed(x, kernel):
        halves = [ops.conv(x[..., i : i + 2], kernel[..., i : i + 2]) for i in (0, 2)]
        return ops.conv(x, kernel, groups=2), jnp.concatenate(halves, -1)

    np.testing.assert_array_equal(*computed(x, kernel))


@pytest.mark.parametrize(("output_padding", "size"), [(0, 27), (1, 28)])
def test_torch_output_padding_chooses_the_size(output_padding, size):
    options = {"strides": 2, "padding": 1, "output_padding": output_padding}
    transpose = functools.partial(ops.conv_transpose, **options)
    y = jax.eval_shape(transpose, jnp.ones((1, 14, 1)), jnp.ones((3, 1, 1)))
    assert y.shape == (1, size, 1)


def test_torch_double_backward():
    """The gradient of a squared gradient, as penalties on gradients need it."""
    x, kernel = row(1, -2, 3, 4), np.asarray(weights(2, -1))

    @jax.jit
    def penalty(kernel):
        return (jax.grad(lambda x: (ops.conv(x, kernel) ** 2).sum())(x) ** 2).sum()

    step = 1e-2
    gradient = np.asarray(jax.jit(jax.grad(penalty))(kernel))
    for axis in range(2):
        change = np.zeros((2, 1, 1), np.float32)
        change[axis] = step
        expected = (penalty(kernel + change).item() - penalty(kernel - change).item()) / (2 * step)
        np.testing.assert_allclose(gradient[axis, 0, 0], expected, rtol=1e-2)


# Keras: keras/src/layers/convolutional, keras/src/ops/nn_test.py


def test_keras_causal_dilated_convolution():
    y = ops.conv(row(0, 1, 2, 3, 4), weights(1, 1), padding="causal", dilation=3)
    assert y.ravel().tolist() == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("valid", [1, 2, 5, 4, 9, 6, 9]), ("same", [1, 2, 5, 4, 9, 6])],
)
def test_keras_transposed_convolution(padding, expected):
    """Strides of 2 under a kernel of 3: Keras crops one from the end for "same"."""
    y = ops.conv_transpose(row(1, 2, 3), weights(1, 2, 3), strides=2, padding=padding)
    assert y.ravel().tolist() == expected


def test_keras_same_pool_of_an_odd_size():
    y = ops.avg_pool(row(1, 2, 3, 4, 5), 2, padding="same")
    assert y.ravel().tolist() == [1.5, 3.5, 5]


# JAX and XLA


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_jax_13800_gradient_of_a_grouped_convolution(groups):
    random = np.random.default_rng(0)
    x, dy = (
        random.integers(-3, 4, shape).astype(np.float32) for shape in ((2, 5, 5, 6), (2, 3, 3, 6))
    )
    kernel = random.integers(-3, 4, (3, 3, 6 // groups, 6)).astype(np.float32)
    axes = [Axis(5, 3), Axis(5, 3)]

    @jax.jit
    def gradients(x, kernel, dy):
        return jax.vjp(lambda x, k: ops.conv(x, k, groups=groups), x, kernel)[1](dy)

    dx, dkernel = map(np.asarray, gradients(x, kernel, dy))
    # The output is linear in each: its gradient along a unit change is that change's output.
    for index in [(0, 0, 0, 0), (1, 4, 2, 5), (0, 2, 2, 3)]:
        unit = np.zeros_like(x)
        unit[index] = 1
        assert dx[index] == (references.conv(unit, kernel, axes=axes, groups=groups) * dy).sum()
    for index in [(0, 0, 0, 0), (2, 1, 6 // groups - 1, 5)]:
        unit = np.zeros_like(kernel)
        unit[index] = 1
        assert dkernel[index] == (references.conv(x, unit, axes=axes, groups=groups) * dy).sum()


@pytest.mark.parametrize("op", [ops.max_pool, ops.sum_pool])
def test_xla_48714_windows_over_a_stretched_input(op):
    """A pool of an upsampled image, whose rewriting as a base dilation once went wrong."""
    stretched = np.zeros((1, 10, 8, 2), np.float32)
    stretched[:, ::2, ::2] = np.random.default_rng(0).integers(0, 9, (1, 5, 4, 2))
    y = jax.jit(lambda x: op(x, 3, strides=2, padding=1))(stretched)
    axes = [Axis(10, 3, 2, (1, 1)), Axis(8, 3, 2, (1, 1))]
    reference = references.max_pool if op is ops.max_pool else references.sum_pool
    np.testing.assert_array_equal(y, reference(stretched, axes))


def test_jax_12868_a_convolution_inside_a_loop():
    x, kernel = row(1, 2, 3, 4), weights(0, 1, 1)

    def body(x, _):
        return ops.conv(x, kernel, padding="SAME"), None

    looped = jax.lax.scan(body, x, length=3)[0]
    assert looped.ravel().tolist() == [20, 23, 15, 4]


# XLA on CPU, jaxlib 0.10.2: found by comparing random configurations with PyTorch


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("groups", [1, 3])
def test_gradient_of_a_convolution_padded_wider_than_its_kernel(groups, dtype):
    """A convolution cropped by 1 at the start and padded by 1 at the end read past the end."""
    channels = 9 // groups
    x, kernel = (
        np.random.default_rng(seed).integers(-2, 3, shape).astype(dtype)
        for seed, shape in enumerate([(2, 8, 9), (3, channels, 9)])
    )

    @jax.jit
    def value_and_gradient(x, kernel):
        y, pull_back = jax.vjp(lambda x: ops.conv(x, kernel, padding=((3, 1),), groups=groups), x)
        return y, *pull_back(y)

    y, gradient = map(np.asarray, value_and_gradient(x, kernel))
    expected = np.zeros((2, 12, 9))
    for start, tap, group in np.ndindex(10, 3, groups):
        at = slice(group * channels, (group + 1) * channels)
        weights = np.asarray(kernel[tap, :, at], np.float64)
        expected[:, start + tap, at] += np.asarray(y[:, start, at], np.float64) @ weights.T
    np.testing.assert_array_equal(gradient, expected[:, 3:11].astype(np.float32).astype(dtype))

"""Each kernel against sums over taps in NumPy's float64, over random geometries."""

import random
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import ops, shapes
from jaxcnn.ops.native import kernel_library
from jaxcnn.ops.native.kernel_calls import call
from jaxcnn.ops.primitives import conv_native
from jaxcnn.ops.primitives.conv_strategy import Convolution

# Groups, inputs and outputs of each.
CHANNELS = [
    (1, 1, 1), (1, 3, 5), (1, 3, 16), (1, 16, 3), (1, 64, 1), (1, 64, 3), (1, 20, 33),
    (1, 40, 48), (1, 17, 65), (1, 8, 100), (2, 4, 4), (4, 3, 5), (6, 2, 4), (8, 1, 1),
    (24, 1, 1), (35, 1, 1), (70, 1, 1), (3, 1, 2), (5, 1, 1), (8, 4, 4), (2, 16, 24), (4, 16, 16),
]  # fmt: skip
# Those that Winograd's method takes: with vectors and blocks that are full and that are not.
WIDE_CHANNELS = [
    (1, 16, 16), (1, 20, 33), (1, 64, 48), (1, 17, 65), (1, 140, 16), (1, 16, 130), (2, 16, 24),
    (3, 18, 16),
]  # fmt: skip


def draw(case):
    """Draw the parameters of a convolution, its batch, its channels, and the method."""
    draw = random.Random(case)
    winograd = draw.random() < 0.3
    axes = draw.choice([2, 2, 3] if winograd else [1, 2, 2, 3])
    sizes = [1, 2, 3, 4, 5, 7, 9] if axes < 3 else [1, 2, 3, 5]
    window = [draw.choice(sizes) for _ in range(axes)]
    if draw.random() < 0.4:
        window = [draw.choice([3, 5, 7])] * axes
    dilation = [draw.choice([1, 1, 1, 2, 3]) for _ in range(axes)]
    strides = [draw.choice([1, 1, 2, 3, 5]) for _ in range(axes)]
    if winograd:
        window[-2:], strides = (3, 3), [1] * axes
    padding = [(draw.randrange(5), draw.randrange(5)) for _ in range(axes)]
    spatial = [
        max(draw.choice([1, 5, 9, 17] if axes > 1 else [9, 40]), (w - 1) * d + 1 - low - high)
        for w, d, (low, high) in zip(window, dilation, padding, strict=True)
    ]
    windows = shapes.windows(spatial, window, strides=strides, padding=padding, dilation=dilation)
    groups, inputs, outputs = draw.choice(WIDE_CHANNELS if winograd else CHANNELS)
    return windows, draw.choice([1, 2, 3, 5]), groups, inputs, outputs, winograd


def sums_over_taps(x, kernel, y, windows, groups):
    """Return the convolution and both gradients, one tap and one group after another."""
    x, kernel, y = (array.astype(np.float64) for array in (x, kernel, y))
    padded = np.pad(x, ((0, 0), *windows.padding, (0, 0)))
    value, of_x, of_kernel = np.zeros_like(y), np.zeros_like(padded), np.zeros_like(kernel)
    inputs, outputs = kernel.shape[-2], kernel.shape[-1] // groups
    for tap in np.ndindex(*windows.window):
        read = tuple(
            slice(place * dilation, place * dilation + (size - 1) * stride + 1, stride)
            for place, dilation, size, stride in zip(
                tap, windows.dilation, windows.output_sizes, windows.strides, strict=True
            )
        )
        for group in range(groups):
            own = slice(group * inputs, (group + 1) * inputs)
            made = slice(group * outputs, (group + 1) * outputs)
            part, weights = padded[(slice(None), *read, own)], kernel[tap][:, made]
            value[..., made] += part @ weights
            of_x[(slice(None), *read, own)] += y[..., made] @ weights.T
            of_kernel[tap][:, made] = np.tensordot(part, y[..., made], (range(part.ndim - 1),) * 2)
    inside = tuple(
        slice(low, low + size)
        for (low, _), size in zip(windows.padding, windows.spatial, strict=True)
    )
    return value, of_x[(slice(None), *inside)], of_kernel


def check(case, suffix=""):
    """Compare the three functions of the library in use, or of that with a suffix."""
    windows, batch, groups, inputs, outputs, winograd = draw(case)
    numbers = np.random.default_rng(case)

    def normal(*shape):
        return numbers.normal(size=shape).astype(np.float32)

    x = normal(batch, *windows.spatial, groups * inputs)
    kernel = normal(*windows.window, inputs, groups * outputs)
    y = normal(batch, *windows.output_sizes, groups * outputs)
    expected = sums_over_taps(x, kernel, y, windows, groups)
    pairs = (x, kernel), (y, kernel), (x, y)
    options = {"windows": windows, "groups": groups, "winograd": winograd, "suffix": suffix}
    for name, arrays, right in zip(kernel_library.NAMES, pairs, expected, strict=True):
        found = np.asarray(call(name, right.shape, *arrays, **options))
        again = np.asarray(call(name, right.shape, *arrays, **options))
        np.testing.assert_array_equal(found, again)  # the same bits
        scale = max(abs(right).max(), 1e-3)
        assert abs(found - right).max() / scale < 1e-5, (name, case, windows, groups)


@pytest.mark.parametrize("part", range(8))
def test_random_geometries(part):
    for case in range(part, 240, 8):
        check(case)


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_thousands_of_geometries(part):
    for case in range(1000 + part, 5000, 20):
        check(case)


def test_threads_that_call_at_once():
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(32)))


def test_bfloat16_is_summed_in_float32():
    windows = shapes.windows((9, 9), 3, padding=1)
    numbers = np.random.default_rng(0)
    x, kernel = numbers.normal(size=(2, 9, 9, 40)), numbers.normal(size=(3, 3, 40, 8))
    x, kernel = (jnp.asarray(array, jnp.bfloat16) for array in (x, kernel))
    found = conv_native.value(x, kernel, Convolution(windows))
    wide = [np.asarray(array, np.float32) for array in (x, kernel)]
    expected, *_ = sums_over_taps(*wide, np.zeros((2, 9, 9, 8), np.float32), windows, 1)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("where", ["x", "kernel"])
def test_not_a_number_stays_where_it_is(where):
    x, kernel = np.ones((1, 9, 9, 3), np.float32), np.ones((3, 3, 3, 20), np.float32)
    if where == "x":
        x[0, 4, 4, 1] = np.nan
        expected = np.zeros((9, 9, 20), bool)
        expected[3:6, 3:6] = True
    else:
        kernel[1, 1, 0, 7] = np.inf
        expected = np.zeros((9, 9, 20), bool)
        expected[..., 7] = True
    found = jax.jit(lambda x, kernel: ops.conv(x, kernel, padding=1))(x, kernel)
    np.testing.assert_array_equal(~np.isfinite(found[0]), expected)

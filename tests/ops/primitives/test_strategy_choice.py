"""The strategy that is chosen on CPU for representative shapes, per operation."""

import jax.numpy as jnp
import pytest

from jaxcnn import shapes
from jaxcnn.ops.primitives.conv_strategy import Convolution
from jaxcnn.ops.primitives.strategy_choice import (
    choose_convolution,
    choose_maximum,
    choose_summation,
    choose_total,
)

OPERATIONS = "value", "input_gradient", "kernel_gradient"


def names(x, size, features, *, groups=1, precision=None, dtype="float32", **options):
    batch, *spatial, in_features = x
    convolution = Convolution(shapes.windows(spatial, size, **options), groups, precision)
    return tuple(
        choose_convolution(op, convolution, batch, in_features, features, jnp.dtype(dtype)).name
        for op in OPERATIONS
    )


@pytest.mark.parametrize(
    ("x", "size", "features", "options", "expected"),
    [
        ((128, 28, 28, 1), 3, 64, {}, ("one_channel", "plain", "plain")),
        ((8, 28, 28, 1), 9, 4, {}, "plain"),  # 81 taps
        ((8, 8, 28, 28, 1), 3, 4, {}, ("one_channel", "stacked_taps", "stacked_taps")),
        ((8, 28, 28, 1), 1, 4, {}, ("one_channel", "pointwise", "pointwise")),
        ((128, 28, 28, 3), 5, 32, {}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"padding": 1}, "winograd"),
        ((32, 32, 32, 64), 3, 64, {"padding": 3}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"strides": 2}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"dilation": 2}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"precision": "highest"}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"dtype": "bfloat16"}, "plain"),
        ((32, 32, 32, 64), 3, 64, {"dtype": "float64"}, "plain"),
        ((32, 32, 32, 64), 3, 31, {}, "plain"),
        ((32, 8, 8, 256), 3, 256, {"padding": 1}, "winograd"),
        ((32, 4, 4, 512), 3, 512, {"padding": 1}, "plain"),  # 32 rows
        ((32, 32, 32, 64), 1, 128, {"strides": 2}, "pointwise"),
        ((32, 32, 32, 64), 1, 128, {"padding": 1}, "plain"),
        ((8, 28, 28, 384), 1, 384, {"groups": 16}, "pointwise"),
        ((4, 100, 8), 3, 8, {}, "plain"),
        ((8, 16, 32, 32, 3), 3, 16, {}, "stacked_taps"),
        ((16, 48, 48, 96), 3, 96, {"groups": 96}, "thin_groups"),
        ((16, 28, 28, 128), 3, 128, {"groups": 32}, "thin_groups"),
        ((2, 28, 28, 32), 21, 32, {"groups": 32}, "thin_groups"),
        ((2, 28, 28, 32), 23, 32, {"groups": 32}, "plain"),  # 529 products
        ((2, 8, 8, 16), 1, 16, {"groups": 16}, "thin_groups"),
        ((8, 28, 28, 256), 3, 256, {"groups": 32}, "plain by group"),
        ((32, 32, 32, 128), 3, 128, {"groups": 2}, "winograd by group"),
        ((2, 8, 8, 8, 10), 3, 4, {"groups": 2}, "stacked_taps by group"),
    ],
)
def test_convolutions(x, size, features, options, expected):
    expected = (expected,) * 3 if isinstance(expected, str) else expected
    assert names(x, size, features, **options) == expected


@pytest.mark.parametrize(
    ("window", "dtype", "value", "derivative"),
    [
        (2, "float32", "slices", "slices"),
        (64, "bfloat16", "slices", "slices"),
        (65, "float32", "plain", "plain"),
        (2, "int32", "plain", "slices"),  # integers have no derivative
    ],
)
def test_max_pools(window, dtype, value, derivative):
    windows = shapes.pool_windows((65, 65), window)
    chosen = [
        choose_maximum(operation, windows, jnp.dtype(dtype)).name
        for operation in ("value", "index", "tangent", "cotangent")
    ]
    assert chosen == [value, derivative, derivative, derivative]


@pytest.mark.parametrize(
    ("window", "strides", "expected"),
    [
        (2, 2, ("slices", "plain")),
        (3, 2, ("slices", "slices")),
        ((2, 3), 2, ("slices", "slices")),
        (1, 1, ("slices", "slices")),
        (2, 3, ("slices", "plain")),
        (65, 1, ("plain", "plain")),
    ],
)
def test_sum_pools(window, strides, expected):
    windows = shapes.pool_windows((65, 65), window, strides=strides)
    chosen = [choose_summation(operation, windows).name for operation in ("value", "cotangent")]
    assert tuple(chosen) == expected


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((2, 8, 8, 3), "float32", "sum_by_parts"),
        ((2, 3), "float32", "sum_by_parts"),
        ((1, 3), "float32", "sum_plain"),
        ((2, 8, 8, 3), "bfloat16", "sum_plain"),
    ],
)
def test_totals(shape, dtype, expected):
    assert choose_total(shape, jnp.dtype(dtype)).__name__ == expected

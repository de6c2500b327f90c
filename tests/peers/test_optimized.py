"""The code that users run: programs as XLA compiles them by default, against PyTorch.

The other comparisons are compiled without optimization, for time.
"""

import pytest
import torch.nn.functional as F
from compare import (
    assert_same,
    first,
    last,
    run_ours,
    run_torch,
    torch_kernel,
    whole_numbers,
)

from jaxcnn import ops

DEFAULT = {"xla_backend_optimization_level": "3"}
CONVOLUTIONS = {
    "Winograd": ((2, 21, 18, 32), (3, 3), 40, {"padding": 1}),
    "Winograd without padding": ((3, 17, 24, 40), (3, 3), 32, {}),
    "gray": ((2, 12, 11, 1), (3, 3), 6, {"padding": 1}),
    "strided": ((2, 12, 11, 8), (3, 3), 6, {"padding": 1, "strides": 2}),
    "pointwise": ((2, 12, 11, 8), (1, 1), 6, {"strides": 2}),
    "depthwise": ((2, 12, 11, 8), (3, 3), 16, {"padding": 1, "groups": 8}),
    "depthwise 9x9": ((2, 12, 11, 8), (9, 9), 8, {"padding": 4, "groups": 8}),
    "wide groups": ((2, 12, 11, 12), (3, 3), 18, {"padding": 1, "groups": 2}),
    "3-D": ((2, 6, 7, 5, 3), (3, 3, 3), 4, {"padding": 1}),
    "1-D, dilated": ((2, 30, 4), (5,), 6, {"dilation": 3}),
}
POOLS = {
    "max 2x2": ("max_pool", (2, 12, 11, 5), {"window": 2}),
    "max 3x3, stride 2": ("max_pool", (2, 12, 11, 5), {"window": 3, "strides": 2, "padding": 1}),
    "max 7x7, stride 1": ("max_pool", (2, 12, 11, 5), {"window": 7, "strides": 1, "padding": 3}),
    "avg 3x3, stride 1": ("avg_pool", (2, 12, 11, 5), {"window": 3, "strides": 1}),
    "avg 5x5x5": ("avg_pool", (2, 6, 7, 5, 3), {"window": 5, "strides": 1}),
}


def in_torch(options):
    names = {"strides": "stride", "window": "kernel_size"}
    return {names.get(name, name): value for name, value in options.items()}


@pytest.mark.parametrize(
    ("shape", "size", "features", "options"), CONVOLUTIONS.values(), ids=CONVOLUTIONS
)
def test_convolutions(shape, size, features, options):
    x = whole_numbers(0, shape)
    kernel = whole_numbers(1, (*size, shape[-1] // options.get("groups", 1), features))
    axes = len(size)

    def torch_conv(x, kernel):
        conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
        return last(conv(first(x), torch_kernel(kernel), **in_torch(options)))

    def conv(x, kernel):
        return ops.conv(x, kernel, **options)

    ours = run_ours(conv, x, kernel, options=DEFAULT)
    assert_same(ours, run_torch(torch_conv, x, kernel), 1e-5)


@pytest.mark.parametrize(("name", "shape", "options"), POOLS.values(), ids=POOLS)
def test_pools(name, shape, options):
    x = whole_numbers(0, shape)

    def torch_pool(x):
        return last(getattr(F, f"{name}{len(shape) - 2}d")(first(x), **in_torch(options)))

    ours = run_ours(lambda x: getattr(ops, name)(x, **options), x, options=DEFAULT)
    assert_same(ours, run_torch(torch_pool, x), 1e-5)

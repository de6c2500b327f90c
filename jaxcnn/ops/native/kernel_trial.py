"""Tries a compiled library: ``python -m jaxcnn.ops.native.kernel_trial LIBRARY``.

It ends with an error if a value differs from XLA's.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from jaxcnn import shapes
from jaxcnn.ops.native import kernel_calls, kernel_library
from jaxcnn.ops.primitives.conv_plain import PLAIN
from jaxcnn.ops.primitives.conv_strategy import Convolution

# Spatial sizes, kernel, strides, padding, dilation, in_features, features, groups, Winograd's way.
_CASES = (
    ((9, 8), (3, 3), 1, 1, 1, 5, 19, 1, False),
    ((9, 8), (3, 2), 2, 1, 2, 6, 8, 2, False),
    ((7, 9), (3, 3), 1, 1, 1, 21, 21, 21, False),
    ((5, 6, 4), (2, 3, 2), 1, 0, 1, 3, 4, 1, False),
    ((30,), (5,), 3, 2, 1, 4, 33, 1, False),
    ((9, 8), (3, 3), 1, 1, 1, 20, 33, 1, True),
)


def try_library(library: Path) -> None:
    """Compare a library with XLA's convolutions.

    Raises:
      AssertionError: A value differs.
      OSError: The library cannot be loaded.
    """
    kernel_library.register(library, "trial")
    for sizes, window, strides, padding, dilation, inputs, features, groups, winograd in _CASES:
        windows = shapes.windows(sizes, window, strides=strides, padding=padding, dilation=dilation)
        random = np.random.default_rng(0)
        x = random.normal(size=(2, *sizes, inputs)).astype(np.float32)
        kernel = random.normal(size=(*window, inputs // groups, features)).astype(np.float32)
        convolution = Convolution(windows, groups)
        y = random.normal(size=(2, *windows.output_sizes, features)).astype(np.float32)
        pairs = ((x, kernel), (y, kernel), (x, y))
        plain = (PLAIN.value, PLAIN.input_gradient, PLAIN.kernel_gradient)
        for name, compute, arrays in zip(kernel_library.NAMES, plain, pairs, strict=True):
            right = jax.jit(compute, static_argnums=2)(*arrays, convolution)
            found = kernel_calls.call(
                name, right.shape, *arrays,
                windows=windows, groups=groups, winograd=winograd, suffix="trial",
            )  # fmt: skip
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4, err_msg=name)


if __name__ == "__main__":
    try_library(Path(sys.argv[1]))

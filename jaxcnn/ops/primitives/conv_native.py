"""Convolutions by the compiled kernels of :mod:`jaxcnn.ops.native`, where they are built."""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxcnn import shapes
from jaxcnn.ops.native import kernel_library
from jaxcnn.ops.native.kernel_calls import call
from jaxcnn.ops.primitives import conv_winograd
from jaxcnn.ops.primitives.conv_strategy import Convolution, Strategy
from jaxcnn.ops.primitives.lowering import runs_here

_SMALL_KERNEL = 1 << 13


def can_compute(convolution: Convolution, dtype: DTypeLike) -> bool:
    """Return whether the kernels are there, and made for such a convolution."""
    return (
        dtype in (jnp.float32, jnp.bfloat16)
        and convolution.precision is None
        and len(convolution.windows.window) <= 3
        and runs_here()
        and kernel_library.in_use()
    )


def suits(convolution: Convolution, batch: int, in_features: int, features: int) -> bool:
    """Return whether the kernels are faster than XLA's operations.

    They are but for Winograd's convolution of many channels, which multiplies less. Forward, input
    and kernel gradient of 3×3 in ms, with AVX-512, Winograd's in brackets: (32, 32, 32, 32) to 32:
    2.2, 2.1, 2.2 (4.2, 4.2, 6.6); (32, 32, 32, 64) to 64: 8, 8, 9 (8, 11, 19);
    (32, 16, 16, 128) to 128: 8, 8, 9 (9, 7, 10); (32, 8, 8, 256) to 256: 10, 9, 9 (7, 8, 8).

    And but for few positions with large kernels, which they copy for each call, XLA's in brackets:
    3×3 of (1, 16, 16, 128) to 128: 0.50 (0.51); (1, 8, 8, 256) to 256: 1.5 (0.9); (1, 4, 4, 512)
    to 512: 6.3 (1.5).
    """
    windows = convolution.windows
    positions = batch * math.prod(windows.output_sizes)
    weights = math.prod(windows.window) * in_features * features
    if positions < 256 and weights > _SMALL_KERNEL and convolution.groups == 1:
        return False
    few = min(in_features, features) <= 128
    return few or not conv_winograd.suits(convolution, batch, in_features, features)


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``x`` with ``kernel``."""
    shape = (x.shape[0], *convolution.windows.output_sizes, kernel.shape[-1])
    return _compute("conv", shape, x, kernel, convolution)


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``x`` to ``y``."""
    in_features = kernel.shape[-2] * convolution.groups
    shape = (y.shape[0], *convolution.windows.spatial, in_features)
    return _compute("conv_input_gradient", shape, y, kernel, convolution)


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``kernel`` to ``y``."""
    shape = (*convolution.windows.window, x.shape[-1] // convolution.groups, y.shape[-1])
    return _compute("conv_kernel_gradient", shape, x, y, convolution)


NATIVE = Strategy("native", value, input_gradient, kernel_gradient)


def _compute(
    name: str, shape: shapes.Shape, left: jax.Array, right: jax.Array, convolution: Convolution
) -> jax.Array:
    """Call a kernel in float32; bfloat16 is widened, summed, and rounded once."""
    wide = (array.astype(jnp.float32) for array in (left, right))
    result = call(name, shape, *wide, windows=convolution.windows, groups=convolution.groups)
    return result.astype(left.dtype)

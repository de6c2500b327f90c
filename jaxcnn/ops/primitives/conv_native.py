"""Convolutions by the compiled kernels of :mod:`jaxcnn.ops.native`, where they are built."""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxcnn import shapes
from jaxcnn.ops.native import kernel_library
from jaxcnn.ops.native.kernel_calls import call
from jaxcnn.ops.primitives.conv_strategy import Convolution, Operation, Strategy
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


def suits(
    operation: Operation, convolution: Convolution, batch: int, in_features: int, features: int
) -> bool:
    """Return whether the kernels are faster than XLA's operations.

    They are but for the gradients at few positions with large kernels, which they copy for each
    call. Input and kernel gradient of 3×3 in ms, XLA's in brackets: (1, 16, 16, 128) to 128: 0.50,
    0.49 (0.65, 0.83); (1, 8, 8, 256) to 256: 1.4, 1.1 (1.3, 1.2); (1, 4, 4, 512) to 512: 5.7, 3.1
    (3.8, 1.8).
    """
    windows = convolution.windows
    positions = batch * math.prod(windows.output_sizes)
    weights = math.prod(windows.window) * in_features * features
    few = positions < 256 and weights > _SMALL_KERNEL and convolution.groups == 1
    return operation == "value" or not few


def multiplies_less(convolution: Convolution, batch: int, in_features: int, features: int) -> bool:
    """Return whether Winograd's method is the faster one: 36 products for the direct sum's 144.

    Counted in products of the direct sum, the transforms of a tile cost about 700 for each channel
    and those of the weights 1,000 for each pair of channels. Value, input and kernel gradient of
    3×3 in ms with AVX-512, the direct sum's in brackets: (32, 32, 32, 16) to 16: 0.5, 0.5, 0.6
    (0.9, 0.9, 0.9); (32, 32, 32, 64) to 64: 3.0, 3.0, 3.9 (8.2, 8.2, 8.9); (32, 8, 8, 256) to 256:
    3.9, 4.3, 4.6 (9.0, 9.2, 9.7); (32, 4, 4, 512) to 512: 4.6, 6.5, 8 (15, 15, 12); (32, 7, 7, 64)
    to 64: 0.32, 0.31, 0.72 (0.44, 0.45, 0.62); 3×3×3 of (8, 16, 32, 32, 16) to 16: 3.9, 3.8, 3.2
    (8.4, 8.4, 8.4). (1, 14, 14, 256) to 256: 0.7 (1.1), the value alone.

    A value that is not finite spreads over its tile of 4×4.
    """
    windows = convolution.windows
    if windows.window[-2:] != (3, 3) or max(windows.strides) > 1:
        return False
    inputs, outputs = in_features // convolution.groups, features // convolution.groups
    if min(inputs, outputs) < 16:
        return False
    depth = math.prod(windows.window[:-2])
    tiles = batch * math.prod(windows.output_sizes[:-2])
    for size, dilation in zip(windows.output_sizes[-2:], windows.dilation[-2:], strict=True):
        tiles *= dilation * math.ceil(math.ceil(size / dilation) / 4)
    pairs = depth * inputs * outputs
    transforms = 700 * tiles * (inputs + outputs) + 1000 * pairs
    direct = 9 * batch * math.prod(windows.output_sizes) * pairs
    return 36 * tiles * pairs + transforms < direct


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``x`` with ``kernel``."""
    in_features, features = x.shape[-1], kernel.shape[-1]
    shape = (x.shape[0], *convolution.windows.output_sizes, features)
    return _compute("conv", shape, x, kernel, convolution, in_features, features)


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``x`` to ``y``."""
    in_features, features = kernel.shape[-2] * convolution.groups, y.shape[-1]
    shape = (y.shape[0], *convolution.windows.spatial, in_features)
    return _compute("conv_input_gradient", shape, y, kernel, convolution, in_features, features)


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``kernel`` to ``y``."""
    in_features, features = x.shape[-1], y.shape[-1]
    shape = (*convolution.windows.window, in_features // convolution.groups, features)
    return _compute("conv_kernel_gradient", shape, x, y, convolution, in_features, features)


NATIVE = Strategy("native", value, input_gradient, kernel_gradient)


def _compute(
    name: str,
    shape: shapes.Shape,
    images: jax.Array,
    other: jax.Array,
    convolution: Convolution,
    in_features: int,
    features: int,
) -> jax.Array:
    """Call a kernel in float32; bfloat16 is widened, summed, and rounded once."""
    winograd = multiplies_less(convolution, images.shape[0], in_features, features)
    wide = (array.astype(jnp.float32) for array in (images, other))
    windows, groups = convolution.windows, convolution.groups
    result = call(name, shape, *wide, windows=windows, groups=groups, winograd=winograd)
    return result.astype(images.dtype)

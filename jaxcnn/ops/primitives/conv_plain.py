"""A convolution as XLA's own operation, on every platform."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn.ops.primitives.conv_strategy import Convolution, Strategy
from jaxcnn.ops.primitives.lowering import transpose


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``x`` with ``kernel`` by one call of ``lax``."""
    windows = convolution.windows
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=windows.strides,
        padding=windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=_channels_last(x.ndim),
        feature_group_count=convolution.groups,
        precision=convolution.precision,
    )


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``y``, its positions ``strides`` apart, with the flipped kernel."""
    windows = convolution.windows
    padding, strides = windows.gradient_padding, windows.strides
    if min(map(min, padding)) < 0:
        # Padding wider than the kernel's reach crops y. Crop first: a convolution on CPU reads past
        # the end if one side is cropped and the other padded (jaxlib 0.10.2).
        y = lax.pad(y, jnp.zeros((), y.dtype), windows.gradient_borders)
        padding, strides = ((0, 0),) * len(padding), (1,) * len(padding)
    return lax.conv_general_dilated(
        y,
        jnp.flip(swap_channels(kernel, convolution.groups), range(kernel.ndim - 2)),
        window_strides=(1,) * len(padding),
        padding=padding,
        lhs_dilation=strides,
        rhs_dilation=windows.dilation,
        dimension_numbers=_channels_last(y.ndim),
        feature_group_count=convolution.groups,
        precision=convolution.precision,
    )


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``kernel`` to ``y``."""
    shape = (*convolution.windows.window, x.shape[-1] // convolution.groups, y.shape[-1])
    return transpose(lambda kernel: value(x, kernel, convolution), shape, y)


PLAIN = Strategy("plain", value, input_gradient, kernel_gradient)


def swap_channels(kernel: jax.Array, groups: int) -> jax.Array:
    """Exchange the inputs and outputs of each group of a kernel.

    ``(*kernel_size, in_features // groups, features)`` becomes
    ``(*kernel_size, features // groups, in_features)``.
    """
    *size, inputs, features = kernel.shape
    split = jnp.swapaxes(kernel.reshape(*size, inputs, groups, features // groups), -3, -1)
    return split.reshape(*size, features // groups, groups * inputs)


def _channels_last(ndim: int) -> lax.ConvDimensionNumbers:
    image = (0, ndim - 1, *range(1, ndim - 1))
    return lax.ConvDimensionNumbers(image, (ndim - 1, ndim - 2, *range(ndim - 2)), image)

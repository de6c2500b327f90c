"""Convolution and its two gradients as three primitives, each lowered for its platform.

A convolution is linear in the image and in the kernel, and so are both of its gradients: each of
the three is the transpose of the others. Three primitives that name one another are therefore
closed under derivatives of any order, forward and reverse, and each of them can be computed in
the way that is best for it. On CPU that is :mod:`jaxcnn.ops.primitives.cpu`, everywhere
else XLA's own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops.primitives import cpu
from jaxcnn.ops.primitives.lowering import alike, primitive, transposed


class Convolution(NamedTuple):
    """All of a convolution but its two arrays.

    Attributes:
      windows: The window, every option spelled out; zeros are what it is padded with.
      groups: Groups of channels that do not mix.
      precision: As in :func:`jax.lax.conv_general_dilated`.
    """

    windows: shapes.Windows
    groups: int
    precision: Any

    def value(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolves ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        return _value.bind(*alike(x, kernel), what=self)

    def input_gradient(self, y: jax.Array, kernel: jax.Array) -> jax.Array:
        """Maps ``(batch, *output_sizes, features)`` back to ``(batch, *spatial, in_features)``."""
        return _input_gradient.bind(*alike(y, kernel), what=self)

    def kernel_gradient(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Maps an input and an output to ``(*kernel_size, in_features // groups, features)``."""
        return _kernel_gradient.bind(*alike(x, y), what=self)


def swapped(kernel: jax.Array, groups: int) -> jax.Array:
    """Returns the kernel with inputs and outputs of each group exchanged.

    ``(*kernel_size, in_features // groups, features)`` becomes
    ``(*kernel_size, features // groups, in_features)``.
    """
    *size, inputs, features = kernel.shape
    split = jnp.swapaxes(kernel.reshape(*size, inputs, groups, features // groups), -3, -1)
    return split.reshape(*size, features // groups, groups * inputs)


def _plain_value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    windows, groups, precision = convolution
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=windows.strides,
        padding=windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=_channels_last(x.ndim),
        feature_group_count=groups,
        precision=precision,
    )


def _plain_input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    windows, groups, precision = convolution
    padding, strides = windows.gradient_padding, windows.strides
    if min(map(min, padding)) < 0:
        # Where the padding is wider than the kernel reaches, y is cropped, and first: convolutions
        # on CPU read past the end where one side is cropped and the other padded (jaxlib 0.10.2).
        y = lax.pad(y, jnp.zeros((), y.dtype), windows.gradient_borders)
        padding, strides = ((0, 0),) * len(padding), (1,) * len(padding)
    return lax.conv_general_dilated(
        y,
        jnp.flip(swapped(kernel, groups), range(kernel.ndim - 2)),
        window_strides=(1,) * len(padding),
        padding=padding,
        lhs_dilation=strides,
        rhs_dilation=windows.dilation,
        dimension_numbers=_channels_last(y.ndim),
        feature_group_count=groups,
        precision=precision,
    )


def _channels_last(ndim: int) -> lax.ConvDimensionNumbers:
    image = (0, ndim - 1, *range(1, ndim - 1))
    return lax.ConvDimensionNumbers(image, (ndim - 1, ndim - 2, *range(ndim - 2)), image)


def _plain_kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    windows, groups, _ = convolution
    shape = (*windows.window, x.shape[-1] // groups, y.shape[-1])
    return transposed(lambda kernel: _plain_value(x, kernel, convolution), shape, y)


def _on_cpu(
    fast: Callable[..., cpu.Result], method: Callable[..., jax.Array]
) -> Callable[..., cpu.Result]:
    """Returns what is fast for float32 of the default precision, or group by group of channels."""

    def fast_or_none(a: jax.Array, b: jax.Array, convolution: Convolution) -> cpu.Result:
        windows, groups, precision = convolution
        if not a.dtype == b.dtype == jnp.float32 or precision is not None:
            return None
        result = fast(a, b, windows, groups)
        group_inputs = (
            a.shape[-1] // groups if method is Convolution.kernel_gradient else b.shape[-2]
        )
        if result is not None or not cpu.is_wide(groups, group_inputs):
            return result
        one = convolution._replace(groups=1)
        pairs = zip(jnp.split(a, groups, axis=-1), jnp.split(b, groups, axis=-1), strict=True)
        return jnp.concatenate([method(one, *pair) for pair in pairs], axis=-1)

    return fast_or_none


_value = primitive(
    "conv",
    plain=_plain_value,
    fast=_on_cpu(cpu.conv, Convolution.value),
    examples=(True, False),
)
_input_gradient = primitive(
    "conv_input_gradient",
    plain=_plain_input_gradient,
    fast=_on_cpu(cpu.conv_input_gradient, Convolution.input_gradient),
    examples=(True, False),
)
_kernel_gradient = primitive(
    "conv_kernel_gradient",
    plain=_plain_kernel_gradient,
    fast=_on_cpu(cpu.conv_kernel_gradient, Convolution.kernel_gradient),
    examples=(False, False),  # it sums over them
)

ad.defbilinear(
    _value,
    lambda y, x, kernel, *, what: what.input_gradient(y, kernel),
    lambda y, x, kernel, *, what: what.kernel_gradient(x, y),
)
ad.defbilinear(
    _input_gradient,
    lambda x, y, kernel, *, what: what.value(x, kernel),
    lambda x, y, kernel, *, what: what.kernel_gradient(x, y),
)
ad.defbilinear(
    _kernel_gradient,
    lambda kernel, x, y, *, what: what.input_gradient(y, kernel),
    lambda kernel, x, y, *, what: what.value(x, kernel),
)

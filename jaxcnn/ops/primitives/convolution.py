"""Convolution and its two gradients as three primitives that are closed under derivatives.

A convolution is linear in the image and in the kernel, and so are both of its gradients: each of
the three is the transpose of the others. Each refers to the other two for its derivatives, so that
derivatives of any order, forward and reverse, stay within the three, and each of them is computed
by its own best strategy (:func:`jaxcnn.ops.primitives.strategy_choice.choose_convolution`).
"""

import jax
from jax.interpreters import ad

from jaxcnn.ops.primitives import conv_plain
from jaxcnn.ops.primitives.conv_strategy import Convolution
from jaxcnn.ops.primitives.lowering import match_varying_axes, primitive
from jaxcnn.ops.primitives.strategy_choice import choose_convolution


def convolve(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Map ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
    return _value.bind(*match_varying_axes(x, kernel), params=convolution)


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Map ``(batch, *output_sizes, features)`` back to ``(batch, *spatial, in_features)``."""
    return _input_gradient.bind(*match_varying_axes(y, kernel), params=convolution)


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Map an input and an output to ``(*kernel_size, in_features // groups, features)``."""
    return _kernel_gradient.bind(*match_varying_axes(x, y), params=convolution)


def _value_on_cpu(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    sizes = x.shape[0], x.shape[-1], kernel.shape[-1]
    strategy = choose_convolution("value", convolution, *sizes, x.dtype)
    return strategy.value(x, kernel, convolution)


def _input_gradient_on_cpu(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    sizes = y.shape[0], kernel.shape[-2] * convolution.groups, kernel.shape[-1]
    strategy = choose_convolution("input_gradient", convolution, *sizes, y.dtype)
    return strategy.input_gradient(y, kernel, convolution)


def _kernel_gradient_on_cpu(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    sizes = x.shape[0], x.shape[-1], y.shape[-1]
    strategy = choose_convolution("kernel_gradient", convolution, *sizes, x.dtype)
    return strategy.kernel_gradient(x, y, convolution)


_value = primitive(
    "conv", plain=conv_plain.value, on_cpu=_value_on_cpu, examples=(True, False), few=True
)
_input_gradient = primitive(
    "conv_input_gradient",
    plain=conv_plain.input_gradient,
    on_cpu=_input_gradient_on_cpu,
    examples=(True, False),
    few=True,
)
_kernel_gradient = primitive(
    "conv_kernel_gradient",
    plain=conv_plain.kernel_gradient,
    on_cpu=_kernel_gradient_on_cpu,
    examples=(False, False),  # it sums over the examples
    few=True,
)

ad.defbilinear(
    _value,
    lambda y, x, kernel, *, params: input_gradient(y, kernel, params),
    lambda y, x, kernel, *, params: kernel_gradient(x, y, params),
)
ad.defbilinear(
    _input_gradient,
    lambda x, y, kernel, *, params: convolve(x, kernel, params),
    lambda x, y, kernel, *, params: kernel_gradient(x, y, params),
)
ad.defbilinear(
    _kernel_gradient,
    lambda kernel, x, y, *, params: input_gradient(y, kernel, params),
    lambda kernel, x, y, *, params: convolve(x, kernel, params),
)

"""Convolution and its two gradients as three primitives, each lowered for its platform.

A convolution is linear in the image and in the kernel, and so are both of its gradients: each of
the three is the transpose of the others. Three primitives that name one another are therefore
closed under derivatives of any order, forward and reverse, and each of them can be computed in
the way that is best for it. On CPU that is :mod:`jaxcnn.ops.cpu`, everywhere else XLA's own.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxcnn import shapes
from jaxcnn.ops import cpu


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
        return _value.bind(x, kernel, convolution=self)

    def input_gradient(self, y: jax.Array, kernel: jax.Array) -> jax.Array:
        """Maps ``(batch, *output_sizes, features)`` back to ``(batch, *spatial, in_features)``."""
        return _input_gradient.bind(y, kernel, convolution=self)

    def kernel_gradient(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Maps an input and an output to ``(*kernel_size, in_features // groups, features)``."""
        return _kernel_gradient.bind(x, y, convolution=self)


def _plain_value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    windows, groups, precision = convolution
    spatial = range(1, x.ndim - 1)
    image = (0, x.ndim - 1, *spatial)
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=windows.strides,
        padding=windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=lax.ConvDimensionNumbers(
            image, (x.ndim - 1, x.ndim - 2, *range(x.ndim - 2)), image
        ),
        feature_group_count=groups,
        precision=precision,
    )


def _plain_input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    x = jax.ShapeDtypeStruct(_input_shape(y, kernel, convolution), y.dtype)
    return jax.linear_transpose(lambda x: _plain_value(x, kernel, convolution), x)(y)[0]


def _plain_kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    kernel = jax.ShapeDtypeStruct(_kernel_shape(x, y, convolution), x.dtype)
    return jax.linear_transpose(lambda kernel: _plain_value(x, kernel, convolution), kernel)(y)[0]


def _output_shape(x: Any, kernel: Any, convolution: Convolution) -> shapes.Shape:
    return (x.shape[0], *convolution.windows.output_sizes, kernel.shape[-1])


def _input_shape(y: Any, kernel: Any, convolution: Convolution) -> shapes.Shape:
    return (y.shape[0], *convolution.windows.spatial, kernel.shape[-2] * convolution.groups)


def _kernel_shape(x: Any, y: Any, convolution: Convolution) -> shapes.Shape:
    return (*convolution.windows.window, x.shape[-1] // convolution.groups, y.shape[-1])


def _primitive(
    name: str,
    shape: Callable[[Any, Any, Convolution], shapes.Shape],
    plain: Callable[[jax.Array, jax.Array, Convolution], jax.Array],
    fast: Callable[[jax.Array, jax.Array, shapes.Windows, int], cpu.Result],
    batched: tuple[bool, bool],
) -> Primitive:
    """Returns a primitive of two arrays.

    Args:
      name: What it is called in a jaxpr.
      shape: The shape of its result.
      plain: Its meaning, as XLA's own operations.
      fast: The same for CPU, or ``None`` where XLA's own way is best.
      batched: Which of the two arrays has the batch as its first axis.
    """
    primitive = Primitive(name)

    @functools.cache
    def compiled(convolution: Convolution) -> Callable[..., jax.Array]:
        return jax.jit(functools.partial(primitive.bind, convolution=convolution))

    def lower_on_cpu(a: jax.Array, b: jax.Array, *, convolution: Convolution) -> jax.Array:
        # Not an empty array, nor the symbolic sizes of jax.export.
        sized = all(isinstance(size, int) and size > 0 for size in (*a.shape, *b.shape))
        if sized and a.dtype == b.dtype == "float32" and convolution.precision is None:
            result = fast(a, b, convolution.windows, convolution.groups)
            if result is not None:
                return result
        return plain(a, b, convolution)

    def vmap(arrays: Any, axes: Any, *, convolution: Convolution) -> tuple[jax.Array, int]:
        mapped = [axis is not None for axis in axes]
        if mapped != list(batched) or all(batched):
            # Every example with a kernel of its own, or a kernel's gradient for each.
            in_axes = [axis if m else None for axis, m in zip(axes, mapped, strict=True)]
            return jax.vmap(lambda a, b: plain(a, b, convolution), in_axes)(*arrays), 0
        # Examples of examples are examples.
        index = mapped.index(True)
        stacked = jax.numpy.moveaxis(arrays[index], axes[index], 0)
        count, batch, *rest = stacked.shape
        flat = list(arrays)
        flat[index] = stacked.reshape(count * batch, *rest)
        result = primitive.bind(*flat, convolution=convolution)
        return result.reshape(count, batch, *result.shape[1:]), 0

    primitive.def_impl(lambda a, b, *, convolution: compiled(convolution)(a, b))
    primitive.def_abstract_eval(
        lambda a, b, *, convolution: a.update(shape=shape(a, b, convolution), weak_type=False)
    )
    batching.primitive_batchers[primitive] = vmap
    mlir.register_lowering(
        primitive, mlir.lower_fun(lambda a, b, *, convolution: plain(a, b, convolution), False)
    )
    mlir.register_lowering(primitive, mlir.lower_fun(lower_on_cpu, False), platform="cpu")
    return primitive


_value = _primitive("conv", _output_shape, _plain_value, cpu.conv, (True, False))
_input_gradient = _primitive(
    "conv_input_gradient", _input_shape, _plain_input_gradient, cpu.conv_input_gradient,
    (True, False),
)  # fmt: skip
_kernel_gradient = _primitive(
    "conv_kernel_gradient", _kernel_shape, _plain_kernel_gradient, cpu.conv_kernel_gradient,
    (True, True),
)  # fmt: skip

ad.defbilinear(
    _value,
    lambda y, x, kernel, *, convolution: convolution.input_gradient(y, kernel),
    lambda y, x, kernel, *, convolution: convolution.kernel_gradient(x, y),
)
ad.defbilinear(
    _input_gradient,
    lambda x, y, kernel, *, convolution: convolution.value(x, kernel),
    lambda x, y, kernel, *, convolution: convolution.kernel_gradient(x, y),
)
ad.defbilinear(
    _kernel_gradient,
    lambda kernel, x, y, *, convolution: convolution.input_gradient(y, kernel),
    lambda kernel, x, y, *, convolution: convolution.value(x, kernel),
)

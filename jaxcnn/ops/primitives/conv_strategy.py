"""The parameters of a convolution, and the type of a strategy that computes it."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax

from jaxcnn import shapes
from jaxcnn.ops.primitives.lowering import transpose


@dataclasses.dataclass(frozen=True)
class Convolution:
    """The parameters of a convolution other than its two arrays.

    Attributes:
      windows: The resolved window; padding is filled with zeros.
      groups: Number of groups of channels that do not mix.
      precision: As in :func:`jax.lax.conv_general_dilated`, hashable.
    """

    windows: shapes.Windows
    groups: int = 1
    precision: Any = None


Operation: TypeAlias = Literal["value", "input_gradient", "kernel_gradient"]
Compute: TypeAlias = Callable[[jax.Array, jax.Array, Convolution], jax.Array]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """One way to compute a convolution and its two gradients.

    Attributes:
      name: Name of the strategy, unique among all.
      value: Maps ``x``, ``(batch, *spatial, in_features)``, and the kernel to ``y``,
        ``(batch, *output_sizes, features)``.
      input_gradient: The transpose of ``value`` in ``x``: maps ``y`` and the kernel to ``x``.
      kernel_gradient: The transpose of ``value`` in the kernel: maps ``x`` and ``y`` to
        ``(*kernel_size, in_features // groups, features)``.
    """

    name: str
    value: Compute
    input_gradient: Compute
    kernel_gradient: Compute


def derive_gradients(name: str, value: Compute) -> Strategy:
    """Return the strategy whose gradients are the transposes of ``value`` as JAX derives them."""

    def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
        in_features = kernel.shape[-2] * convolution.groups
        shape = (y.shape[0], *convolution.windows.spatial, in_features)
        return transpose(lambda x: value(x, kernel, convolution), shape, y)

    def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
        in_features = x.shape[-1] // convolution.groups
        shape = (*convolution.windows.window, in_features, y.shape[-1])
        return transpose(lambda kernel: value(x, kernel, convolution), shape, y)

    return Strategy(name, value, input_gradient, kernel_gradient)

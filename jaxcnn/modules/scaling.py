"""Modules that scale each channel by a learned number."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, ops
from jaxcnn.modules.masking import Masked
from jaxcnn.other_names import Explained


class PReLU(Explained, nnx.Module):
    """A ReLU with a learned slope per channel for negative values; see :func:`jaxcnn.ops.prelu`.

    >>> PReLU(2)(jnp.array([[-4.0, 3.0]]))
    Array([[-1.,  3.]], dtype=float32)

    Attributes:
      slope: ``nnx.Param`` of ``(features,)``.
    """

    def __init__(
        self,
        features: int,
        *,
        init: float = 0.25,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Create the slopes.

        Args:
          features: Channels, at least 1.
          init: The first slope of each channel.
          param_dtype: Dtype of the slopes.

        Raises:
          TypeError: an option is not of its type.
          ValueError: there is no channel.
        """
        self.slope = _constant(features, init, param_dtype)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return ``x`` with negative values times the slope of their channel."""
        return ops.prelu(x, self.slope[...])

    def call_masked(self, x: Masked) -> Masked:
        """Return the result for series of several lengths."""
        return x.with_values(self(x.values))


class LayerScale(Explained, nnx.Module):
    """A learned factor per channel; see :func:`jaxcnn.ops.layer_scale`.

    >>> LayerScale(2, init=0.5)(jnp.array([[4.0, 2.0]]))
    Array([[2., 1.]], dtype=float32)

    Attributes:
      scale: ``nnx.Param`` of ``(features,)``.
    """

    def __init__(
        self,
        features: int,
        *,
        init: float = 1e-5,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Create the factors.

        Args:
          features: Channels, at least 1.
          init: The first factor of each channel.
          param_dtype: Dtype of the factors.

        Raises:
          TypeError: an option is not of its type.
          ValueError: there is no channel.
        """
        self.scale = _constant(features, init, param_dtype)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return ``x`` with each channel times its factor."""
        return ops.layer_scale(x, self.scale[...])

    def call_masked(self, x: Masked) -> Masked:
        """Return the result for series of several lengths."""
        return x.with_values(self(x.values))


def _constant(features: int, init: float, param_dtype: DTypeLike) -> nnx.Param[jax.Array]:
    arguments.check_integer("features", features, minimum=1)
    return nnx.Param(jnp.full(features, arguments.check_number("init", init), param_dtype))

"""Padding of the spatial axes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import checks, shapes


def pad(
    x: jax.Array,
    widths: int | Sequence[int] | Sequence[shapes.Pair],
    *,
    value: float = 0.0,
) -> jax.Array:
    """Adds a border of ``value`` around the spatial axes.

    >>> pad(jnp.ones((1, 2, 2, 1)), 1)[0, :, :, 0]
    Array([[0., 0., 0., 0.],
           [0., 1., 1., 0.],
           [0., 1., 1., 0.],
           [0., 0., 0., 0.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      widths: An int (both sides of all axes), one int per spatial axis, or one ``(low, high)``
        per spatial axis; at least 0.
      value: What the border is filled with.

    Returns:
      ``(batch, *padded, channels)``.

    Raises:
      TypeError: a width is not a whole number.
      ValueError: ``x`` has no spatial axis, or the widths do not fit.
    """
    checks.images("x", x)
    pairs = shapes.pad_widths("widths", widths, x.ndim - 2)
    interior = ((0, 0, 0), *((low, high, 0) for low, high in pairs), (0, 0, 0))
    return lax.pad(x, jnp.asarray(value, x.dtype), interior)

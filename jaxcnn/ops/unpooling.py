"""Max pools that keep where the maxima were, and their inverse."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import checks, shapes
from jaxcnn.ops.pooling import max_pool
from jaxcnn.ops.primitives.slices import offset_slices


def max_pool_with_indices(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Take the largest value of each window, and its position: :func:`max_pool` twice.

    The position counts the positions of one channel in memory order, as in PyTorch: row·width +
    column in a picture. Of equal maxima it is the first, and so is that of NaN. A window that reads
    padding only, as one with ``dilation`` may, has −1.

    >>> x = jnp.array([[2., 3, 1, 9], [4, 7, 3, 5]])
    >>> _, indices = max_pool_with_indices(x[None, :, :, None], 2)
    >>> indices[0, 0, :, 0]
    Array([5, 3], dtype=int32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      window: As in :func:`max_pool`.
      strides: As in :func:`max_pool`.
      padding: As in :func:`max_pool`.
      dilation: As in :func:`max_pool`.
      ceil_mode: As in :func:`max_pool`.

    Returns:
      The values of :func:`max_pool` and their positions, int32, ``(batch, *output_sizes,
      channels)`` each.

    Raises:
      TypeError: an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    values = max_pool(
        x, window, strides=strides, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    spatial = x.shape[1:-1]
    windows = shapes.pool_windows(
        spatial,
        window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    positions = jnp.arange(math.prod(spatial), dtype=jnp.int32).reshape(1, *spatial, 1)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    lowest = -np.inf if floating else jnp.iinfo(x.dtype).min
    winner = jnp.full((1, *windows.output_sizes, 1), -1, jnp.int32)
    best = jnp.full_like(values, lowest)
    parts = offset_slices(lax.stop_gradient(x), windows, lowest)
    for part, position in zip(parts, offset_slices(positions, windows, -1), strict=True):
        real = position >= 0
        better = (part > best) | (winner < 0) | (jnp.isnan(part) & ~jnp.isnan(best))
        winner = jnp.where(better & real, position, winner)
        best = jnp.where(better & real, part, best)
    return values, winner


def max_unpool(x: jax.Array, indices: jax.Array, output_size: shapes.PerAxis) -> jax.Array:
    """Put the values of a max pool back to where they were, and zeros elsewhere.

    Where windows overlap, one of the values of a position that several have remains.

    >>> x = jnp.array([[2., 3, 1, 9], [4, 7, 3, 5]])
    >>> max_unpool(*max_pool_with_indices(x[None, :, :, None], 2), (2, 4))[0, :, :, 0]
    Array([[0., 0., 0., 9.],
           [0., 7., 0., 0.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      indices: Positions as :func:`max_pool_with_indices` gives them, integers of the shape of
        ``x``; those outside the output are dropped.
      output_size: Size of the output: an int or one per spatial axis, at least 1.

    Returns:
      ``(batch, *output_size, channels)``; see :func:`jaxcnn.shapes.adaptive_shape`.

    Raises:
      TypeError: ``indices`` are not integers, or a size is not an integer.
      ValueError: the shapes differ, or a size is below 1.
    """
    x, indices = checks.array("x", x), checks.array("indices", indices)
    checks.images("x", x)
    checks.integers("indices", indices)
    if indices.shape != x.shape:
        raise ValueError(
            f"indices must have the shape of x, {x.shape}. Received: shape {indices.shape}"
        )
    sizes = shapes.per_axis("output_size", output_size, x.ndim - 2)
    total, count = math.prod(sizes), math.prod(x.shape[1:-1])
    batch, channels = x.shape[0], x.shape[-1]
    at = jnp.where(indices < 0, total, indices).reshape(batch, count, channels)

    def scatter(values: jax.Array, at: jax.Array) -> jax.Array:
        return jnp.zeros(total, values.dtype).at[at].set(values, mode="drop")

    of_channels = jax.vmap(scatter, in_axes=1, out_axes=1)
    y = jax.vmap(of_channels)(x.reshape(batch, count, channels), at)
    return y.reshape(batch, *sizes, channels)

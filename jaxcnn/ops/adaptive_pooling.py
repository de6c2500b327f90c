"""Pools over all positions, and over a given number of windows that cover the input evenly."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.primitives.summation import accumulator


def global_max_pool(x: jax.Array, *, keepdims: bool = False) -> jax.Array:
    """Take the largest value of each channel over all positions.

    NaN and equal maxima are as in :func:`jaxcnn.ops.max_pool`.

    >>> global_max_pool(jnp.arange(8.).reshape(1, 2, 2, 2))
    Array([[6., 7.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      keepdims: Whether to keep the spatial axes with size 1.

    Returns:
      ``(batch, channels)``, or ``(batch, 1, …, channels)``.

    Raises:
      ValueError: ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.real("x", x)
    keepdims = arguments.check_flag("keepdims", keepdims)
    y = _first_largest(x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]), axis=1)
    return y.reshape(x.shape[0], *(1 for _ in x.shape[1:-1] if keepdims), x.shape[-1])


def global_avg_pool(x: jax.Array, *, keepdims: bool = False) -> jax.Array:
    """Take the mean of each channel over all positions.

    >>> global_avg_pool(jnp.arange(8.).reshape(1, 2, 2, 2))
    Array([[3., 4.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      keepdims: Whether to keep the spatial axes with size 1.

    Returns:
      ``(batch, channels)``, or ``(batch, 1, …, channels)``.

    Raises:
      TypeError: ``x`` is not floating point.
      ValueError: ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.floating("x", x)
    keepdims = arguments.check_flag("keepdims", keepdims)
    return jnp.mean(x, axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)


def adaptive_max_pool(x: jax.Array, output_size: shapes.PerAxis) -> jax.Array:
    """Take the largest value of each of ``output_size`` windows that cover the input evenly.

    Window i of n reads positions :math:`⌊i·size/n⌋` up to :math:`⌈(i + 1)·size/n⌉`, as in PyTorch:
    neighboring windows share a position if the sizes do not divide.

    >>> adaptive_max_pool(jnp.arange(5.)[None, :, None], 3)[0, :, 0]
    Array([1., 3., 4.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      output_size: An int or one per spatial axis, at least 1.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: ``output_size`` is not an integer.
      ValueError: ``output_size`` is below 1, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.real("x", x)
    # The maximum of a box is that of each axis in turn. Starting at the last axis, the winner is
    # the first in memory order.
    for axis, (size, count) in reversed(list(enumerate(_adaptive(x, output_size), start=1))):
        starts, ends = _adaptive_bounds(size, count)
        x = _first_largest(jnp.take(x, _positions(starts, ends, size), axis=axis), axis=axis + 1)
    return x


def adaptive_avg_pool(x: jax.Array, output_size: shapes.PerAxis) -> jax.Array:
    """Take the mean of each of ``output_size`` windows that cover the input evenly.

    The windows are those of :func:`adaptive_max_pool`.

    >>> adaptive_avg_pool(jnp.arange(5.)[None, :, None], 3)[0, :, 0]
    Array([0.5, 2. , 3.5], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      output_size: An int or one per spatial axis, at least 1.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: ``x`` is not floating point, or ``output_size`` is not an integer.
      ValueError: ``output_size`` is below 1, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.floating("x", x)
    y = x.astype(accumulator(x))
    # The mean over a box is the mean over each axis in turn.
    for axis, (size, count) in enumerate(_adaptive(x, output_size), start=1):
        starts, ends = _adaptive_bounds(size, count)
        taken = jnp.take(y, _positions(starts, ends, size), axis=axis)
        # Select instead of multiplying by 0: the repeated positions may be infinite.
        counts = jnp.expand_dims(ends - starts, _others(y.ndim, axis))
        places = jnp.expand_dims(jnp.arange(taken.shape[axis + 1]), _others(taken.ndim, axis + 1))
        inside = places < jnp.expand_dims(counts, axis + 1)
        y = jnp.where(inside, taken, 0).sum(axis + 1) / jnp.asarray(counts, y.dtype)
    return y.astype(x.dtype)


def _adaptive(x: jax.Array, output_size: shapes.PerAxis) -> list[tuple[int, int]]:
    sizes = shapes.per_axis("output_size", output_size, x.ndim - 2)
    return list(zip(x.shape[1:-1], sizes, strict=True))


def _adaptive_bounds(size: int, count: int) -> tuple[Any, Any]:
    index: Any = np.arange(count)
    if not isinstance(size, int):  # symbolic: known when the exported program is called
        index, size = jnp.asarray(index), jnp.asarray(size)
    return index * size // count, -(-(index + 1) * size // count)


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)


def _positions(starts: Any, ends: Any, size: int) -> Any:
    """Return the positions that each window reads; shorter windows repeat their last position.

    A repeated position cannot win against itself.
    """
    if isinstance(size, int):
        return np.minimum(starts[:, None] + np.arange(max(ends - starts)), ends[:, None] - 1)
    most = size // len(starts) + 2  # an upper bound
    return jnp.minimum(starts[:, None] + jnp.arange(most)[None], ends[:, None] - 1)


def _first_largest(x: jax.Array, axis: int) -> jax.Array:
    """Return the largest value along ``axis``; the first of several gets the gradient."""
    winner = jnp.argmax(x, axis=axis, keepdims=True)
    return jnp.take_along_axis(x, winner, axis=axis).squeeze(axis)

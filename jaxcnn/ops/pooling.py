"""Pooling in any number of dimensions."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.primitives.maximum import window_max
from jaxcnn.ops.primitives.summation import accumulator, window_sum


def max_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Takes the largest value of each window, channel by channel.

    NaN in a window gives NaN. Where values tie, the gradient goes to the first of them in
    memory order, as in PyTorch. Padding counts as −∞: it never wins, but where all that a window
    reads is −∞ the gradient is lost in it. The gradient of a NaN goes to the first NaN on CPU, and
    elsewhere where XLA's own takes it.

    >>> x = jnp.array([[2., 3, 1, 9], [4, 7, 3, 5], [8, 2, 2, 2], [1, 3, 4, 5]])
    >>> max_pool(x[None, :, :, None], 2)[0, :, :, 0]
    Array([[7., 9.],
           [8., 5.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1; ``None`` means the window's own size.
      padding: As in :func:`jaxcnn.shapes.windows`, but below the window's extent.
      dilation: Distance between the inputs that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.

    Returns:
      ``(batch, *output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`.

    Raises:
      TypeError: an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.real("x", x)
    return window_max(x, resolved)


def avg_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> jax.Array:
    """Takes the mean of each window, channel by channel.

    By default padding does not count: the sum is divided by the number of real inputs, as in
    Keras and TensorFlow. ``count_include_pad=True`` counts it, which is PyTorch's default;
    what ``ceil_mode`` reads past the padding counts in neither.

    >>> x = jnp.array([[2., 1, 1, 3], [4, 5, 2, 1], [1, 4, 5, 3], [5, 1, 7, 6]])
    >>> avg_pool(x[None, :, :, None], 2)[0, :, :, 0]
    Array([[3.  , 1.75],
           [2.75, 5.25]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      window: As in :func:`max_pool`.
      strides: As in :func:`max_pool`.
      padding: As in :func:`max_pool`.
      dilation: As in :func:`max_pool`.
      ceil_mode: As in :func:`max_pool`.
      count_include_pad: Whether padding counts in the divisor.

    Returns:
      ``(batch, *output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    counts = _counts(resolved, arguments.check_flag("count_include_pad", count_include_pad))
    total = _sum(x, resolved)
    return (total / counts.astype(total.dtype)).astype(x.dtype)


def sum_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Takes the sum of each window, channel by channel; padding counts as 0.

    >>> x = jnp.array([[2., 1, 1, 3], [4, 5, 2, 1], [1, 4, 5, 3], [5, 1, 7, 6]])
    >>> sum_pool(x[None, :, :, None], 2)[0, :, :, 0]
    Array([[12.,  7.],
           [11., 21.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      window: As in :func:`max_pool`.
      strides: As in :func:`max_pool`.
      padding: As in :func:`max_pool`.
      dilation: As in :func:`max_pool`.
      ceil_mode: As in :func:`max_pool`.

    Returns:
      ``(batch, *output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    return _sum(x, resolved).astype(x.dtype)


def lp_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    p: float,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Takes the p-norm of each window, channel by channel: (Σ |x|^p)^(1/p).

    It lies between the sum (p = 1) and the maximum (p → ∞) of the absolute values. Where the
    norm is 0 the gradient is 0. PyTorch's sums x^p without taking absolute values, which is the
    same for even p and for x ≥ 0; for odd p and negative sums it gives NaN, ours does not.

    >>> lp_pool(jnp.array([3., -4.])[None, :, None], 2, 2)[0, :, 0]
    Array([5.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      window: As in :func:`max_pool`.
      p: Order of the norm, at least 1.
      strides: As in :func:`max_pool`.
      padding: As in :func:`max_pool`.
      dilation: As in :func:`max_pool`.
      ceil_mode: As in :func:`max_pool`.

    Returns:
      ``(batch, *output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a number of its kind.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    p = check_order(p)
    power = int(p) if p.is_integer() else p  # multiplications, where they do
    total = _sum(jnp.abs(x.astype(accumulator(x))) ** power, resolved)
    # Both sides of a `where` are differentiated, and the slope of 0^(1/p) is infinite.
    positive = total > 0
    root = jnp.where(positive, total, 1) ** (1 / p)
    return jnp.where(positive, root, total).astype(x.dtype)


def check_order(p: float) -> float:
    """Returns the order of a norm as a float, checked.

    Raises:
      TypeError: ``p`` is not a number.
      ValueError: it is below 1 or infinite.
    """
    order = arguments.check_number("p", p)
    if not 1 <= order < float("inf"):
        raise ValueError(f"p must be at least 1 and finite. Received: p={p!r}")
    return order


def global_max_pool(x: jax.Array, *, keepdims: bool = False) -> jax.Array:
    """Takes the largest value of each channel over all positions.

    NaN and ties are as in :func:`max_pool`.

    >>> global_max_pool(jnp.arange(8.).reshape(1, 2, 2, 2))
    Array([[6., 7.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      keepdims: Whether the spatial axes stay, with size 1.

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
    """Takes the mean of each channel over all positions.

    >>> global_avg_pool(jnp.arange(8.).reshape(1, 2, 2, 2))
    Array([[3., 4.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      keepdims: Whether the spatial axes stay, with size 1.

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
    """Takes the largest value of each of ``output_size`` windows that cover the input evenly.

    Window i of n reads positions ⌊i·size/n⌋ up to ⌈(i + 1)·size/n⌉, as in PyTorch: neighbors
    share a position where the sizes do not divide.

    >>> adaptive_max_pool(jnp.arange(5.)[None, :, None], 3)[0, :, 0]
    Array([1., 3., 4.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, of real numbers.
      output_size: An int or one per spatial axis, at least 1.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: ``output_size`` is not a whole number.
      ValueError: it is below 1, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.real("x", x)
    # The maximum of a box is that of each axis in turn; from the last axis on, the winner is the
    # first in memory order.
    for axis, (size, count) in reversed(list(enumerate(_adaptive(x, output_size), start=1))):
        starts, ends = _adaptive_bounds(size, count)
        x = _first_largest(jnp.take(x, _positions(starts, ends), axis=axis), axis=axis + 1)
    return x


def adaptive_avg_pool(x: jax.Array, output_size: shapes.PerAxis) -> jax.Array:
    """Takes the mean of each of ``output_size`` windows that cover the input evenly.

    The windows are those of :func:`adaptive_max_pool`.

    >>> adaptive_avg_pool(jnp.arange(5.)[None, :, None], 3)[0, :, 0]
    Array([0.5, 2. , 3.5], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are summed in float32.
      output_size: An int or one per spatial axis, at least 1.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: ``x`` is not floating point, or ``output_size`` is not a whole number.
      ValueError: ``output_size`` is below 1, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.floating("x", x)
    y = x.astype(accumulator(x))
    # The mean over a box is the mean over each axis in turn.
    for axis, (size, count) in enumerate(_adaptive(x, output_size), start=1):
        starts, ends = _adaptive_bounds(size, count)
        taken = jnp.take(y, _positions(starts, ends), axis=axis)
        # What shorter windows read again is left out, not multiplied by 0: it may be infinite.
        counts = np.expand_dims(ends - starts, _others(y.ndim, axis))
        places = np.expand_dims(np.arange(taken.shape[axis + 1]), _others(taken.ndim, axis + 1))
        inside = jnp.asarray(places < np.expand_dims(counts, axis + 1))
        y = jnp.where(inside, taken, 0).sum(axis + 1) / jnp.asarray(counts, y.dtype)
    return y.astype(x.dtype)


def _adaptive(x: jax.Array, output_size: shapes.PerAxis) -> list[tuple[int, int]]:
    sizes = shapes.per_axis("output_size", output_size, x.ndim - 2)
    return list(zip(x.shape[1:-1], sizes, strict=True))


def _adaptive_bounds(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(count)
    return index * size // count, -(-(index + 1) * size // count)


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)


def _positions(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns what each window reads; the shorter ones read their last position again.

    It cannot win against itself.
    """
    return np.minimum(starts[:, None] + np.arange(max(ends - starts)), ends[:, None] - 1)


def _first_largest(x: jax.Array, axis: int) -> jax.Array:
    """Returns the largest value along ``axis``; the first of several has the gradient."""
    winner = jnp.argmax(x, axis=axis, keepdims=True)
    return jnp.take_along_axis(x, winner, axis=axis).squeeze(axis)


def _sum(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return window_sum(x.astype(accumulator(x)), windows)


def _windows(
    x: jax.Array,
    window: shapes.PerAxis,
    strides: shapes.PerAxis | None,
    padding: shapes.Padding,
    dilation: shapes.PerAxis,
    ceil_mode: bool,
) -> shapes.Windows:
    if isinstance(window, Sequence) and len(window) == x.ndim - 1:
        checks.rank("x", x, x.ndim + 1, reason=f", for window={window}")  # a batch is missing
    checks.images("x", x)
    return shapes.pool_windows(
        x.shape[1:-1],
        window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def _counts(windows: shapes.Windows, include_pad: bool) -> np.ndarray:
    """Returns how many inputs each window reads, ``(1, *output_sizes, 1)``, at least 1."""
    per_axis = []
    for axis, size in enumerate(windows.spatial):
        low, high = windows.padding[axis]
        starts = np.arange(windows.output_sizes[axis]) * windows.strides[axis] - low
        reads = starts[:, None] + np.arange(windows.window[axis]) * windows.dilation[axis]
        first, end = (-low, size + high) if include_pad else (0, size)
        per_axis.append(((reads >= first) & (reads < end)).sum(axis=1))
    counts = functools.reduce(np.multiply.outer, per_axis)
    return np.maximum(counts, 1)[None, ..., None]

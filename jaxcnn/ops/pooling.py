"""Pools over a sliding window in any number of dimensions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.primitives.maximum import window_max
from jaxcnn.ops.primitives.slices import are_few, offset_slices, split_passes
from jaxcnn.ops.primitives.summation import accumulator, window_sum
from jaxcnn.other_names import explained


@explained
def max_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Take the largest value of each window, channel by channel.

    NaN in a window gives NaN. The gradient of equal maxima goes to the first of them in memory
    order, as in PyTorch. Padding counts as −∞ and never wins; if a window reads only −∞, its
    gradient is lost in the padding. The gradient of a NaN goes to the first NaN on CPU, and to the
    element that XLA selects on other platforms.

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
      TypeError: an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.real("x", x)
    return window_max(x, resolved)


@explained
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
    """Take the mean of each window, channel by channel.

    By default padding does not count: the sum is divided by the number of real inputs, as in
    Keras and TensorFlow. ``count_include_pad=True`` counts it, which is PyTorch's default.
    Positions past the padding, which ``ceil_mode`` reads, never count.

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
      TypeError: ``x`` is not floating point, or an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    counts = _counts(resolved, arguments.check_flag("count_include_pad", count_include_pad))
    total = _sum(x, resolved)
    return (total / counts.astype(total.dtype)).astype(x.dtype)


@explained
def sum_pool(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis | None = None,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
    ceil_mode: bool = False,
) -> jax.Array:
    """Take the sum of each window, channel by channel; padding counts as 0.

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
      TypeError: ``x`` is not floating point, or an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    return _sum(x, resolved).astype(x.dtype)


@explained
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
    """Take the p-norm of each window, channel by channel: :math:`(Σ |x|^p)^{1/p}`.

    It lies between the sum (p = 1) and the maximum (p → ∞) of the absolute values. The gradient of
    a norm of 0 is 0. The values of each window are divided by the largest first (those of a channel
    where a window is longer than 64), so that powers stay in range. PyTorch sums x^p without
    absolute values, which is the same for even p and for x ≥ 0, but NaN for odd p and negative
    sums; its powers may overflow.

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
      TypeError: ``x`` is not floating point, or an option has the wrong type.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    p = check_order(p)
    size = jnp.abs(x.astype(accumulator(x)))
    if p == 1:
        return window_sum(size, resolved).astype(x.dtype)
    if not (are_few(resolved) and _are_known(resolved)):
        largest = size.max(axis=range(1, x.ndim - 1), keepdims=True)
        return _norm([size], largest, p, lambda powers: window_sum(powers, resolved)).astype(
            x.dtype
        )
    for one in split_passes(resolved):  # the norm over a box is that over each axis in turn
        parts = list(offset_slices(size, one, 0.0))
        size = _norm(parts, functools.reduce(jnp.maximum, parts), p)
    return size.astype(x.dtype)


def check_order(p: float) -> float:
    """Check the order of a norm, and return it as a float.

    Raises:
      TypeError: ``p`` is not a number.
      ValueError: ``p`` is below 1 or infinite.
    """
    return arguments.check_number("p", p, minimum=1)


def _are_known(windows: shapes.Windows) -> bool:
    """Return whether no size is symbolic, as in a ``jax.export``."""
    return all(isinstance(size, int) for size in windows.spatial)


def _norm(
    parts: Sequence[jax.Array],
    largest: jax.Array,
    p: float,
    collect: Callable[[jax.Array], jax.Array] = lambda powers: powers,
) -> jax.Array:
    """Return the p-norms of nonnegative parts: ``collect`` of the sum of their powers.

    They are divided by ``largest`` first, so that no power overflows and none that counts
    underflows.
    """
    usable = (largest > 0) & jnp.isfinite(largest)
    scale = lax.stop_gradient(jnp.where(usable, largest, 1))
    power = int(p) if p.is_integer() else p  # products instead of a power
    total = collect(functools.reduce(jnp.add, ((part / scale) ** power for part in parts)))
    # Both sides of a `where` are differentiated, and the slope of 0^(1/p) is infinite.
    positive = total > 0
    root = jnp.where(positive, total, 1) ** (1 / p)
    return scale * jnp.where(positive, root, total)


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
        checks.rank(
            "x", x, x.ndim + 1, reason=f", for window={window}"
        )  # the batch axis is missing
    checks.images("x", x)
    return shapes.pool_windows(
        x.shape[1:-1],
        window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def _counts(windows: shapes.Windows, include_pad: bool) -> Any:
    """Return the number of inputs of each window, ``(1, *output_sizes, 1)``, at least 1."""
    per_axis = []
    library: Any = np if _are_known(windows) else jnp  # a constant, unless sizes are symbolic
    for axis, size in enumerate(windows.spatial):
        low, high = windows.padding[axis]
        starts = library.arange(windows.output_sizes[axis]) * windows.strides[axis] - low
        reads = (
            starts[:, None] + library.arange(windows.window[axis])[None] * windows.dilation[axis]
        )
        first, end = (-low, size + high) if include_pad else (0, size)
        per_axis.append(((reads >= first) & (reads < end)).sum(axis=1))
    counts = functools.reduce(library.multiply.outer, per_axis)
    return library.maximum(counts, 1)[None, ..., None]

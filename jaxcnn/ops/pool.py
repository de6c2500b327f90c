"""Pooling in any number of dimensions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import checks, shapes
from jaxcnn.ops import cpu


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
    memory order, as in PyTorch. Padding never wins.

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
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    return _max_pool(x, resolved)


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
      x: ``(batch, *spatial, channels)``, floating point.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1; ``None`` means the window's own size.
      padding: As in :func:`jaxcnn.shapes.windows`, but below the window's extent.
      dilation: Distance between the inputs that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.
      count_include_pad: Whether padding counts in the divisor.

    Returns:
      ``(batch, *output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    resolved = _windows(x, window, strides, padding, dilation, ceil_mode)
    checks.floating("x", x)
    counts = _counts(resolved, count_include_pad).astype(x.dtype)
    return _reduce(x, resolved, np.zeros((), x.dtype), lax.add) / counts


def _windows(
    x: jax.Array,
    window: shapes.PerAxis,
    strides: shapes.PerAxis | None,
    padding: shapes.Padding,
    dilation: shapes.PerAxis,
    ceil_mode: bool,
) -> shapes.Windows:
    checks.images("x", x)
    return shapes.pool_windows(
        x.shape[1:-1],
        window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def _reduce(x: jax.Array, windows: shapes.Windows, init: np.ndarray, computation: Any) -> jax.Array:
    pairs = zip(windows.padding, windows.overhang, strict=True)
    return lax.reduce_window(
        x,
        init,
        computation,
        window_dimensions=(1, *windows.window, 1),
        window_strides=(1, *windows.strides, 1),
        padding=((0, 0), *((low, high + overhang) for (low, high), overhang in pairs), (0, 0)),
        window_dilation=(1, *windows.dilation, 1),
    )


def _plain_max_pool(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    lowest = -np.inf if floating else jnp.iinfo(x.dtype).min
    return _reduce(x, windows, np.asarray(lowest, x.dtype), lax.max)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_pool(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return _plain_max_pool(x, windows)


@_max_pool.defjvp
def _max_pool_jvp(
    windows: shapes.Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    def plain(x: jax.Array, dx: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda x: _plain_max_pool(x, windows), (x,), (dx,))

    fast = functools.partial(cpu.max_pool_jvp, windows=windows)
    return lax.platform_dependent(*primals, *tangents, cpu=fast, default=plain)


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

"""Patches of images: what each position of a window reads, and their sum back into an image."""

import math

import jax
import jax.numpy as jnp

from jaxcnn import checks, shapes
from jaxcnn.ops.primitives.slices import offset_slices
from jaxcnn.ops.primitives.summation import accumulator
from jaxcnn.shapes.patches import fold_windows


def unfold(
    x: jax.Array,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
) -> jax.Array:
    """Gather the patch under each position of the window into channels (im2col).

    The positions of the window are in memory order and the input's channels vary fastest, so that
    a product with ``kernel.reshape(-1, features)`` is :func:`conv`. PyTorch's ``unfold`` has one
    axis for all positions, and the input's channels vary slowest.

    >>> import jax.numpy as jnp
    >>> unfold(jnp.arange(4.)[None, :, None], 2)[0]
    Array([[0., 1.],
           [1., 2.],
           [2., 3.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1.
      padding: As in :func:`jaxcnn.shapes.windows`; it is filled with zeros.
      dilation: Distance between the inputs that the window reads, at least 1.

    Returns:
      ``(batch, *output_sizes, window positions · channels)``; see
      :func:`jaxcnn.shapes.unfold_shape`.

    Raises:
      TypeError: an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    return _gather(
        x,
        shapes.windows(x.shape[1:-1], window, strides=strides, padding=padding, dilation=dilation),
    )


def fold(
    x: jax.Array,
    output_size: shapes.PerAxis,
    window: shapes.PerAxis,
    *,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    dilation: shapes.PerAxis = 1,
) -> jax.Array:
    """Add patches up into an image, where they overlap (col2im): the transpose of :func:`unfold`.

    >>> import jax.numpy as jnp
    >>> fold(jnp.ones((1, 3, 2)), 4, 2)[0, :, 0]
    Array([1., 2., 2., 1.], dtype=float32)

    Args:
      x: ``(batch, *positions, window positions · channels)``, floating point, as :func:`unfold`
        gives it; halves are summed in float32.
      output_size: Size of the image: an int or one per spatial axis, at least 1.
      window: As in :func:`unfold`.
      strides: As in :func:`unfold`.
      padding: As in :func:`unfold`; what lies in it is dropped.
      dilation: As in :func:`unfold`.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.floating("x", x)
    windows = fold_windows(
        x.shape[1:], output_size, window, strides=strides, padding=padding, dilation=dilation
    )
    channels = x.shape[-1] // math.prod(windows.window)
    wide = x.astype(accumulator(x))
    image = jax.ShapeDtypeStruct((x.shape[0], *windows.spatial, channels), wide.dtype)
    (y,) = jax.linear_transpose(lambda image: _gather(image, windows), image)(wide)
    return y.astype(x.dtype)


def _gather(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return jnp.concatenate(list(offset_slices(x, windows, 0.0)), axis=-1)

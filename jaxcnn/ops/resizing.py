"""Resizing by interpolation, and rearrangement between pixels and channels."""

from collections.abc import Sequence

import jax

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.primitives.interpolation import COORDINATES, METHODS, Interpolation, interpolate
from jaxcnn.ops.primitives.summation import accumulator
from jaxcnn.other_names import explained
from jaxcnn.shapes.layers import move_blocks_to_channels, move_channels_to_blocks
from jaxcnn.shapes.scaling import factors, scaled_sizes


@explained
def resize(
    x: jax.Array,
    size: shapes.PerAxis,
    *,
    method: str = "linear",
    antialias: bool = True,
    coordinates: str = "half_pixel",
) -> jax.Array:
    """Interpolate the spatial axes to ``size``.

    With ``antialias`` an image is blurred before it is reduced, as in ``jax.image.resize`` and
    Pillow; PyTorch and Keras do not by default.

    A new pixel i reads the input at c, in pixels from the center of the first. The
    ``coordinates`` are ONNX's: ``"half_pixel"``, c = (i + ½)·n_prev/n − ½, where pixels are areas
    (PyTorch's ``align_corners=False``); ``"align_corners"``, c = i·(n_prev − 1)/(n − 1), which
    keeps the first and the last pixel; ``"asymmetric"``, c = i·n_prev/n.

    ``"nearest"`` takes the pixel nearest to c: with half-pixel coordinates PyTorch's
    ``nearest-exact``. ``"nearest_floor"`` takes the pixel at or before c: with asymmetric
    coordinates PyTorch's ``nearest``. ``"cubic"`` is the kernel of Keys (1981) with a = −1/2 and
    without the pixels that do not exist, as in Pillow, Keras, and PyTorch with
    ``antialias=True``. ``"bicubic"`` has a = −3/4 and repeats the pixels of the edge, as PyTorch
    without ``antialias``, OpenCV and ONNX.

    An infinity or NaN reaches only the pixels whose kernel reads it.

    >>> import jax.numpy as jnp
    >>> resize(jnp.array([0., 4.])[None, :, None], 4)[0, :, 0]
    Array([0., 1., 3., 4.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point.
      size: An int or one per spatial axis, at least 1.
      method: ``"nearest"``, ``"nearest_floor"``, ``"linear"``, ``"cubic"``, ``"bicubic"``,
        ``"lanczos3"`` or ``"lanczos5"``.
      antialias: Whether to blur before reducing; the nearest methods never do.
      coordinates: ``"half_pixel"``, ``"align_corners"`` or ``"asymmetric"``.

    Returns:
      ``(batch, *size, channels)``.

    Raises:
      TypeError: ``x`` is not floating point, or the size is not an integer.
      ValueError: the size is below 1, a word is unknown, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    checks.floating("x", x)
    check_words(method, coordinates)
    antialias = arguments.check_flag("antialias", antialias)
    sizes = shapes.per_axis("size", size, x.ndim - 2)
    return _resize(x, sizes, method, antialias, coordinates, (None,) * len(sizes))


@explained
def upsample(
    x: jax.Array,
    scale: shapes.Scales,
    *,
    method: str = "nearest",
    coordinates: str = "half_pixel",
) -> jax.Array:
    """Resize the spatial axes to ``scale`` times their size, rounded down.

    The coordinates of :func:`resize` have ``scale`` in place of n/n_prev, as in PyTorch with
    ``scale_factor`` and in ONNX. Where ``scale`` is below 1 nothing is blurred.

    >>> import jax.numpy as jnp
    >>> upsample(jnp.array([1., 2.])[None, :, None], 2)[0, :, 0]
    Array([1., 1., 2., 2.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point.
      scale: A number or one per spatial axis, above 0.
      method: As in :func:`resize`.
      coordinates: As in :func:`resize`.

    Returns:
      ``(batch, *scaled, channels)``; see :func:`jaxcnn.shapes.upsample_shape`.

    Raises:
      TypeError: ``x`` is not floating point, or the scale is not a number.
      ValueError: nothing would be left of an axis, a word is unknown, or ``x`` has no spatial
        axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    scales = factors("scale", scale, x.ndim - 2)
    sizes = scaled_sizes(x.shape[1:-1], scales)
    check_words(method, coordinates)
    checks.floating("x", x)
    return _resize(x, sizes, method, False, coordinates, scales)


def check_words(method: str, coordinates: str) -> None:
    """Check the two words of an interpolation.

    Raises:
      TypeError: one is not a string.
      ValueError: one is unknown.
    """
    arguments.check_choice("method", method, METHODS)
    arguments.check_choice("coordinates", coordinates, COORDINATES)


def _resize(
    x: jax.Array,
    sizes: tuple[int, ...],
    method: str,
    antialias: bool,
    coordinates: str,
    scales: Sequence[float | None],
) -> jax.Array:
    """Interpolate one axis after the other, those that become shorter first."""
    known = all(isinstance(size, int) for size in (*x.shape[1:-1], *sizes))
    y = x.astype(accumulator(x))
    axes = list(range(1, x.ndim - 1))
    if known:
        axes.sort(key=lambda axis: sizes[axis - 1] / x.shape[axis])
    for axis in axes:
        length, size, scale = x.shape[axis], sizes[axis - 1], scales[axis - 1]
        if not (known and length == size and scale in (None, 1)):
            y = interpolate(
                y, Interpolation(axis, length, size, method, antialias, coordinates, scale)
            )
    return y.astype(x.dtype)


def space_to_depth(x: jax.Array, block: int) -> jax.Array:
    """Move each block of pixels into the channels of one pixel.

    Within a block the pixels are in memory order and the input's channels vary fastest, as in
    TensorFlow. In PyTorch's ``pixel_unshuffle`` the input's channels vary slowest.

    >>> import jax.numpy as jnp
    >>> space_to_depth(jnp.arange(16.).reshape(1, 4, 4, 1), 2)[0, 0, 1]
    Array([2., 3., 6., 7.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      block: Side of a block, at least 1; it divides every spatial axis.

    Returns:
      ``(batch, *spatial // block, block**axes · channels)``.

    Raises:
      TypeError: ``block`` is not an integer.
      ValueError: ``block`` does not divide, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    *spatial, channels = move_blocks_to_channels(x.shape[1:], block)
    axes = len(spatial)
    blocks = x
    for axis in reversed(range(1, axes + 1)):  # JAX infers the sharding of one split at a time
        shape = blocks.shape
        blocks = blocks.reshape(*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :])
    outer, inner = range(1, 2 * axes, 2), range(2, 2 * axes + 1, 2)
    return blocks.transpose(0, *outer, *inner, 2 * axes + 1).reshape(x.shape[0], *spatial, channels)


def depth_to_space(x: jax.Array, block: int) -> jax.Array:
    """Move the channels of each pixel into a block of pixels: undo :func:`space_to_depth`.

    >>> import jax.numpy as jnp
    >>> depth_to_space(jnp.arange(4.).reshape(1, 1, 1, 4), 2)[0, :, :, 0]
    Array([[0., 1.],
           [2., 3.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      block: Side of a block, at least 1; ``block**axes`` divides the channels.

    Returns:
      ``(batch, *spatial · block, channels // block**axes)``.

    Raises:
      TypeError: ``block`` is not an integer.
      ValueError: ``block`` does not divide, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    shape = move_channels_to_blocks(x.shape[1:], block)
    axes = x.ndim - 2
    split = x.reshape(*x.shape[:-1], *(block,) * axes, shape[-1])
    pairs = [axis for i in range(axes) for axis in (1 + i, 1 + axes + i)]
    y = split.transpose(0, *pairs, 2 * axes + 1)
    for axis, size in enumerate(shape[:-1], start=1):
        y = y.reshape(*y.shape[:axis], size, *y.shape[axis + 2 :])
    return y


def channel_shuffle(x: jax.Array, groups: int) -> jax.Array:
    """Interleave the channels of groups, so that the next grouped convolution mixes them.

    Channel j of group i becomes channel j·groups + i. (Zhang et al., 2018, arXiv 1707.01083.)

    >>> import jax.numpy as jnp
    >>> channel_shuffle(jnp.arange(6.).reshape(1, 1, 6), 2)[0, 0]
    Array([0., 3., 1., 4., 2., 5.], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``.
      groups: Number of groups, at least 1; it divides the channels.

    Returns:
      The shape of ``x``.

    Raises:
      TypeError: ``groups`` is not an integer.
      ValueError: ``groups`` does not divide the channels, or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    groups = check_shuffled(groups, x.shape[-1])
    split = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return split.swapaxes(-1, -2).reshape(x.shape)


def check_shuffled(groups: int, channels: int) -> int:
    """Return the number of groups, which must divide the channels, as an int.

    Raises:
      TypeError: ``groups`` is not an integer.
      ValueError: ``groups`` is below 1 or does not divide the channels.
    """
    groups = arguments.check_integer("groups", groups, minimum=1)
    if channels % groups:
        raise ValueError(
            f"groups must divide the channels. Received: groups={groups}, channels={channels}"
        )
    return groups

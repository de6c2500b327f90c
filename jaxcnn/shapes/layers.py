"""What each kind of layer makes of a shape."""

import math
from collections.abc import Sequence

from jaxcnn import arguments
from jaxcnn.other_names import explained
from jaxcnn.shapes.numbers import (
    Padding,
    Pair,
    PerAxis,
    Shape,
    check_shape,
    image_shape,
    is_below,
    pad_widths,
    per_axis,
)
from jaxcnn.shapes.pooling import pool_windows
from jaxcnn.shapes.transposed import transposed_windows
from jaxcnn.shapes.window import windows


@explained
def conv_shape(
    input_shape: Sequence[int],
    features: int,
    kernel_size: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
) -> Shape:
    """Return the shape that a convolution makes of ``input_shape``, in any number of dimensions.

    >>> conv_shape((28, 28, 1), 64, 3)
    (26, 26, 64)
    >>> conv_shape((16, 64, 64, 3), 8, (3, 5, 5), strides=(1, 2, 2), padding="SAME")
    (16, 32, 32, 8)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      features: Output channels, at least 1.
      kernel_size: Spatial extent of the kernel: an int or one per spatial axis, at least 1.
      strides: Step of the kernel, at least 1.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the kernel reads, at least 1.

    Returns:
      ``(*spatial, features)``.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the kernel is larger than the padded
        input; the message has the formula filled in.
    """
    features = arguments.check_integer("features", features, minimum=1)
    *spatial, _ = image_shape(input_shape)
    resolved = windows(
        spatial,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation=dilation,
        name="kernel_size",
    )
    return (*resolved.output_sizes, features)


@explained
def conv_transpose_shape(
    input_shape: Sequence[int],
    features: int,
    kernel_size: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    output_padding: PerAxis | None = None,
    dilation: PerAxis = 1,
) -> Shape:
    """Return the shape that a transposed convolution makes of ``input_shape``.

    The result is a shape that a convolution with the same options maps to ``input_shape``. A
    stride maps that many sizes to the same one: with a kernel of 3, stride 2 and padding 1 both 27
    and 28 become 14. ``output_padding`` counts from the smallest of them: 27 with 0, 28 with 1.

    .. math:: n = (n_{prev} − 1)·stride + f − 2·pad + out,

    where out is ``output_padding``, f the extent of the window, and f − 2·pad is 1 for ``"SAME"``.
    The positions are computed like all others, not filled with zeros.

    >>> [conv_shape((n, 1), 1, 3, strides=2, padding=1) for n in (27, 28)]
    [(14, 1), (14, 1)]
    >>> conv_transpose_shape((14, 1), 1, 3, strides=2, padding=1)
    (27, 1)
    >>> conv_transpose_shape((14, 1), 1, 3, strides=2, padding=1, output_padding=1)
    (28, 1)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      features: Output channels, at least 1.
      kernel_size: Size of the kernel: an int or one per spatial axis, at least 1.
      strides: Step of the window in the output, at least 1.
      padding: What is cropped from the output: an int (both sides of all axes), one int per
        axis or one ``(low, high)`` per axis, as in PyTorch; ``"SAME"`` (the larger half of an
        odd crop at the end), ``"SAME_LOWER"``, or ``"VALID"``, which crops nothing.
      output_padding: Positions beyond the smallest output: an int or one per axis, at least 0,
        below the stride. ``None`` means 0, but with words for padding the sizes of Keras and JAX:
        n_prev·stride for ``"SAME"`` and at least that for ``"VALID"``.
      dilation: Distance between the outputs that one value is spread over, at least 1.

    Returns:
      ``(*spatial, features)``.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or nothing would be left of the output; the
        message has the formula filled in.
    """
    features = arguments.check_integer("features", features, minimum=1)
    *spatial, _ = image_shape(input_shape)
    resolved = transposed_windows(
        spatial,
        kernel_size,
        strides=strides,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    return (*resolved.output_sizes, features)


@explained
def pool_shape(
    input_shape: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Shape:
    """Return the shape that a pool makes of ``input_shape``, in any number of dimensions.

    >>> pool_shape((13, 13, 64), 2)
    (6, 6, 64)
    >>> pool_shape((13, 13, 64), 2, ceil_mode=True)
    (7, 7, 64)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window; ``None`` means the window's own size.
      padding: As in :func:`windows`, but below the window's extent, so that no window lies in
        the padding. (One with ``dilation`` may still step over a small input and read none of it.)
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.

    Returns:
      ``(*spatial, channels)``; the channels are unchanged.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the padded
        input; the message has the formula filled in.
    """
    *spatial, channels = image_shape(input_shape)
    resolved = pool_windows(
        spatial, window, strides=strides, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return (*resolved.output_sizes, channels)


def adaptive_shape(input_shape: Sequence[int], output_size: PerAxis) -> Shape:
    """Return the shape that an adaptive pool, or a resizing to ``output_size``, makes.

    >>> adaptive_shape((13, 17, 64), (6, 6))
    (6, 6, 64)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      output_size: An int or one per spatial axis, at least 1.

    Raises:
      TypeError: a size is not a whole number.
      ValueError: a size is below 1, or there is not one per spatial axis.
    """
    *spatial, channels = image_shape(input_shape)
    return (*per_axis("output_size", output_size, len(spatial)), channels)


def pad_shape(input_shape: Sequence[int], widths: int | Sequence[int] | Sequence[Pair]) -> Shape:
    """Return the shape with a border of these widths around it; negative widths crop.

    >>> pad_shape((28, 28, 3), ((1, 2), (-4, 0)))
    (31, 24, 3)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      widths: An int, one int per spatial axis, or one ``(low, high)`` per spatial axis.

    Raises:
      TypeError: a width is not a whole number.
      ValueError: there is not one entry per spatial axis, or nothing would be left of an axis.
    """
    *spatial, channels = image_shape(input_shape)
    pairs = pad_widths("widths", widths, len(spatial), minimum=None)
    return (*padded_sizes(spatial, pairs), channels)


def padded_sizes(spatial: Sequence[int], pairs: Sequence[Pair]) -> Shape:
    """Return the sizes of the padded axes, which may be symbolic."""
    sizes = tuple(size + low + high for size, (low, high) in zip(spatial, pairs, strict=True))
    if any(is_below(size, 1) for size in sizes):
        raise ValueError(
            "widths must leave at least one position on every axis. "
            f"Received: widths={tuple(pairs)} for sizes {tuple(spatial)}"
        )
    return sizes


def space_to_depth_shape(input_shape: Sequence[int], block: int) -> Shape:
    """Return the shape with each block of pixels in the channels of one.

    >>> space_to_depth_shape((28, 28, 3), 2)
    (14, 14, 12)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      block: Side of a block, at least 1.

    Raises:
      TypeError: ``block`` is not a whole number.
      ValueError: it is below 1 or does not divide every spatial axis.
    """
    return move_blocks_to_channels(image_shape(input_shape), block)


def move_blocks_to_channels(shape: Shape, block: int) -> Shape:
    """Return :func:`space_to_depth_shape` of a shape whose sizes may be symbolic."""
    *spatial, channels = shape
    block = arguments.check_integer("block", block, minimum=1)
    if any(size % block != 0 for size in spatial):
        raise ValueError(
            f"block must divide every spatial axis. Received: block={block}, input_shape={shape}"
        )
    return (*(size // block for size in spatial), channels * block ** len(spatial))


def depth_to_space_shape(input_shape: Sequence[int], block: int) -> Shape:
    """Return the shape with the channels of each pixel spread over a block.

    >>> depth_to_space_shape((14, 14, 12), 2)
    (28, 28, 3)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      block: Side of a block, at least 1.

    Raises:
      TypeError: ``block`` is not a whole number.
      ValueError: it is below 1, or the block's size does not divide the channels.
    """
    return move_channels_to_blocks(image_shape(input_shape), block)


def move_channels_to_blocks(shape: Shape, block: int) -> Shape:
    """Return :func:`depth_to_space_shape` of a shape whose sizes may be symbolic."""
    *spatial, channels = shape
    block = arguments.check_integer("block", block, minimum=1)
    pixels = block ** len(spatial)
    if channels % pixels != 0:
        raise ValueError(
            f"block**{len(spatial)} = {pixels} must divide the channels. "
            f"Received: block={block}, input_shape={shape}"
        )
    return (*(size * block for size in spatial), channels // pixels)


def flatten(input_shape: Sequence[int]) -> Shape:
    """Return the shape of one flattened example.

    >>> flatten((3, 3, 64))
    (576,)

    Args:
      input_shape: The shape of one example, without the batch.

    Raises:
      TypeError: a size is not a whole number.
      ValueError: a size is below 1.
    """
    return (math.prod(check_shape(input_shape)),)


def explain(
    input_shape: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> str:
    """Return the formula with its numbers for each spatial axis.

    >>> print(explain((28, 28, 1), 3))
    n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26
    >>> print(explain((128, 100, 3), 3, strides=2, padding="SAME"))
    n_H = ⌊(128 − 3 + 0 + 1) / 2⌋ + 1 = 64, n_W = ⌊(100 − 3 + 0 + 1) / 2⌋ + 1 = 50

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      window: Extent of the kernel or window: an int or one per spatial axis.
      strides: Step of the window; ``None`` means the window's own size.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the window reads.
      ceil_mode: Whether a last, partly filled window counts.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the input.
    """
    *spatial, _ = image_shape(input_shape)
    return windows(
        spatial,
        window,
        strides=window if strides is None else strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    ).explain()

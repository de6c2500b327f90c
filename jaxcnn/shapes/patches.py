"""Patches under a window: the shapes of unfolding and folding."""

import math
from collections.abc import Sequence

from jaxcnn.shapes.numbers import Padding, PerAxis, Shape, image_shape, per_axis
from jaxcnn.shapes.window import Windows, windows


def unfold_shape(
    input_shape: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
) -> Shape:
    """Return the shape with the patch under each position of the window as its channels.

    >>> unfold_shape((8, 8, 3), 4, strides=4)
    (2, 2, 48)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the window reads, at least 1.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the padded input.
    """
    *spatial, channels = image_shape(input_shape)
    resolved = windows(spatial, window, strides=strides, padding=padding, dilation=dilation)
    return (*resolved.output_sizes, math.prod(resolved.window) * channels)


def fold_windows(
    patches: Sequence[int],
    output_size: PerAxis,
    window: PerAxis,
    *,
    strides: PerAxis,
    padding: Padding,
    dilation: PerAxis,
) -> Windows:
    """Return the windows over the folded image, which must have the positions of the patches.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or sizes or channels do not fit.
    """
    *positions, channels = patches
    sizes = per_axis("output_size", output_size, len(positions))
    resolved = windows(sizes, window, strides=strides, padding=padding, dilation=dilation)
    if resolved.output_sizes != tuple(positions):
        raise ValueError(
            f"x must have the positions {resolved.output_sizes} that the window takes over "
            f"output_size={sizes}. Received: shape {(*positions, channels)} without the batch"
        )
    if channels % math.prod(resolved.window):
        raise ValueError(
            f"x must have a multiple of {math.prod(resolved.window)} channels, one for each "
            f"position of the window. Received: {channels} channels"
        )
    return resolved

"""Layers that rearrange, pad or resize: they change the number or the order of positions."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import jax

from jaxcnn import arguments, ops, shapes
from jaxcnn.layers.layer import OpLayer
from jaxcnn.layers.option_checks import check_flags, check_per_axis, count_axes
from jaxcnn.ops.padding import check_mode
from jaxcnn.ops.resizing import check_shuffled, check_words
from jaxcnn.shapes.receptive import Fields
from jaxcnn.shapes.scaling import factors


@dataclass(frozen=True, repr=False)
class flatten(OpLayer):
    """Flatten each example to one row; see :func:`jaxcnn.ops.flatten`.

    >>> flatten().output_shape((3, 3, 64))
    (576,)
    """

    op = staticmethod(ops.flatten)
    saved = ()

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the product of the sizes."""
        return shapes.flatten(input_shape)


@dataclass(frozen=True, repr=False)
class identity(OpLayer):
    """Leave every value as it is, such as a branch that passes its input on.

    >>> identity().output_shape((28, 28, 1))
    (28, 28, 1)
    """

    op = staticmethod(jax.nn.identity)
    saved = ()

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``."""
        return shapes.check_shape(input_shape)


@dataclass(frozen=True, repr=False)
class pad(OpLayer):
    """Add a border around the spatial axes, or crop; see :func:`jaxcnn.ops.pad`.

    >>> pad(((1, 1), (0, 2)), mode="reflect").output_shape((28, 28, 1))
    (30, 30, 1)

    Attributes:
      widths: An int, one int per spatial axis, or one ``(low, high)`` per spatial axis;
        negative ones crop.
      mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
      value: Value of the border in mode ``"zeros"``.
    """

    op = staticmethod(ops.pad)
    saved = ()

    widths: int | Sequence[int] | Sequence[shapes.Pair]
    _: KW_ONLY
    mode: str = "zeros"
    value: float = 0.0

    def __post_init__(self) -> None:
        """Check the mode, its value and the widths."""
        super().__post_init__()
        check_mode("mode", self.mode, arguments.check_number("value", self.value), (), ())
        shapes.pad_widths("widths", self.widths, count_axes(self, "widths"), minimum=None)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*padded, channels)``."""
        padded = shapes.pad_shape(input_shape, self.widths)
        spatial = input_shape[:-1]
        pairs = shapes.pad_widths("widths", self.widths, len(spatial), minimum=None)
        check_mode("mode", self.mode, self.value, spatial, pairs)
        return padded

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return fields of one position, the first of which is in the border."""
        pairs = shapes.pad_widths("widths", self.widths, len(input_shape) - 1, minimum=None)
        return tuple(shapes.ReceptiveField(1, 1, -low) for low, _ in pairs)


@dataclass(frozen=True, repr=False)
class resize(OpLayer):
    """Interpolate the spatial axes to a size; see :func:`jaxcnn.ops.resize`.

    >>> resize((32, 48)).output_shape((28, 28, 1))
    (32, 48, 1)

    Attributes:
      size: An int or one per spatial axis, at least 1.
      method: ``"nearest"``, ``"nearest_floor"``, ``"linear"``, ``"cubic"``, ``"bicubic"``,
        ``"lanczos3"`` or ``"lanczos5"``.
      antialias: Whether to blur before making an image smaller.
      coordinates: ``"half_pixel"``, ``"align_corners"`` or ``"asymmetric"``.
    """

    op = staticmethod(ops.resize)
    saved = ()

    size: shapes.PerAxis
    _: KW_ONLY
    method: str = "linear"
    antialias: bool = True
    coordinates: str = "half_pixel"

    def __post_init__(self) -> None:
        """Check size and method."""
        super().__post_init__()
        check_per_axis(self, "size")
        check_flags(self, "antialias")
        check_words(self.method, self.coordinates)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*size, channels)``."""
        *spatial, channels = shapes.image_shape(input_shape)
        return (*shapes.per_axis("size", self.size, len(spatial)), channels)


@dataclass(frozen=True, repr=False)
class upsample(OpLayer):
    """Resize the spatial axes by a factor; see :func:`jaxcnn.ops.upsample`.

    >>> upsample(2).output_shape((7, 7, 64))
    (14, 14, 64)

    Attributes:
      scale: A number or one per spatial axis, above 0.
      method: As in :class:`resize`.
      coordinates: As in :class:`resize`.
    """

    op = staticmethod(ops.upsample)
    saved = ()

    scale: shapes.Scales
    _: KW_ONLY
    method: str = "nearest"
    coordinates: str = "half_pixel"

    def __post_init__(self) -> None:
        """Check scale and method."""
        super().__post_init__()
        factors("scale", self.scale, count_axes(self, "scale"))
        check_words(self.method, self.coordinates)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*spatial · scale, channels)``."""
        return shapes.upsample_shape(input_shape, self.scale)


@dataclass(frozen=True, repr=False)
class channel_shuffle(OpLayer):
    """Mix the channels of groups; see :func:`jaxcnn.ops.channel_shuffle`.

    >>> channel_shuffle(2).output_shape((28, 28, 4))
    (28, 28, 4)

    Attributes:
      groups: Number of groups, at least 1; it divides the channels.
    """

    op = staticmethod(ops.channel_shuffle)
    saved = ()

    groups: int

    def __post_init__(self) -> None:
        """Check the number of groups."""
        super().__post_init__()
        arguments.check_integer("groups", self.groups, minimum=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``, whose channels must be divisible by the groups."""
        shape = shapes.image_shape(input_shape)
        check_shuffled(self.groups, shape[-1])
        return shape

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return fields of one position."""
        return (shapes.ReceptiveField(1, 1, 0),) * (len(input_shape) - 1)


@dataclass(frozen=True, repr=False)
class _Blocks(OpLayer):
    """A layer that exchanges blocks of pixels and channels."""

    block: int

    def __post_init__(self) -> None:
        """Check the side of the block."""
        super().__post_init__()
        arguments.check_integer("block", self.block, minimum=1)


@dataclass(frozen=True, repr=False)
class space_to_depth(_Blocks):
    """Move each block of pixels into channels; see :func:`jaxcnn.ops.space_to_depth`.

    >>> space_to_depth(2).output_shape((28, 28, 3))
    (14, 14, 12)

    Attributes:
      block: Side of a block, at least 1.
    """

    op = staticmethod(ops.space_to_depth)
    saved = ()

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape that :func:`jaxcnn.shapes.space_to_depth_shape` gives."""
        return shapes.space_to_depth_shape(input_shape, self.block)

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the block along each spatial axis."""
        return (shapes.ReceptiveField(self.block, self.block, 0),) * (len(input_shape) - 1)


@dataclass(frozen=True, repr=False)
class depth_to_space(_Blocks):
    """Distribute channels over blocks of pixels; see :func:`jaxcnn.ops.depth_to_space`.

    >>> depth_to_space(2).output_shape((14, 14, 12))
    (28, 28, 3)

    Attributes:
      block: Side of a block, at least 1.
    """

    op = staticmethod(ops.depth_to_space)
    saved = ()

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape that :func:`jaxcnn.shapes.depth_to_space_shape` gives."""
        return shapes.depth_to_space_shape(input_shape, self.block)

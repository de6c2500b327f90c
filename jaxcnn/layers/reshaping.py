"""Layers that change where values stand, or how many there are."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from jaxcnn import arguments, shapes
from jaxcnn.layers.layer import OpLayer, check_flags, check_per_axis
from jaxcnn.ops.padding import check_mode
from jaxcnn.ops.resizing import METHODS


@dataclass(frozen=True, repr=False)
class flatten(OpLayer):
    """Lays each example out as one row; see :func:`jaxcnn.ops.flatten`.

    >>> flatten().output_shape((3, 3, 64))
    (576,)
    """

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the product of the sizes."""
        return shapes.flatten(input_shape)


@dataclass(frozen=True, repr=False)
class pad(OpLayer):
    """Adds a border around the spatial axes; see :func:`jaxcnn.ops.pad`.

    >>> pad(((1, 1), (0, 2)), mode="reflect").output_shape((28, 28, 1))
    (30, 30, 1)

    Attributes:
      widths: An int, one int per spatial axis, or one ``(low, high)`` per spatial axis.
      mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
      value: What ``"zeros"`` fills with.
    """

    widths: int | Sequence[int] | Sequence[shapes.Pair]
    _: KW_ONLY
    mode: str = "zeros"
    value: float = 0.0

    def __post_init__(self) -> None:
        """Checks the mode, and its value."""
        super().__post_init__()
        check_mode("mode", self.mode, arguments.check_number("value", self.value), (), ())

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(*padded, channels)``."""
        *spatial, channels = shapes.image_shape(input_shape)
        pairs = shapes.pad_widths("widths", self.widths, len(spatial))
        check_mode("mode", self.mode, self.value, spatial, pairs)
        return (*(size + sum(pair) for size, pair in zip(spatial, pairs, strict=True)), channels)


@dataclass(frozen=True, repr=False)
class resize(OpLayer):
    """Interpolates the spatial axes to a size; see :func:`jaxcnn.ops.resize`.

    >>> resize((32, 48)).output_shape((28, 28, 1))
    (32, 48, 1)

    Attributes:
      size: An int or one per spatial axis, at least 1.
      method: ``"nearest"``, ``"linear"``, ``"cubic"``, ``"lanczos3"`` or ``"lanczos5"``.
      antialias: Whether to blur before making an image smaller.
    """

    size: shapes.PerAxis
    _: KW_ONLY
    method: str = "linear"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Checks size and method."""
        super().__post_init__()
        check_per_axis(self, "size")
        check_flags(self, "antialias")
        arguments.check_known("method", self.method, METHODS)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(*size, channels)``."""
        return shapes.adaptive_shape(input_shape, self.size)


@dataclass(frozen=True, repr=False)
class upsample(OpLayer):
    """Makes the spatial axes larger; see :func:`jaxcnn.ops.upsample`.

    >>> upsample(2).output_shape((7, 7, 64))
    (14, 14, 64)

    Attributes:
      scale: An int or one per spatial axis, at least 1.
      method: As in :class:`resize`.
    """

    scale: shapes.PerAxis
    _: KW_ONLY
    method: str = "nearest"

    def __post_init__(self) -> None:
        """Checks scale and method."""
        super().__post_init__()
        check_per_axis(self, "scale")
        arguments.check_known("method", self.method, METHODS)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(*spatial · scale, channels)``."""
        return shapes.upsample_shape(input_shape, self.scale)


@dataclass(frozen=True, repr=False)
class space_to_depth(OpLayer):
    """Moves each block of pixels into channels; see :func:`jaxcnn.ops.space_to_depth`.

    >>> space_to_depth(2).output_shape((28, 28, 3))
    (14, 14, 12)

    Attributes:
      block: Side of a block, at least 1.
    """

    block: int

    def __post_init__(self) -> None:
        """Checks the block's side."""
        super().__post_init__()
        arguments.check_integer("block", self.block, minimum=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the shape that :func:`jaxcnn.shapes.space_to_depth_shape` gives."""
        return shapes.space_to_depth_shape(input_shape, self.block)


@dataclass(frozen=True, repr=False)
class depth_to_space(OpLayer):
    """Spreads channels over blocks of pixels; see :func:`jaxcnn.ops.depth_to_space`.

    >>> depth_to_space(2).output_shape((14, 14, 12))
    (28, 28, 3)

    Attributes:
      block: Side of a block, at least 1.
    """

    block: int

    def __post_init__(self) -> None:
        """Checks the block's side."""
        super().__post_init__()
        arguments.check_integer("block", self.block, minimum=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the shape that :func:`jaxcnn.shapes.depth_to_space_shape` gives."""
        return shapes.depth_to_space_shape(input_shape, self.block)

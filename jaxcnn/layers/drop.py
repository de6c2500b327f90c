"""Regularisation by dropping."""

from collections.abc import Sequence
from dataclasses import dataclass

from flax import nnx

from jaxcnn import arguments, modules, ops, shapes
from jaxcnn.layers.layer import Layer


@dataclass(frozen=True, repr=False)
class _Drop(Layer):
    """The op of its own name while training, nothing at inference."""

    rate: float

    def __post_init__(self) -> None:
        """Checks the rate."""
        super().__post_init__()
        arguments.check_rate(self.rate)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``input_shape``."""
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Dropout:
        """Returns a :class:`jaxcnn.modules.Dropout`."""
        self.output_shape(input_shape)
        return modules.Dropout(self.rate, op=getattr(ops, self.kind))


@dataclass(frozen=True, repr=False)
class dropout(_Drop):
    """Drops single values while training; see :func:`jaxcnn.ops.dropout`.

    >>> dropout(0.5).output_shape((576,))
    (576,)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """


@dataclass(frozen=True, repr=False)
class spatial_dropout(_Drop):
    """Drops whole feature maps while training; see :func:`jaxcnn.ops.spatial_dropout`.

    >>> spatial_dropout(0.2).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``input_shape``, which must have a spatial axis."""
        return shapes.image_shape(input_shape)


@dataclass(frozen=True, repr=False)
class drop_path(_Drop):
    """Drops whole examples while training; see :func:`jaxcnn.ops.drop_path`.

    >>> drop_path(0.1).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """

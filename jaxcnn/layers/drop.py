"""Regularization by dropping values, feature maps or examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
from flax import nnx

from jaxcnn import arguments, modules, ops, shapes
from jaxcnn.layers.layer import Layer
from jaxcnn.modules.linear import check_rngs


@dataclass(frozen=True, repr=False)
class _Drop(Layer):
    """A random op that is applied while training and is the identity at inference."""

    rate: float

    saved = ("output",)  # zeros where values are dropped
    op: ClassVar[Callable[..., jax.Array]]

    def __post_init__(self) -> None:
        """Check the rate."""
        super().__post_init__()
        arguments.check_rate(self.rate)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``."""
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Dropout:
        """Return a :class:`jaxcnn.modules.Dropout`."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        return modules.Dropout(self.rate, op=self.op)


@dataclass(frozen=True, repr=False)
class dropout(_Drop):
    """Drop single values while training; see :func:`jaxcnn.ops.dropout`.

    >>> dropout(0.5).output_shape((576,))
    (576,)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """

    op = staticmethod(ops.dropout)


@dataclass(frozen=True, repr=False)
class spatial_dropout(_Drop):
    """Drop whole feature maps while training; see :func:`jaxcnn.ops.spatial_dropout`.

    >>> spatial_dropout(0.2).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """

    op = staticmethod(ops.spatial_dropout)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``, which must have a spatial axis."""
        return shapes.image_shape(input_shape)


@dataclass(frozen=True, repr=False)
class drop_path(_Drop):
    """Drop whole examples while training; see :func:`jaxcnn.ops.drop_path`.

    >>> drop_path(0.1).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      rate: Probability of dropping, in [0, 1).
    """

    op = staticmethod(ops.drop_path)

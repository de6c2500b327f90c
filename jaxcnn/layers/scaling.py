"""Layers that scale each channel by a number of its own."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, modules, ops, shapes
from jaxcnn.layers.layer import Layer, OpLayer
from jaxcnn.layers.option_checks import check_dtypes
from jaxcnn.modules.linear import check_rngs
from jaxcnn.ops.scaling import check_standardize


@dataclass(frozen=True, repr=False)
class standardize(OpLayer):
    """A fixed mean subtracted from each channel, and a fixed divisor, without parameters.

    See :func:`jaxcnn.ops.standardize`. As the first layer of a network, it maps images in 0…1 to
    the numbers that trained weights expect.

    >>> standardize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).output_shape((32, 32, 3))
    (32, 32, 3)

    Attributes:
      mean: A number, or one per channel.
      std: A number above 0, or one per channel.
    """

    op = staticmethod(ops.standardize)
    saved = ()

    mean: float | Sequence[float]
    std: float | Sequence[float]

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        check_standardize(self.mean, self.std)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``, whose channels must be those of the numbers."""
        shape = shapes.check_shape(input_shape)
        check_standardize(self.mean, self.std, shape[-1:])
        return shape


@dataclass(frozen=True, repr=False)
class _LearnedScale(Layer):
    """A layer with one learned number per channel; the shape stays."""

    module: ClassVar[Callable[..., nnx.Module]]

    _: KW_ONLY
    init: float
    param_dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        arguments.check_number("init", self.init)
        check_dtypes(self, "param_dtype")

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``."""
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module for the channels of the input."""
        check_rngs(rngs)
        *_, channels = self.output_shape(input_shape)
        return self.module(channels, **vars(self))


@dataclass(frozen=True, repr=False)
class prelu(_LearnedScale):
    """A ReLU with a learned slope per channel for negative values; see :func:`jaxcnn.ops.prelu`.

    >>> prelu().output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      init: The first slope of each channel.
      param_dtype: Dtype of the slopes.
    """

    _: KW_ONLY
    init: float = 0.25

    module = modules.PReLU


@dataclass(frozen=True, repr=False)
class layer_scale(_LearnedScale):
    """A learned factor per channel; see :func:`jaxcnn.ops.layer_scale`.

    At the end of the body of each residual block, factors near 0 let a deep network start its
    training near the identity.

    >>> layer_scale(init=1e-6).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      init: The first factor of each channel.
      param_dtype: Dtype of the factors.
    """

    _: KW_ONLY
    init: float = 1e-5

    module = modules.LayerScale

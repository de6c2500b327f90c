"""Attention over channels, as a composition."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import jax
from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.combinators import LayerLike, parallel, serial
from jaxcnn.layers.convolution import conv
from jaxcnn.layers.layer import Layer, Step, as_layer
from jaxcnn.layers.pooling import global_avg_pool


@dataclass(frozen=True, repr=False)
class squeeze_excite(Layer):
    """Weighs each channel by what the whole image shows (Hu et al., 2018).

    The mean of each channel goes through two convolutions of size 1, down to ``1 / ratio`` of the
    channels and back; the result multiplies the channels.

    >>> squeeze_excite(ratio=4).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      ratio: By how much the channels are reduced in between, at least 1.
      activation: Between the two convolutions.
      gate: After the second.
    """

    _: KW_ONLY
    ratio: int = 16
    activation: LayerLike = jax.nn.relu
    gate: LayerLike = jax.nn.sigmoid

    def __post_init__(self) -> None:
        """Checks the ratio and the functions."""
        super().__post_init__()
        arguments.check_integer("ratio", self.ratio, minimum=1)
        as_layer(self.activation)
        as_layer(self.gate)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``input_shape``."""
        return self._composition(input_shape).output_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Parallel:
        """Returns a :class:`jaxcnn.modules.Parallel` of the input and its weights."""
        return self._composition(input_shape).build(input_shape, rngs=rngs)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of the composition."""
        yield from self._composition(input_shape).walk(input_shape)

    def _composition(self, input_shape: Sequence[int]) -> parallel:
        channels = shapes.image_shape(input_shape)[-1]
        weights = serial(
            global_avg_pool(keepdims=True),
            conv(max(channels // self.ratio, 1), 1), self.activation,
            conv(channels, 1), self.gate,
        )  # fmt: skip
        return parallel(input=identity, weights=weights, combine="multiply")


def identity(x: jax.Array) -> jax.Array:
    """Returns ``x``."""
    return x

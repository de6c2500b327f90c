"""Attention over channels, as a composition."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import jax
from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.branches import parallel
from jaxcnn.layers.composition import Composite, LayerLike, serial
from jaxcnn.layers.convolution import conv
from jaxcnn.layers.layer import Step, as_layer
from jaxcnn.layers.pooling import global_avg_pool
from jaxcnn.layers.reshaping import identity


@dataclass(frozen=True, repr=False)
class squeeze_excite(Composite):
    """Multiply each channel by a weight computed from the whole image (Hu et al., 2018).

    The means of the channels pass through two convolutions of size 1, the first of which reduces
    the channels to ``1 / ratio`` of their number, or to `features`.

    >>> squeeze_excite(ratio=4).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      ratio: Factor by which the channels are reduced between the convolutions, at least 1.
      features: Channels between the convolutions, at least 1; ``None`` takes the ratio.
      activation: Function between the two convolutions.
      gate: Function after the second one.
    """

    _: KW_ONLY
    ratio: int = 16
    features: int | None = None
    activation: LayerLike = jax.nn.relu
    gate: LayerLike = jax.nn.sigmoid

    def __post_init__(self) -> None:
        """Check the ratio and the functions."""
        super().__post_init__()
        arguments.check_integer("ratio", self.ratio, minimum=1)
        if self.features is not None:
            arguments.check_integer("features", self.features, minimum=1)
        as_layer(self.activation, "activation")
        as_layer(self.gate, "gate")

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Parallel:
        """Return a :class:`jaxcnn.modules.Parallel` of the input and its weights."""
        return self._composition(input_shape).build(input_shape, rngs=rngs)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the composition."""
        yield from self._composition(input_shape).walk(input_shape)

    def _composition(self, input_shape: Sequence[int]) -> parallel:
        channels = shapes.image_shape(input_shape)[-1]
        weights = serial(
            global_avg_pool(keepdims=True),
            conv(self.features or max(channels // self.ratio, 1), 1), self.activation,
            conv(channels, 1), self.gate,
        )  # fmt: skip
        return parallel(input=identity(), weights=weights, combine="multiply")

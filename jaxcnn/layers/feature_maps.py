"""The feature maps of a network at several resolutions."""

from collections.abc import Sequence
from dataclasses import dataclass

from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.composition import serial
from jaxcnn.layers.layer import Layer, Step
from jaxcnn.layers.weights import pretrained


@dataclass(frozen=True, repr=False)
class pyramid:
    """The outputs of some children of a network, as a tuple: large and early ones first.

    >>> import jax
    >>> from jaxcnn.layers import conv, max_pool
    >>> body = serial(stem=conv(8, 3, padding=1), stage_1=max_pool(2), stage_2=max_pool(2))
    >>> maps = pyramid(body, ("stem", "stage_2"))
    >>> maps.output_shapes((32, 32, 3)), maps.strides((32, 32, 3))
    (((32, 32, 8), (8, 8, 8)), (1, 4))
    >>> model = maps.build((32, 32, 3), rngs=nnx.Rngs(0))
    >>> [y.shape for y in model(jax.numpy.zeros((2, 32, 32, 3)))]
    [(2, 32, 32, 8), (2, 8, 8, 8)]

    Attributes:
      body: The network, a :class:`serial`, with or without weights.
      names: Names of the children, in their order.
    """

    body: Layer
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
          TypeError: the network is not a ``serial``.
          ValueError: there is no child of a name, or they are in another order.
        """
        children = [name for name, _ in self._children()]
        for name in self.names:
            arguments.check_known("child of the network", name, children)
        if list(self.names) != sorted(set(self.names), key=children.index) or not self.names:
            raise ValueError(
                f"names must be in the order of the network. Received: names={self.names}"
            )

    def output_shapes(self, input_shape: Sequence[int]) -> tuple[shapes.Shape, ...]:
        """Return the shape of each map for inputs of ``input_shape``, without the batch.

        Raises:
          ValueError: ``input_shape`` does not fit; the message names the layer.
        """
        return tuple(shape for shape, _ in self._maps(input_shape))

    def strides(self, input_shape: Sequence[int]) -> tuple[int | None, ...]:
        """Return the distance of neighboring positions of each map, in positions of the input.

        It is that along the first axis, and ``None`` where it is not known.
        """
        return tuple(stride for _, stride in self._maps(input_shape))

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Pyramid:
        """Return a :class:`jaxcnn.modules.Pyramid`, with the network's own names of parameters."""
        module = self.body.build(input_shape, rngs=rngs)
        children = {name: getattr(module, name) for name, _ in self._children()}
        return modules.Pyramid(maps=self.names, **children)

    def abstract(self, input_shape: Sequence[int]) -> modules.Pyramid:
        """Return the module with a ``jax.ShapeDtypeStruct`` in place of every array."""
        module: modules.Pyramid = nnx.eval_shape(lambda: self.build(input_shape, rngs=nnx.Rngs(0)))
        return module

    def _children(self) -> tuple[tuple[str, Layer], ...]:
        body = self.body.body if isinstance(self.body, pretrained) else self.body
        if not isinstance(body, serial):
            raise TypeError(f"body must be a serial. Received: {arguments.shown(self.body)}")
        return body.children

    def _maps(self, input_shape: Sequence[int]) -> list[tuple[shapes.Shape, int | None]]:
        last = {step.path[0]: step for step in self.body.walk(input_shape)}
        return [(last[name].output_shape, jump_of(last[name])) for name in self.names]

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        return f"pyramid({self.body!r}, {self.names!r})"


def jump_of(step: Step) -> int | None:
    """Return the distance of neighboring outputs of a step, in positions of the network's input."""
    return step.receptive_field[0].jump if step.receptive_field else None

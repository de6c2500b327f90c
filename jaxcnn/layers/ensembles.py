"""Several networks of one description as one layer."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.composition import Composite, LayerLike, walk_child
from jaxcnn.layers.layer import Layer, Step, as_layer
from jaxcnn.modules.ensemble import COMBINE
from jaxcnn.modules.linear import check_rngs
from jaxcnn.shapes.receptive import pointwise_fields


@dataclass(frozen=True, repr=False)
class ensemble(Composite):
    """Several networks of one description, trained in one step, whose predictions are averaged.

    The members ``member_1``, ``member_2`` and so on start from different parameters and are
    computed together by ``jax.vmap``. In training each member has its own loss, of which the step
    takes the mean: the members learn as they would alone, from the same batches. At inference the
    output are the logits of the mean of their probabilities. It must be the last layer of a
    network. InceptionTime is an ensemble of five (Ismail Fawaz et al., 2020).

    In a training loop of your own, ``model(x, train=True)`` returns
    ``jaxcnn.modules.ensemble.Members``, which has the outputs of each member.

    >>> from jaxcnn.layers import dense, flatten, serial
    >>> net = ensemble(serial(flatten(), dense(3)), 5)
    >>> net.output_shape((4, 4, 1))
    (3,)
    >>> [name for name in net.build((4, 4, 1), rngs=nnx.Rngs(0)).names][:2]
    ['member_1', 'member_2']

    Attributes:
      body: The description of each member.
      count: Number of members, at least 1.
      combine: What is averaged: ``"softmax"``, the probabilities of one class each, ``"sigmoid"``,
        those of several classes, or ``"mean"``, the outputs themselves, for a regression.
    """

    body: Layer
    count: int
    _: KW_ONLY
    combine: str = "softmax"

    def __init__(self, body: LayerLike, count: int, *, combine: str = "softmax") -> None:
        """Describe the members.

        Raises:
          TypeError: ``body`` is not a layer, or ``count`` not an integer.
          ValueError: ``count`` is below 1, or ``combine`` is another word.
        """
        arguments.check_choice("combine", combine, COMBINE)
        object.__setattr__(self, "body", as_layer(body, "body"))
        object.__setattr__(self, "count", arguments.check_integer("count", count, minimum=1))
        object.__setattr__(self, "combine", combine)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Ensemble:
        """Return a :class:`jaxcnn.modules.Ensemble` of members with their own parameters."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        members = {name: self.body.build(input_shape, rngs=rngs) for name in self._names()}
        return self._describe(modules.Ensemble(combine=self.combine, **members), input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of each member, and their mean."""
        shape = shapes.check_shape(input_shape)
        fields = pointwise_fields(len(shape) - 1)
        paths = []
        for name in self._names():
            last = yield from walk_child(name, self.body, shape, fields)
            paths.append(last.path)
        output, field = last.output_shape, last.receptive_field
        mean = _Mean(self.combine)
        yield Step(("mean",), mean, output, output, field, inputs=tuple(paths))

    def _names(self) -> list[str]:
        return [f"member_{number}" for number in range(1, self.count + 1)]

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        combine = "" if self.combine == "softmax" else f", combine={self.combine!r}"
        return f"ensemble({self.body!r}, {self.count}{combine})"


@dataclass(frozen=True, repr=False)
class _Mean(Layer):
    """The combination of the members' outputs, as a step."""

    combine: str

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape of the outputs of a member."""
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return an empty module: the ensemble computes the mean."""
        return nnx.Module()

    @property
    def kind(self) -> str:
        """The word that the summary shows."""
        return "mean"

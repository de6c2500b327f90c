"""A dense detector: a pyramid of feature maps, and a head that all of its levels share."""

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

from flax import nnx
from jax.nn import relu

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.branches import _Combine
from jaxcnn.layers.composition import Composite, LayerLike, error_path, serial, walk_child
from jaxcnn.layers.convolution import conv
from jaxcnn.layers.feature_maps import pyramid
from jaxcnn.layers.layer import Layer, Step, as_layer
from jaxcnn.layers.reshaping import resize, upsample
from jaxcnn.modules.detector import Locations
from jaxcnn.modules.linear import check_rngs
from jaxcnn.shapes.receptive import pointwise_fields

# Columns of a row that the head does not compute: x, y and stride of the location.
_PLACE = 3


@dataclass(frozen=True, repr=False, init=False)
class detector(Composite):
    """A network that describes the box at every location of several levels, in one array.

    Maps of the body become a feature pyramid (Lin et al., 2017, arXiv 1612.03144): a convolution of
    size 1 each, the next smaller map added at twice its size, and a convolution of size 3. Further
    levels are made of the last one by convolutions of stride 2. The same head reads every level.

    The head gives 5 + classes channels: the logarithms of the distances from the location to the
    left, upper, right and lower edge of its box, in strides; the centerness logit; the class
    logits. The logarithms of each level are multiplied by a learned factor (Tian et al., 2019).

    The output is ``(locations, 8 + classes)``: x, y and stride of the location and the four
    distances, in pixels; the centerness logit; the class logits. Locations are in the middle of
    each cell of a level, row by row, large levels first.

    >>> from jaxcnn.layers import conv
    >>> body = serial(stem=conv(8, 3, strides=2, padding=1), stage=conv(8, 3, strides=2, padding=1))
    >>> net = detector(body, conv(5 + 10, 3, padding=1), maps=("stem", "stage"), features=16)
    >>> net.strides((32, 32, 3)), net.output_shape((32, 32, 3))
    ((2, 4), (320, 18))

    Attributes:
      body: The network that gives the maps, a :class:`serial`, with or without weights.
      head: The layer that every level passes through; it keeps height and width.
      maps: Names of the body's children whose outputs are used, large ones first.
      features: Channels of the pyramid, at least 1.
      extra_levels: Number of further levels, at least 0; each halves height and width.
    """

    body: Layer
    head: Layer
    _: KW_ONLY
    maps: tuple[str, ...]
    features: int
    extra_levels: int = 0

    def __init__(
        self,
        body: LayerLike,
        head: LayerLike,
        *,
        maps: Sequence[str],
        features: int,
        extra_levels: int = 0,
    ) -> None:
        """Compose the parts.

        Raises:
          TypeError: a part is not a layer, the body not a ``serial``, or a number not an integer.
          ValueError: there is no child of a name, their order is another, or a number too small.
        """
        arguments.check_integer("features", features, minimum=1)
        arguments.check_integer("extra_levels", extra_levels, minimum=0)
        for name, value in (
            ("body", as_layer(body, "body")),
            ("head", as_layer(head, "head")),
            ("maps", tuple(maps)),
            ("features", features),
            ("extra_levels", extra_levels),
        ):
            object.__setattr__(self, name, value)
        self._pyramid()

    def strides(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the distance of neighboring locations of each level, in pixels.

        Raises:
          ValueError: the distance of a map is not known.
        """
        known = self._pyramid().strides(input_shape)
        strides = [stride for stride in known if stride is not None]
        if len(strides) < len(known):
            raise ValueError(
                "maps must be at a known distance of their positions, as after convolutions and "
                f"pools. Received: strides {known} of maps={self.maps}"
            )
        strides += [strides[-1] * 2**index for index in range(1, self.extra_levels + 1)]
        return tuple(strides)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Detector:
        """Return a :class:`jaxcnn.modules.Detector`."""
        check_rngs(rngs)
        strides, parts = self.strides(input_shape), self._parts(input_shape)
        self.output_shape(input_shape)
        with error_path("body"):
            body = self._pyramid().build(input_shape, rngs=rngs)
        children = {name: layer.build(shape, rngs=rngs) for name, (layer, shape) in parts.items()}
        return self._describe(
            modules.Detector(body, children.pop("head"), Locations(strides), **children),
            input_shape,
        )

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the body, of the pyramid, of the head at the first level, and rows.

        The multiply-adds of the head at the other levels are those of the last step.
        """
        shape = shapes.check_shape(input_shape)
        last: dict[str, Step] = {}
        for step in walk_child("body", self.body, shape, pointwise_fields(2)):
            last[step.path[1]] = step
            yield step
        parts = self._parts(shape)
        sums: list[Step] = []
        levels: list[Step] = []
        for index, name in enumerate(self.maps, 1):
            source = last[name]
            layer, before = parts[f"lateral_{index}"]
            field = source.receptive_field
            sums.append(
                (yield from walk_child(f"lateral_{index}", layer, before, field, source.path))
            )
        for index in reversed(range(len(sums) - 1)):
            sums[index] = yield from _add_enlarged(index + 1, sums[index], sums[index + 1])
        for name, (layer, before) in parts.items():
            kind, _, number = name.partition("_")
            if kind in ("output", "extra"):
                source = sums[int(number) - 1] if kind == "output" else levels[-1]
                field = source.receptive_field
                levels.append((yield from walk_child(name, layer, before, field, source.path)))
        layer, before = parts["head"]
        paths = tuple(level.path for level in levels)
        for step in walk_child("head", layer, before, levels[0].receptive_field, (_LEVELS,)):
            inputs = tuple(
                path
                for given in step.inputs
                for path in (paths if given == (_LEVELS,) else (given,))
            )
            yield dataclasses.replace(step, inputs=inputs)
        others = [level.output_shape for level in levels[1:]]
        yield self._rows(step, others, self.strides(shape))

    def _pyramid(self) -> pyramid:
        return pyramid(self.body, self.maps)

    def _parts(self, input_shape: Sequence[int]) -> dict[str, tuple[Layer, shapes.Shape]]:
        """Return the layers after the body by name, with the shape that reaches each."""
        found = self._pyramid().output_shapes(input_shape)
        if any(len(shape) != 3 for shape in found):
            raise ValueError(
                f"maps must be (height, width, channels). Received: {found} of maps={self.maps}"
            )
        levels = [(*shape[:-1], self.features) for shape in found]
        parts: dict[str, tuple[Layer, shapes.Shape]] = {}
        for index, shape in enumerate(found, 1):
            parts[f"lateral_{index}"] = conv(self.features, 1), shape
        for index, shape in enumerate(levels, 1):
            parts[f"output_{index}"] = conv(self.features, 3, padding=1), shape
        shape = levels[-1]
        for index in range(1, self.extra_levels + 1):
            halved = conv(self.features, 3, strides=2, padding=1)
            layer: Layer = halved if index == 1 else serial(relu, halved)
            parts[f"extra_{index}"] = layer, shape
            shape = layer.output_shape(shape)
        return parts | {"head": (self.head, levels[0])}

    def _rows(self, head: Step, others: Sequence[shapes.Shape], strides: tuple[int, ...]) -> Step:
        """Return the last step, which makes rows of the outputs of the head."""
        height, width, channels = head.output_shape
        sizes = [(height, width)]
        for shape in others:
            *size, _ = self.head.output_shape(shape)
            sizes.append((size[0], size[1]))
        layer = _Locations(strides, sum(self.head.multiply_adds(shape) for shape in others))
        rows = sum(height * width for height, width in sizes), _PLACE + channels
        return Step(
            ("locations",), layer, head.output_shape, rows, None, inputs=(head.path,), saved=()
        )

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        extra = f", extra_levels={self.extra_levels}" if self.extra_levels else ""
        return (
            f"detector({self.body!r}, {self.head!r}, maps={self.maps!r}, "
            f"features={self.features}{extra})"
        )


# Stands for the outputs of all levels while the head is walked.
_LEVELS = "levels"


@dataclass(frozen=True, repr=False)
class _Locations(Layer):
    """The rows of all locations: the last row of the summary."""

    strides: tuple[int, ...]
    others: int

    @property
    def kind(self) -> str:
        return "locations"

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        return shapes.check_shape(input_shape)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        return self.others

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> Locations:
        return Locations(self.strides)


def _add_enlarged(number: int, large: Step, small: Step) -> Generator[Step, None, Step]:
    """Yield the steps that add a map, enlarged, to the next larger one, and return the last."""
    *sizes, channels = large.output_shape
    doubled = tuple(2 * size for size in small.output_shape[:-1]) == tuple(sizes)
    layer: Layer = upsample(2) if doubled else resize(tuple(sizes), method="nearest_floor")
    enlarged = yield from walk_child(
        f"enlarge_{number}", layer, small.output_shape, small.receptive_field, small.path
    )
    inputs = (large.path, enlarged.path)
    shape = (*sizes, channels)
    step = Step((f"add_{number}",), _Combine("add"), shape, shape, None, inputs=inputs)
    yield step
    return step

"""The decoder with skips of a U-Net, on the feature maps of any network."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from flax import nnx

from jaxcnn import modules, shapes
from jaxcnn.layers.branches import _Combine
from jaxcnn.layers.composition import Composite, walk_child
from jaxcnn.layers.feature_maps import pyramid
from jaxcnn.layers.layer import Layer, Step
from jaxcnn.layers.reshaping import resize
from jaxcnn.modules.linear import check_rngs
from jaxcnn.ops.resizing import check_words
from jaxcnn.shapes.receptive import combine_fields, pointwise_fields


@dataclass(frozen=True, repr=False)
class skip_decoder(Composite):
    """A network that reads the feature maps of another from the smallest to the largest.

    The smallest map is resized to the next larger one, joined with it along the channels, and read
    by a block; and so on (Ronneberger et al., 2015, arXiv 1505.04597). Where the largest map is
    smaller than the input, another block reads its result at the size of the input. As every size
    is that of a map, inputs of any size fit.

    >>> import jax
    >>> from jaxcnn.layers import conv, max_pool, serial
    >>> body = serial(stem=conv(8, 3, padding=1), stage_1=serial(max_pool(2), conv(16, 1)))
    >>> net = skip_decoder(body, ("stem", "stage_1"), (conv(4, 3, padding=1),))
    >>> net.output_shape((33, 32, 3))
    (33, 32, 4)

    Attributes:
      body: The network, a :class:`serial`, with or without weights.
      maps: Names of its children whose outputs are read, as for :class:`pyramid`; two at least.
      blocks: A layer for each map but the last, and one more where the first is smaller than the
        input; each keeps the spatial axes.
      method: Method of resizing, as in :class:`resize`.
    """

    body: Layer
    maps: tuple[str, ...]
    blocks: tuple[Layer, ...]
    _: KW_ONLY
    method: str = "nearest"

    def __post_init__(self) -> None:
        """Check the names, the number of blocks and the method.

        Raises:
          TypeError: the network is not a ``serial``.
          ValueError: a name is not that of a child, or the number of blocks does not fit.
        """
        super().__post_init__()
        self._pyramid()
        check_words(self.method, "half_pixel")
        if len(self.maps) < 2 or len(self.blocks) not in (len(self.maps) - 1, len(self.maps)):
            raise ValueError(
                "blocks must be one for each of at least 2 maps but the last, and perhaps one for "
                f"the input. Received: {len(self.blocks)} blocks for maps={self.maps}"
            )

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.SkipDecoder:
        """Return a :class:`jaxcnn.modules.SkipDecoder`."""
        check_rngs(rngs)
        steps = list(self.walk(input_shape))
        shape_of = {step.path: step.output_shape for step in steps}
        body = self._pyramid().build(input_shape, rngs=rngs)
        blocks = [
            block.build(shape_of[self._reads(index)], rngs=rngs)
            for index, block in enumerate(self.blocks)
        ]
        return self._describe(modules.SkipDecoder(body, blocks, method=self.method), input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the network, and for each block the resizing, joining and its own."""
        shape = shapes.check_shape(input_shape)
        own = pointwise_fields(len(shape) - 1)
        last: dict[str, Step] = {}
        for inner in self.body.walk(shape):
            paths = tuple(("body", *path) if path else path for path in inner.inputs)
            step = replace(inner, path=("body", *inner.path), inputs=paths)
            last[inner.path[0]] = step
            yield step
        *skips, y = (last[name] for name in self.maps)
        for index, block in enumerate(self.blocks):
            skip = skips.pop() if skips else None
            size = (shape if skip is None else skip.output_shape)[:-1]
            layer = resize(size, method=self.method)
            y = yield from walk_child(
                f"resize_{index + 1}", layer, y.output_shape, y.receptive_field or own, y.path
            )
            if skip is not None:
                joined = (*size, y.output_shape[-1] + skip.output_shape[-1])
                fields = combine_fields([y.receptive_field, skip.receptive_field])
                step = Step(
                    self._reads(index), _Combine("concat"), y.output_shape, joined, fields,
                    inputs=(y.path, skip.path), saved=(),
                )  # fmt: skip
                yield step
                y = step
            y = yield from walk_child(
                f"block_{index + 1}", block, y.output_shape, y.receptive_field, y.path
            )
            if y.output_shape[:-1] != size:
                raise ValueError(
                    f"block_{index + 1} must keep the spatial axes, {size}. "
                    f"Received: output {y.output_shape}"
                )

    def _reads(self, index: int) -> tuple[str]:
        """Return the path of the step that a block reads."""
        word = "concat" if index < len(self.maps) - 1 else "resize"
        return (f"{word}_{index + 1}",)

    def _pyramid(self) -> pyramid:
        return pyramid(self.body, self.maps)

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        method = "" if self.method == "nearest" else f", method={self.method!r}"
        return f"skip_decoder({self.body!r}, {self.maps!r}, {self.blocks!r}{method})"

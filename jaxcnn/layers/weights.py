"""A description with weights, and what the images were made into when they were trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers.composition import LayerLike, Wrapper
from jaxcnn.layers.layer import Layer, abstract_once, as_layer
from jaxcnn.modules.linear import check_rngs
from jaxcnn.modules.parameter_tree import arrays_of, match_dtype, with_arrays

# From the model's abstract arrays to arrays, both by dotted names.
ReadWeights: TypeAlias = Callable[[Mapping[str, jax.Array]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network's weights expect of a picture.

    Attributes:
      image_size: Height and width.
      mean, std: What is subtracted from each channel of an image in 0…1, and what it is then
        divided by.
      interpolation: Method of resizing, as :func:`jaxcnn.data.load` takes it.
      crop_share: Share of the shorter side that is left by the crop, in (0, 1].
      class_names: Names of the outputs; empty where they are not known.
    """

    image_size: tuple[int, int]
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of ImageNet's images
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop_share: float = 0.875
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class pretrained(Wrapper):
    """A layer whose module has given weights from the start.

    Name, shapes and values are those of the layer. What the weights leave out is initialized.

    >>> import numpy as np
    >>> from jaxcnn.layers import dense, serial
    >>> weights = {"dense_1.kernel": np.ones((2, 3), np.float32)}
    >>> network = pretrained(serial(dense(3)), weights)
    >>> network.build((2,), rngs=nnx.Rngs(0)).dense_1.kernel[0]
    Array([1., 1., 1.], dtype=float32)

    Attributes:
      body: The layer.
      weights: Arrays by the names of the layer's own, such as ``conv_1.kernel``; or a function that
        ``build`` calls with the layer's abstract arrays by name, and that returns them.
      preprocessing: What the weights expect of a picture; ``None`` where it is not known.
    """

    body: Layer
    weights: Mapping[str, Any] | ReadWeights
    _: KW_ONLY
    preprocessing: Preprocessing | None = None

    def __init__(
        self,
        body: LayerLike,
        weights: Mapping[str, Any] | ReadWeights,
        *,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        """Join the two.

        Raises:
          TypeError: ``body`` is not a layer, or ``weights`` neither arrays by name nor a function.
        """
        if not (callable(weights) or isinstance(weights, Mapping)):
            raise TypeError(
                "weights must be arrays by name, or a function that returns them. "
                f"Received: {arguments.shown(weights)}"
            )
        read = weights if callable(weights) else _Given(tuple(weights.items()))
        object.__setattr__(self, "body", as_layer(body, "body"))
        object.__setattr__(self, "weights", read)
        object.__setattr__(self, "preprocessing", preprocessing)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module of the layer with the weights.

        Raises:
          ValueError: a weight has no place in the layer, or another shape.
        """
        check_rngs(rngs)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(nnx.state(rngs))):
            return self.body.build(input_shape, rngs=rngs)  # of shapes only
        module = self.body.abstract(input_shape)
        own = arrays_of(module)
        given = self.read(own)
        _check_weights(own, given)
        fresh = _initialized(self.body, input_shape, own.keys() - given.keys(), rngs)
        arrays = {
            name: fresh[name] if name in fresh else match_dtype(like, jnp.array(given[name]))
            for name, like in own.items()
        }
        return with_arrays(module, arrays)

    def read(self, own: Mapping[str, jax.Array]) -> Mapping[str, Any]:
        """Return the weights by name.

        Args:
          own: The arrays of the layer's module by name, which may be abstract.
        """
        assert callable(self.weights)  # the constructor made it so
        return self.weights(own)

    def __repr__(self) -> str:
        """Return the description of the layer."""
        return f"pretrained({self.body!r})"


@dataclass(frozen=True, eq=False)
class _Given:
    """Arrays by name as a function of the layer's; two of the same numbers are equal."""

    arrays: tuple[tuple[str, Any], ...]

    def __call__(self, own: Mapping[str, jax.Array]) -> Mapping[str, Any]:
        return dict(self.arrays)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Given) or hash(self) != hash(other):
            return False
        others = dict(other.arrays)
        return all(np.array_equal(array, others[name]) for name, array in self.arrays)

    def __hash__(self) -> int:
        return hash(frozenset((name, np.shape(array)) for name, array in self.arrays))


def array_shapes(layer: Layer, input_shape: Sequence[int]) -> dict[str, shapes.Shape]:
    """Return the shapes of the arrays of a layer's module by name, in the order of its steps."""
    found: dict[str, shapes.Shape] = {}
    for step in layer.walk(input_shape):
        start = "".join(f"{part}." for part in step.path)
        own = arrays_of(abstract_once(step.layer, step.input_shape))
        found |= {start + name: array.shape for name, array in own.items()}
    return found


def _check_weights(own: Mapping[str, jax.Array], given: Mapping[str, Any]) -> None:
    unknown = sorted(given.keys() - own.keys())
    if unknown:
        raise ValueError(f"weights have no place in the layer: {', '.join(unknown[:5])}")
    for name, array in given.items():
        if own[name].shape != array.shape:
            raise ValueError(
                f"weights must have the shapes of the layer. Received: {name} {array.shape}, "
                f"not {own[name].shape}"
            )


def _initialized(
    layer: Layer, input_shape: Sequence[int], names: set[str], rngs: nnx.Rngs
) -> dict[str, jax.Array]:
    """Return the arrays of these names as they are at the start of a training."""
    arrays: dict[str, jax.Array] = {}
    for step in layer.walk(input_shape) if names else ():
        start = "".join(f"{part}." for part in step.path)
        if any(name.startswith(start) for name in names):
            built = arrays_of(step.layer.build(step.input_shape, rngs=rngs))
            arrays |= {start + name: array for name, array in built.items()}
    return {name: arrays[name] for name in names}

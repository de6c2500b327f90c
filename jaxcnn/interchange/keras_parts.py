"""What the converters of Keras's layers read and return, and the checks that they share.

Nothing here imports Keras but to read an array: a layer is known by its class's name, and its
options are attributes.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxcnn.layers import Layer
from jaxcnn.layers.composition import LayerLike
from jaxcnn.layers.layer import as_layer

# With the batch; None where Keras leaves a size open.
KerasShape: TypeAlias = tuple[int | None, ...]


class Part(NamedTuple):
    """A layer and the arrays of its module by name."""

    layer: Layer
    arrays: Mapping[str, np.ndarray]


class Call(NamedTuple):
    """A layer of Keras at its place in a model, with the shapes that it reads and returns there."""

    layer: Any
    input_shape: KerasShape
    output_shape: KerasShape


# To the layers that compute the same in a row; none where it is the identity.
Converter: TypeAlias = Callable[[Call], list[Part]]


def kind_of(module: str, name: str) -> str:
    """Return the key of a class or function of Keras in a table; that of others is in none.

    Args:
      module: The module that defines it.
      name: Its name there; some operations have the name of a layer.
    """
    if module.partition(".")[0] != "keras":
        return f"{module}.{name}"
    return f"ops.{name}" if ".ops." in module else name


def require(layer: Any, name: str, value: Any) -> None:
    """Check an option of which one value is supported, and which layers that lack it have.

    Raises:
      ValueError: it has another value.
    """
    given = getattr(layer, name, value)
    if given != value:
        raise ValueError(f"{name} must be {value!r}. Received: {name}={given!r}")


def require_last_axis(call: Call) -> None:
    """Check that a layer works along the channels.

    Raises:
      ValueError: its option ``axis`` says another axis.
    """
    axis, rank = call.layer.axis, len(call.input_shape)
    axes = axis if isinstance(axis, list | tuple) else [axis]
    if [each % rank for each in axes] != [rank - 1]:
        raise ValueError(f"axis must be the last, that of the channels. Received: axis={axis!r}")


def array_of(variable: Any) -> np.ndarray:
    """Return a variable or tensor of any backend as an array."""
    from keras import ops

    return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


def one_or_each(entries: Sequence[Any]) -> Any:
    """Return one entry per axis as one for all axes, if they are equal."""
    first, *others = entries
    return first if all(other == first for other in others) else tuple(entries)


def of_function(function: LayerLike | None) -> list[Part]:
    """Return the layer of a function; none for ``None``."""
    return [] if function is None else [Part(as_layer(function), {})]


@functools.cache  # so that two conversions of one model compare equal
def with_options(function: Callable[..., jax.Array], **options: Any) -> Callable[..., jax.Array]:
    """Return a function with its options, of which a saved description can hold the names."""
    return functools.partial(function, **options)

"""The registry of models by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers import Layer

Prepare: TypeAlias = Callable[[Any, jax.Array | np.ndarray], Any]
Builder = TypeVar("Builder", bound=Callable[..., Layer])


@dataclass(frozen=True)
class _Entry:
    builder: Callable[..., Layer]
    input_shape: shapes.Shape
    prepare: Prepare | None


_registry: dict[str, _Entry] = {}


def register(
    input_shape: shapes.Shape, *, prepare: Prepare | None = None
) -> Callable[[Builder], Builder]:
    """Return a decorator that adds a function to the registry under its name.

    Args:
      input_shape: Shape of one example that the model was designed for.
      prepare: Maps a new module of the model and the training images to the module that training
        starts from; ``None`` if the model needs no preparation.
    """

    def add(builder: Builder) -> Builder:
        _registry[builder.__name__] = _Entry(builder, input_shape, prepare)
        return builder

    return add


def create(name: str, **options: Any) -> Layer:
    """Return the description of a model.

    >>> create("mnist_cnn", num_classes=5).output_shape((28, 28, 1))
    (5,)

    Args:
      name: A name in :func:`names`.
      **options: Options of the model, such as ``num_classes``.

    Raises:
      ValueError: there is no such model or option; the message names the nearest.
    """
    builder = _entry(name).builder
    for option in options:
        arguments.check_known(f"option of {name}", option, inspect.signature(builder).parameters)
    return builder(**options)


def prepare(name: str, model: nnx.Module, images: jax.Array | np.ndarray) -> nnx.Module:
    """Return a new module of a model as its training starts from it.

    Most models need nothing, and the module itself is returned; the first convolution of airbench
    is initialized to whiten the images.

    Args:
      name: A name in :func:`names`.
      model: A module that the model's description built; it is not changed.
      images: Training images ``(N, H, W, C)``, uint8 or floating point.

    Raises:
      ValueError: there is no such model, or the images do not fit it.
    """
    prepared = _entry(name).prepare
    return model if prepared is None else prepared(model, images)


def names() -> tuple[str, ...]:
    """Return the names of all models, sorted.

    >>> names()[:3]
    ('airbench', 'letters_cnn', 'mnist_cnn')
    """
    return tuple(sorted(_registry))


def input_shape(name: str) -> shapes.Shape:
    """Return the shape of one example that the model was made for.

    >>> input_shape("letters_cnn")
    (128, 128, 1)

    Args:
      name: One of :func:`names`.

    Raises:
      ValueError: there is no such model; the message names the nearest.
    """
    return _entry(name).input_shape


def _entry(name: str) -> _Entry:
    arguments.check_known("model", name, names())
    return _registry[name]

"""The registry of models by name, and models in a module of the user's."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers import Layer
from jaxcnn.layers.layer import as_layer

Prepare: TypeAlias = Callable[[Any, jax.Array | np.ndarray], Any]
Builder = TypeVar("Builder", bound=Callable[..., Layer])


@dataclass(frozen=True)
class _Entry:
    builder: Callable[..., Layer]
    input_shape: shapes.Shape | None
    prepare: Prepare | None


_registry: dict[str, _Entry] = {}


def register(
    input_shape: Sequence[int], *, prepare: Prepare | None = None
) -> Callable[[Builder], Builder]:
    """Return a decorator that adds a function to the registry under its name.

    >>> import jaxcnn as cnn
    >>> @cnn.models.register(input_shape=(8, 8, 1))
    ... def two_layers(num_classes: int = 10):
    ...     return cnn.serial(cnn.flatten(), head=cnn.dense(num_classes))
    >>> create("two_layers", num_classes=3).output_shape(input_shape("two_layers"))
    (3,)

    Args:
      input_shape: Shape of one example that the model was designed for.
      prepare: Maps a new module of the model and the training images to the module that training
        starts from; ``None`` if the model needs no preparation.

    Raises:
      TypeError: what is decorated is not a function, or `input_shape` are not integers.
      ValueError: another function has the name, or `input_shape` is not a shape.
    """
    shape = shapes.check_shape(input_shape)

    def add(builder: Builder) -> Builder:
        if not inspect.isfunction(builder):
            raise TypeError(f"only a function can be registered. Received: {builder!r}")
        name, taken = builder.__name__, _registry.get(builder.__name__)
        # Running a notebook's cell again defines the same function anew.
        if taken is not None and taken.builder.__module__ != builder.__module__:
            raise ValueError(
                f"there is a model {name!r} already, of {taken.builder.__module__}: rename the "
                "function"
            )
        _registry[name] = _Entry(builder, shape, prepare)
        return builder

    return add


def create(name: str, **options: Any) -> Layer:
    """Return the description of a model.

    >>> create("mnist_cnn", num_classes=5).output_shape((28, 28, 1))
    (5,)

    Args:
      name: A name in :func:`names`, or ``"package.module:network"`` for a description, or a
        function that returns one, in a module that Python can import.
      **options: Options of the model, such as ``num_classes``.

    Raises:
      TypeError: the function returns something else than a description.
      ValueError: there is no such model, module or option; the message names the nearest.
    """
    known = option_names(name)
    for option in options:
        arguments.check_known(f"option of {name}", option, known)
    return as_layer(_entry(name).builder(**options), name)


def option_names(name: str) -> tuple[str, ...]:
    """Return the names of the options of a model.

    >>> option_names("tiny_cnn")
    ('num_classes', 'features')

    Args:
      name: As in :func:`create`.

    Raises:
      ValueError: there is no such model or module.
    """
    return tuple(inspect.signature(_entry(name).builder).parameters)


def options_for(name: str, options: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Return options with the number of classes, for a model that has it among its own.

    Args:
      name: As in :func:`create`.
      options: Options of the model; its ``num_classes`` is kept.
      classes: Number of classes of the data.

    Raises:
      ValueError: there is no such model or module.
    """
    takes_classes = "num_classes" in option_names(name)
    return ({"num_classes": classes} if takes_classes else {}) | dict(options)


def prepare(name: str, model: nnx.Module, images: jax.Array | np.ndarray) -> nnx.Module:
    """Return a new module of a model as its training starts from it.

    Most models need nothing, and the module itself is returned; the first convolution of airbench
    is initialized to whiten the images.

    Args:
      name: As in :func:`create`.
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
      name: As in :func:`create`.

    Raises:
      ValueError: there is no such model, and the message names the nearest; or it is not registered
        with a shape.
    """
    shape = find_input_shape(name)
    if shape is None:
        raise ValueError(
            f"{name!r} has no input shape of its own: decorate its function with "
            "cnn.models.register(input_shape), or give a shape"
        )
    return shape


def find_input_shape(name: str) -> shapes.Shape | None:
    """Return :func:`input_shape`, or ``None`` for a model that is not registered."""
    return _entry(name).input_shape


def _entry(name: str) -> _Entry:
    if isinstance(name, str) and ":" in name:
        return _import(*name.split(":", 1))
    arguments.check_known("model", name, names())
    return _registry[name]


def _import(module: str, name: str) -> _Entry:
    """Return the model of that name in a module."""
    try:
        members = vars(importlib.import_module(module))
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"the model '{module}:{name}' cannot be imported: {error}. The folder of the module "
            "must be the current one, or be in PYTHONPATH"
        ) from error
    models = [each for each, value in members.items() if _is_model(value)]
    arguments.check_known(f"model in {module}:", name, models)
    found = members[name]
    if isinstance(found, Layer):
        return _Entry(lambda: found, None, None)
    registered = _registry.get(name)
    if registered is not None and registered.builder is found:
        return registered
    return _Entry(found, None, None)


def _is_model(value: Any) -> bool:
    """Return whether a member of a module may be a model: a description, or a function."""
    return isinstance(value, Layer) or inspect.isfunction(value)

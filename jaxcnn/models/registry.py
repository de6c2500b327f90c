"""The registry of models by name, and models in a module of the user's."""

import dataclasses
import fnmatch
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.interchange.torch import conventions_of
from jaxcnn.layers import Layer

Prepare: TypeAlias = Callable[[Any, jax.Array | np.ndarray], Any]
Builder = TypeVar("Builder", bound=Callable[..., Layer])


@dataclass(frozen=True, kw_only=True)
class Info:
    """What is known of a model.

    Attributes:
      name: Its name.
      input_shape: Shape of one example that it was designed for; ``None`` where nobody said.
      paper: Where it was published.
      parameters: Number of parameters that training changes.
      multiply_adds: Number of multiply-adds of one example of `input_shape`.
      weights: Whose weights it can read, such as ``"timm"``.
    """

    name: str
    input_shape: shapes.Shape | None
    paper: str | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """One model of a family.

    Attributes:
      parameters: Published number of parameters that training changes, for the default classes.
      multiply_adds: Number of multiply-adds of one example of `input_shape`.
      options: Options of the family's function that make this model.
      input_shape: Shape of one example that it was designed for.
    """

    parameters: int
    multiply_adds: int
    options: Mapping[str, Any] = field(default_factory=dict)
    input_shape: shapes.Shape = (224, 224, 3)


@dataclass(frozen=True)
class Entry:
    """A model in the registry: its function, what is known of it, and its preparation."""

    builder: Callable[..., Layer]
    info: Info
    prepare: Prepare | None = None

    @property
    def family(self) -> str:
        """The name of the file that the model is written in."""
        return self.builder.__module__.rpartition(".")[-1]


_registry: dict[str, Entry] = {}


def register(
    input_shape: Sequence[int],
    *,
    paper: str | None = None,
    parameters: int | None = None,
    multiply_adds: int | None = None,
    prepare: Prepare | None = None,
) -> Callable[[Builder], Builder]:
    """Return a decorator that adds a function to the registry under its name.

    >>> import jaxcnn as cnn
    >>> @cnn.models.register(input_shape=(8, 8, 1))
    ... def two_layers(num_classes: int = 10):
    ...     return cnn.serial(cnn.flatten(), head=cnn.dense(num_classes))
    >>> cnn.models.create("two_layers", num_classes=3).output_shape((8, 8, 1))
    (3,)

    Args:
      input_shape: Shape of one example that the model was designed for.
      paper: Where it was published.
      parameters: Number of parameters that training changes, as :func:`info` tells it.
      multiply_adds: Number of multiply-adds of one example of `input_shape`.
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
        info = Info(
            name=name,
            input_shape=shape,
            paper=paper,
            parameters=parameters,
            multiply_adds=multiply_adds,
        )
        _registry[name] = Entry(builder, info, prepare)
        return builder

    return add


def register_variants(
    builder: Callable[..., Layer], variants: Mapping[str, Variant], *, paper: str
) -> None:
    """Add the models of a family to the registry.

    Args:
      builder: The family's function of ``num_classes`` and options.
      variants: The models by name.
      paper: Where they were published.
    """
    for name, each in variants.items():
        model = functools.partial(builder, **each.options)
        model.__module__, model.__doc__ = builder.__module__, builder.__doc__
        info = Info(
            name=name,
            input_shape=each.input_shape,
            paper=paper,
            parameters=each.parameters,
            multiply_adds=each.multiply_adds,
        )
        _registry[name] = Entry(model, info)


def option_names(name: str) -> tuple[str, ...]:
    """Return the names of the options of a model.

    >>> option_names("tiny_cnn")
    ('num_classes', 'features')

    Args:
      name: As in :func:`create`.

    Raises:
      ValueError: there is no such model or module.
    """
    return tuple(inspect.signature(find_entry(name).builder).parameters)


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
    prepared = find_entry(name).prepare
    return model if prepared is None else prepared(model, images)


def names(pattern: str = "*") -> tuple[str, ...]:
    """Return the names of all models that match a pattern, sorted.

    >>> names("*_cnn")
    ('letters_cnn', 'mnist_cnn', 'pets_cnn', 'tiny_cnn')

    Args:
      pattern: A name in which ``*`` stands for any letters, and ``?`` for any one.
    """
    return tuple(fnmatch.filter(sorted(_registry), pattern))


def info(name: str) -> Info:
    """Return what is known of a model.

    >>> info("resnet50").paper
    'He et al., 2015, arXiv 1512.03385'

    Args:
      name: As in :func:`create`.

    Raises:
      ValueError: there is no such model, and the message names the nearest.
    """
    found = find_entry(name)
    libraries = (name for each in conventions_of(found.family) for name in each.libraries)
    return dataclasses.replace(found.info, weights=tuple(libraries))


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
    return find_entry(name).info.input_shape


def find_entry(name: str) -> Entry:
    """Return the model of a name in the registry, or of ``"package.module:network"``.

    Raises:
      ValueError: there is no such model.
    """
    if isinstance(name, str) and ":" in name:
        return _import(*name.split(":", 1))
    arguments.check_known("model", name, names())
    return _registry[name]


def _import(module: str, name: str) -> Entry:
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
        return Entry(lambda: found, Info(name=name, input_shape=None))
    registered = _registry.get(name)
    if registered is not None and registered.builder is found:
        return registered
    return Entry(found, Info(name=name, input_shape=None))


def _is_model(value: Any) -> bool:
    """Return whether a member of a module may be a model: a description, or a function."""
    return isinstance(value, Layer) or inspect.isfunction(value)

"""Models by name: what ``create`` knows."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from jaxcnn import arguments, shapes
from jaxcnn.layers import Layer

Builder = TypeVar("Builder", bound=Callable[..., Layer])


class _Entry(NamedTuple):
    builder: Callable[..., Layer]
    input_shape: shapes.Shape


_registry: dict[str, _Entry] = {}


def register(input_shape: shapes.Shape) -> Callable[[Builder], Builder]:
    """Returns a decorator that adds a function to the registry under its own name.

    Args:
      input_shape: The shape of one example that the model was made for.
    """

    def add(builder: Builder) -> Builder:
        _registry[builder.__name__] = _Entry(builder, input_shape)
        return builder

    return add


def create(name: str, **options: Any) -> Layer:
    """Returns the description of a model.

    >>> create("mnist_cnn", num_classes=5).output_shape((28, 28, 1))
    (5,)

    Args:
      name: One of :func:`names`.
      **options: The model's own options, such as ``num_classes``.

    Raises:
      ValueError: there is no such model or option; the message names the nearest.
    """
    builder = _entry(name).builder
    for option in options:
        arguments.check_known(f"option of {name}", option, inspect.signature(builder).parameters)
    return builder(**options)


def names() -> tuple[str, ...]:
    """Returns the names of all models, sorted.

    >>> names()[:3]
    ('airbench', 'letters_cnn', 'mnist_cnn')
    """
    return tuple(sorted(_registry))


def input_shape(name: str) -> shapes.Shape:
    """Returns the shape of one example that the model was made for.

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

"""Functions by name, so that ``pickle`` takes descriptions to worker processes.

``pickle`` stores a plain function by its module and name, but looks into ``jax.nn.relu`` and what
``jax.jit`` returns, where it finds what it can't store.
"""

import functools
import importlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Named:
    module: str
    name: str


@dataclass(frozen=True)
class _Partial:
    function: Any
    arguments: Any
    options: tuple[tuple[str, Any], ...]


def with_names(value: Any) -> Any:
    """Return a value with each function that a module holds replaced by its name."""
    if isinstance(value, tuple):
        return tuple(map(with_names, value))
    if isinstance(value, functools.partial):
        options = tuple((name, with_names(option)) for name, option in value.keywords.items())
        return _Partial(with_names(value.func), with_names(value.args), options)
    named = _Named(getattr(value, "__module__", None) or "", getattr(value, "__qualname__", ""))
    try:
        return named if callable(value) and _look_up(named) is value else value
    except (ImportError, AttributeError, ValueError):  # a lambda or an inner function
        return value


def without_names(value: Any) -> Any:
    """Return what :func:`with_names` was given."""
    if isinstance(value, tuple):
        return tuple(map(without_names, value))
    if isinstance(value, _Partial):
        options = {name: without_names(option) for name, option in value.options}
        arguments = without_names(value.arguments)
        return functools.partial(without_names(value.function), *arguments, **options)
    return _look_up(value) if isinstance(value, _Named) else value


def restore(kind: type, fields: Mapping[str, Any]) -> Any:
    """Return the description of a kind with these fields, as ``pickle`` reads it."""
    layer: Any = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(layer, name, without_names(value))
    return layer


def _look_up(named: _Named) -> Any:
    return operator.attrgetter(named.name)(importlib.import_module(named.module))

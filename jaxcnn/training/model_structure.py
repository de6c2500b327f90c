"""The structure of a model as a key, by which compiled steps are found again."""

import copy
import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import nnx


@dataclass(frozen=True, eq=False)
class Structure:
    """The structure of a model; two of equal modules and attributes are equal.

    Flax's own cannot be a key where an attribute is a list, a dict, a dataclass or the like. Such
    attributes are copied, so that a change in place gives another structure.

    Attributes:
      graphdef: Flax's.
      key: Its hashable form.
    """

    graphdef: Any
    key: Hashable

    @classmethod
    def of(cls, model: nnx.Module) -> "Structure":
        """Return the structure of a model."""
        return cls.of_graphdef(nnx.graphdef(model))

    @classmethod
    def of_graphdef(cls, graphdef: Any) -> "Structure":
        """Return the structure of a model that is split already, by Flax's own structure."""
        if _is_hashable(graphdef):
            return cls(graphdef, graphdef)
        attributes, keys = [], []
        for name, attribute in graphdef.attributes:
            key: Hashable = attribute
            if not _is_hashable(attribute):
                given: Any = attribute  # of Flax's Static, which alone holds a value
                key = _frozen(given.value)
                if not isinstance(key, _Unknown):
                    attribute = dataclasses.replace(given, value=copy.deepcopy(given.value))
            keys.append((name, key))
            attributes.append((name, attribute))
        copied = dataclasses.replace(graphdef, attributes=attributes)
        return cls(copied, (tuple(graphdef.nodes), tuple(keys)))

    def __hash__(self) -> int:
        """Return the hash of the key."""
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a structure of the same key."""
        return isinstance(other, Structure) and self.key == other.key


class _Unknown:
    """The key of a value whose changes cannot be seen; it is equal to itself only."""


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _frozen(value: Any) -> Hashable:
    """Return a hashable value that is equal for equal values."""
    kind = type(value)
    if _is_hashable(value):
        return kind, value
    if isinstance(value, np.ndarray) and value.dtype != object:
        return kind, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, slice):  # hashable from Python 3.12 on
        return kind, value.start, value.stop, value.step
    inner: list[Any]
    if isinstance(value, list | tuple):
        inner = list(value)
    elif isinstance(value, set):
        return kind, frozenset(value)
    elif isinstance(value, Mapping):
        inner = [part for pair in value.items() for part in pair]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        return _Unknown()
    frozen = tuple(map(_frozen, inner))
    unknown = [part for part in frozen if isinstance(part, _Unknown)]
    return unknown[0] if unknown else (kind, frozen)

"""Descriptions as plain JSON values, so that a saved model can be built without its program.

A layer is ``{"conv": {"features": 64, "kernel_size": 3}}``: its kind, and the fields that differ
from their defaults; children are fields too. A function is ``{"function": "jax.nn.relu"}``.
Initializers are left out, as the weights are saved beside the description. Reading calls nothing
but the layers of this package and functions of :mod:`jax.nn`, :mod:`jax.numpy`,
:mod:`jaxcnn.ops` and :mod:`jaxcnn.models`, so a file from elsewhere cannot run a program.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxcnn import layers, ops
from jaxcnn.layers.layer import Layer, function, is_default
from jaxcnn.layers.weights import pretrained

_FUNCTIONS = {"jax.nn": jax.nn, "jax.numpy": jnp, "jaxcnn.ops": ops}
_MODELS = "jaxcnn.models."


def layer_to_json(layer: Layer) -> dict[str, Any]:
    """Return a description as JSON values.

    Raises:
      ValueError: it holds a layer or a function that is not one of JAX or of this package.
    """
    if isinstance(layer, function):
        return _function_to_json(layer.function)
    if isinstance(layer, pretrained):
        return layer_to_json(layer.body)  # the weights are saved beside the description
    kind = type(layer).__name__
    if getattr(layers, kind, None) is not type(layer):
        raise ValueError(f"{kind} is not a layer of jaxcnn, and cannot be saved")
    fields = {}
    for field in dataclasses.fields(layer):  # type: ignore[arg-type]  # every kind is a dataclass
        value = getattr(layer, field.name)
        if not field.name.endswith("_init") and not is_default(field, value):
            fields[field.name] = _value_to_json(value)
    return {kind: fields}


def layer_from_json(value: Any) -> Layer:
    """Return the description that :func:`layer_to_json` wrote.

    Raises:
      ValueError: the value is of another form, or names what there is not.
    """
    result = _value_from_json(value)
    if isinstance(result, Layer):
        return result
    if callable(result):
        return function(result)
    raise ValueError(f"a layer must be an object of one kind. Received: {str(value)[:60]}")


def _value_to_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Layer):
        return layer_to_json(value)
    if isinstance(value, tuple):
        return [_value_to_json(each) for each in value]
    if isinstance(value, jnp.dtype) or (isinstance(value, type) and hasattr(value, "dtype")):
        return {"dtype": jnp.dtype(value).name}
    if callable(value):
        return _function_to_json(value)
    raise ValueError(f"{type(value).__name__} cannot be saved. Received: {value!r}")


def _function_to_json(value: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(value, functools.partial) and not value.args:
        options = {name: _value_to_json(option) for name, option in value.keywords.items()}
        return _function_to_json(value.func) | {"options": options}
    name = getattr(value, "__name__", "")
    for module, members in _FUNCTIONS.items():
        if name and getattr(members, name, None) is value:
            return {"function": f"{module}.{name}"}
    module = getattr(value, "__module__", None) or ""
    if module.startswith(_MODELS) and getattr(sys.modules[module], name, None) is value:
        return {"function": f"{module}.{name}"}
    raise ValueError(f"{name or value!r} is not a function of JAX or jaxcnn, and cannot be saved")


def _value_from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_value_from_json, value))
    if not isinstance(value, dict):
        return value
    kind = next(iter(value), None)
    if kind == "function":
        return _function_from_json(**value)
    if len(value) != 1:
        raise ValueError(f"a layer must be an object of one kind. Received: {list(value)}")
    if kind == "dtype":
        return jnp.dtype(value["dtype"])
    layer = getattr(layers, str(kind), None)
    if not (
        isinstance(layer, type)
        and issubclass(layer, Layer)
        and kind in layers.__all__
        and layer is not pretrained
    ):
        raise ValueError(f"there is no layer of the kind {kind!r}")
    fields = {name: _value_from_json(field) for name, field in value[kind].items()}
    children = dict(fields.pop("children", ()))
    return layer(**fields, **children)


def _function_from_json(function: str, options: dict[str, Any] | None = None) -> Any:
    module, _, name = str(function).rpartition(".")
    members = _FUNCTIONS.get(module)
    if module.startswith(_MODELS) and module.removeprefix(_MODELS).isidentifier():
        members = sys.modules.get(module)  # imported by the registry
    found = getattr(members, name, None)
    if not callable(found) or isinstance(found, type) or name.startswith("_"):
        raise ValueError(f"there is no function {function!r} for a layer")
    if options is None:
        return found
    return functools.partial(found, **{k: _value_from_json(v) for k, v in options.items()})

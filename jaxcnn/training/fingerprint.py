"""Descriptions of models and options that are the same in every process."""

import dataclasses
import functools
from typing import Any

from flax import nnx

from jaxcnn.layers import Layer
from jaxcnn.other_names import unexplained

# Attributes of Flax's layers that switch between training and evaluation.
_MODES = ("deterministic", "use_running_average")
# What a network was built from, which its layers tell one by one.
_ORIGIN = ("description", "input_shape")


def describe_model(model: nnx.Module) -> dict[str, str]:
    """Return the types and options of a model's layers by name.

    The arrays, and whether the model is in training or evaluation mode, are left out.
    """
    found = {}
    for path, module in nnx.iter_modules(model):
        name = ".".join(map(str, ("model", *path)))
        found[name] = type(module).__qualname__
        for option, value in vars(module).items():
            if _is_option(option, value):
                found[f"{name}.{option}"] = describe_option(value)
    return found


def _is_option(name: str, value: Any) -> bool:
    if name.startswith("_") or name.endswith("_init") or name in (*_MODES, *_ORIGIN):
        return False
    plain = (bool, int, float, str, tuple, list, dict, set)
    is_plain = value is None or isinstance(value, plain) or dataclasses.is_dataclass(value)
    if isinstance(value, Layer):  # what it describes are the modules themselves
        return False
    return is_plain or (callable(value) and not isinstance(value, nnx.Pytree | nnx.Variable))


def describe_option(value: Any, depth: int = 8) -> str:
    """Return a description of an option that is stable across processes.

    >>> describe_option(functools.partial(describe_option, value=0)), describe_option("cifar")
    ('describe_option(value=0)', 'cifar')

    Args:
      value: A plain value, or a function, whose preset options and closure are included.
      depth: Number of levels of such nested values that are described.
    """
    if depth == 0:
        return "…"
    inner = functools.partial(describe_option, depth=depth - 1)
    if isinstance(value, functools.partial):
        options = [*map(inner, value.args)]
        options += [f"{name}={inner(option)}" for name, option in value.keywords.items()]
        return f"{inner(value.func)}({', '.join(options)})"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(inner, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{inner(key)}: {inner(part)}' for key, part in value.items())}}}"
    if isinstance(value, set):
        return f"{{{', '.join(sorted(map(inner, value)))}}}"
    if callable(value):
        value = unexplained(value)  # whose closure is no option
        name = getattr(value, "__qualname__", type(value).__qualname__)
        cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
        return f"{name}[{', '.join(map(inner, cells))}]" if cells else name
    text = str(value)
    return type(value).__qualname__ if " at 0x" in text else text  # an address is not stable

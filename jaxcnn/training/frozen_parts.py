"""Parts of a model that are not trained: in a training step they compute as at inference."""

import fnmatch
import functools
import inspect
from collections.abc import Sequence
from typing import Any

from flax import nnx

from jaxcnn.modules.combinators import MODES
from jaxcnn.modules.parameter_tree import arrays_of


def freeze_parts(model: nnx.Module, patterns: Sequence[str]) -> None:
    """Make the modules of which every parameter is frozen compute as at inference, in place.

    A module without parameters, such as a batch normalization without scale and bias, is frozen if
    a pattern matches all its statistics; what is inside a frozen module is frozen with it.

    Args:
      model: A module; its variables are not changed.
      patterns: Patterns of the dotted names of parameters.
    """
    if not patterns:
        return
    frozen = [
        (path, module)
        for path, module in nnx.iter_modules(model)
        if _is_frozen(".".join(map(str, path)), module, patterns)
    ]
    paths = {path for path, _ in frozen}
    for path, module in nnx.iter_modules(model):
        if any(path[:length] in paths for length in range(len(path) + 1)):
            module.__class__ = _at_inference(type(module))
            for mode in MODES.keys() & vars(module).keys():  # of a call that is given none
                setattr(module, mode, not MODES[mode])


def _is_frozen(name: str, module: nnx.Module, patterns: Sequence[str]) -> bool:
    for kind in (nnx.Param, nnx.BatchStat):
        names = arrays_of(module, kind)
        if names:
            paths = [f"{name}.{inner}" if name else inner for inner in names]
            return all(any(fnmatch.fnmatch(path, p) for p in patterns) for path in paths)
    return False


@functools.cache
def _at_inference(kind: type[nnx.Module]) -> type[nnx.Module]:
    """Return a class whose call is that of `kind` at inference, whatever mode it is given."""
    signature = inspect.signature(kind.__call__)
    modes = {name: not train for name, train in MODES.items() if name in signature.parameters}

    @functools.wraps(kind.__call__)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        bound = signature.bind(self, *arguments, **options)
        bound.arguments |= modes
        return kind.__call__(*bound.args, **bound.kwargs)

    return type(kind.__name__, (kind,), {"__call__": call})

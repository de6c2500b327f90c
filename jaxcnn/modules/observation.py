"""Intermediate values of any module: read, or replaced, while the module computes."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from flax import nnx

from jaxcnn.modules.combinators import Parallel, Residual, undo_remat

# Called with the path of a module and its output; returns the output to go on with.
Observe: TypeAlias = Callable[[str, Any], Any]


def observe_calls(model: nnx.Module, observe: Observe) -> None:
    """Let every module within `model` pass its output through `observe`, in place.

    Call it on a model of the caller's own, such as one that a traced function has merged. A module
    is observed after the modules that it calls. Its path is as the summary writes it: names joined
    by ``/``; of a sum or concatenation of branches the path of the module and ``add`` or
    ``concat``; a second call of one module ends in ``#2``.

    Args:
      model: Any module; the classes of its modules become subclasses of theirs.
      observe: Maps a path and an output to the output to go on with, such as the same one.
    """
    calls: Counter[str] = Counter()

    def pass_on(path: str, output: Any) -> Any:
        calls[path] += 1
        return observe(path if calls[path] == 1 else f"{path}#{calls[path]}", output)

    for names, module in list(nnx.iter_modules(model)):
        kind = undo_remat(type(module))  # what is traced apart cannot be observed
        path = path_of(names, module)
        if path and hasattr(kind, "__call__"):  # noqa: B004  # the class, not an instance of it
            module.__class__ = _observed(kind)
            vars(module)["observe"] = functools.partial(pass_on, path)
        elif kind is not type(module):
            module.__class__ = kind


def path_of(names: tuple[Any, ...], module: nnx.Module) -> str:
    """Return the path of a module's output; empty for a model of modules, whose last one has it.

    Args:
      names: The names of the module and of those that contain it; numbers for items of lists.
      module: The module.
    """
    if isinstance(module, Residual):
        names = (*names, "add")
    elif isinstance(module, Parallel):
        names = (*names, module.combine)
    elif not names and not list(nnx.iter_children(module)):
        names = (undo_remat(type(module)).__name__.lower(),)
    return "/".join(map(str, names))


@functools.cache
def _observed(kind: type[nnx.Module]) -> type[nnx.Module]:
    call: Callable[..., Any] = inspect.getattr_static(kind, "__call__")

    @functools.wraps(call)
    def observed(self: Any, *arguments: Any, **options: Any) -> Any:
        return vars(self)["observe"](kind.__call__(self, *arguments, **options))

    return type(kind.__name__, (kind,), {"__call__": observed})

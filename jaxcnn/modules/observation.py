"""Intermediate values of any module: read, or replaced, while the module computes."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from flax import nnx

from jaxcnn.modules.combinators import Parallel, Residual, undo_remat
from jaxcnn.modules.masking import Masked

# Called with the path of a module and its output; returns the output to go on with.
Observe: TypeAlias = Callable[[str, Any], Any]


def observe_calls(model: nnx.Module, observe: Observe, *, enter: Observe | None = None) -> None:
    """Let every module within `model` pass its output through `observe`, in place.

    Call it on a model of the caller's own, such as one that a traced function has merged. A module
    is observed after the modules that it calls. Its path is as the summary writes it: names joined
    by ``/``; of a sum or concatenation of branches the path of the module and ``add`` or
    ``concat``; a second call of one module ends in ``#2``.

    Args:
      model: Any module; the classes of its modules become subclasses of theirs.
      observe: Maps a path and an output to the output to go on with, such as the same one.
      enter: The same for the first argument of each call, before the module computes.
    """
    calls: Counter[str] = Counter()

    def run(path: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        calls[path] += 1
        name = path if calls[path] == 1 else f"{path}#{calls[path]}"
        if enter is not None and arguments:
            first, *others = arguments
            arguments = (_observe_values(enter, name, first), *others)
        return _observe_values(observe, name, call(*arguments, **options))

    for names, module in list(nnx.iter_modules(model)):
        kind = undo_remat(type(module))  # what is traced apart cannot be observed
        path = path_of(names, module)
        if path and hasattr(kind, "__call__"):  # noqa: B004  # the class, not an instance of it
            module.__class__ = _observed(kind)
            vars(module)["run_observed"] = functools.partial(run, path)
        elif kind is not type(module):
            module.__class__ = kind


def _observe_values(observe: Observe, path: str, output: Any) -> Any:
    """Let the values of a padded series pass, or any other output."""
    if isinstance(output, Masked):
        return output.with_values(observe(path, output.values))
    return observe(path, output)


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
    elif not names and not holds_modules(module):
        names = (undo_remat(type(module)).__name__.lower(),)
    return "/".join(map(str, names))


def holds_modules(module: nnx.Module) -> bool:
    """Return whether a module has modules within it."""
    return any(names for names, _ in nnx.iter_modules(module))


@functools.cache
def _observed(kind: type[nnx.Module]) -> type[nnx.Module]:
    call: Callable[..., Any] = inspect.getattr_static(kind, "__call__")

    @functools.wraps(call)
    def observed(self: Any, *arguments: Any, **options: Any) -> Any:
        own_call = functools.partial(kind.__call__, self)
        return vars(self)["run_observed"](own_call, *arguments, **options)

    methods: dict[str, Any] = {"__call__": observed}
    masked = inspect.getattr_static(kind, "call_masked", None)
    if masked is not None:

        @functools.wraps(masked)
        def observed_masked(self: Any, *arguments: Any, **options: Any) -> Any:
            run = vars(self)["run_observed"]

            def own_call(*inputs: Any, **given: Any) -> Any:
                vars(self)["run_observed"] = _pass  # what it computes on the way is no output
                try:
                    return kind.call_masked(self, *inputs, **given)  # type: ignore[attr-defined]  # some kinds have it
                finally:
                    vars(self)["run_observed"] = run

            return run(own_call, *arguments, **options)

        methods["call_masked"] = observed_masked
    return type(kind.__name__, (kind,), methods)


def _pass(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return call(*arguments, **options)

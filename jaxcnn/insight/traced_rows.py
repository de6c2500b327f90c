"""Rows of the summary for any module, traced with abstract values."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import modules, shapes
from jaxcnn.insight.observed_model import traceable
from jaxcnn.insight.program_reading import Computed, entering, leaving, read_program
from jaxcnn.insight.summary_rows import Arrays, Row, array_counts, with_saved_bytes
from jaxcnn.modules.combinators import Function, undo_remat
from jaxcnn.modules.observation import holds_modules, observe_calls, path_of
from jaxcnn.modules.parameter_tree import arrays_of
from jaxcnn.runtime import plain_operations

# Operations whose gradient needs no value of the forward pass.
_LINEAR = frozenset(
    """add sub neg add_any reshape transpose broadcast_in_dim reduce_sum reduce_window_sum slice
    concatenate pad squeeze expand_dims convert_element_type rev gather copy dynamic_slice
    name""".split()  # noqa: SIM905  # as a list it is 20 lines
)
# Activations whose gradient is a function of their output.
_FROM_OUTPUT = frozenset({"max", "min", "clamp", "logistic", "tanh"})


def traced_rows(
    model: nnx.Module, input_shape: shapes.Shape, frozen: Sequence[str]
) -> tuple[Row, ...]:
    """Return a row for every module without modules of its own, and for what others compute.

    Args:
      model: Any module, with arrays or abstract.
      input_shape: The shape of one example.
      frozen: Patterns of the dotted names of parameters that are not trained.

    Raises:
      TypeError: the model branches on values.
      ValueError: the shape does not fit the model.
    """
    parts = {path_of(names, module): module for names, module in nnx.iter_modules(model)}
    parts.setdefault("", model)
    arrays, rows = _arrays_by_module(model), []
    counted: dict[str, str] = {}

    def always(name: str) -> bool:
        path = _path(name)
        return bool(path and not holds_modules(parts[path])) or bool(arrays[path].names)

    for call in read_program(_program(model, input_shape), always):
        path = _path(call.name)
        own, before = arrays[path], counted.get(path)
        counted.setdefault(path, call.name)
        fields = call.receptive_field
        row = Row(
            name=call.name or "output",
            kind=_kind(parts[path]),
            output_shape=tuple(call.output.shape[1:]),
            receptive_field=None if fields is None else tuple(field.size for field in fields),
            jump=None if fields is None else tuple(field.jump for field in fields),
            multiply_adds=call.multiply_adds,
            dtype=str(call.output.dtype),
            output_bytes=call.output.size * call.output.dtype.itemsize,
            inputs=call.inputs,
            shared_with=before if own.names else None,
            **array_counts(own if before is None else Arrays(), frozen),
        )
        rows.append((row, _saved(parts[path], call)))
    for path, own in arrays.items():
        if own.names and path not in counted:
            kind = f"{_kind(parts[path])}, not called"
            rows.append((Row(path, kind, (), **array_counts(own, frozen), inputs=()), ()))
    return with_saved_bytes(rows)


def _program(model: nnx.Module, input_shape: shapes.Shape) -> Any:
    """Return the program of the model for one example, with marks, in plain operations."""
    graphdef, state = nnx.split(modules.in_mode(model, train=False))

    def run(state: Any, x: jax.Array) -> Any:
        copy = nnx.merge(graphdef, state)
        observe_calls(copy, leaving, enter=entering)
        return leaving("", modules.call(copy, entering("", x), train=False))

    example = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    with traceable(), plain_operations(), jax.numpy_dtype_promotion("standard"):
        return jax.make_jaxpr(run)(state, example).jaxpr


def _path(name: str) -> str:
    """Return the path of the module of a call, of which there may be several."""
    return name.partition("#")[0]


def _kind(module: nnx.Module) -> str:
    if isinstance(module, modules.Residual):
        return "add"
    if isinstance(module, modules.Parallel):
        return module.combine
    if isinstance(module, Function):
        function = getattr(module.function, "func", module.function)
        return getattr(function, "__name__", "function")
    return undo_remat(type(module)).__name__


def _saved(module: nnx.Module, call: Computed) -> tuple[str, ...]:
    if isinstance(module, modules.Dropout | nnx.Dropout):
        return ("output",)  # zeros where values are dropped
    nonlinear = call.operations - _LINEAR
    if not nonlinear:
        return ()
    return ("output",) if nonlinear <= _FROM_OUTPUT else ("input",)


def _arrays_by_module(model: nnx.Module) -> Mapping[str, Arrays]:
    """Return the arrays that each module holds itself, not in modules of its own."""
    paths = {".".join(map(str, n)): path_of(n, m) for n, m in nnx.iter_modules(model)}
    found: dict[str, Arrays] = defaultdict(Arrays)
    for kind in (nnx.Param, nnx.Not(nnx.Param)):
        for name, array in arrays_of(model, kind).items():
            owner = max((p for p in paths if name.startswith(f"{p}.") or not p), key=len)
            found[paths[owner]] = found[paths[owner]].plus(name, array, kind is nnx.Param)
    return found

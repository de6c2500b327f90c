"""The time that each layer takes by itself."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import modules, shapes
from jaxcnn.insight.progress import track
from jaxcnn.insight.summary_rows import Row
from jaxcnn.layers import Layer
from jaxcnn.modules.combinators import combined
from jaxcnn.modules.observation import holds_modules, observe_calls, path_of
from jaxcnn.training.model_structure import Structure

# Examples in a batch: few enough for large networks on a CPU. Each layer is run until it took this
# long, and at least so often; its fastest run counts.
_BATCH, _SECONDS, _RUNS = 8, 0.05, 3


def with_times(
    rows: Sequence[Row], model: Layer | nnx.Module, input_shape: shapes.Shape
) -> tuple[Row, ...]:
    """Return the rows with the share of time of each, measured layer by layer at inference.

    Rows of what a module with modules of its own computes between them are not measured.
    """
    built = model.build(input_shape, rngs=nnx.Rngs(0)) if isinstance(model, Layer) else model
    built = modules.in_mode(built, train=False)
    parts = {path_of(names, module): module for names, module in nnx.iter_modules(built)}
    inputs = _inputs(built, input_shape)
    seconds: dict[Hashable, float] = {}
    keys: list[Hashable] = []
    for row in track(rows, "Measuring layers"):
        module = parts.get(row.name.partition("#")[0], built)  # its own last operations
        key, run, arguments = _timed(row, rows, module, inputs)
        keys.append(key)
        if key is not None and key not in seconds:
            seconds[key] = _fastest(run, arguments)
    total = sum(seconds[key] for key in keys if key is not None)
    return tuple(
        row if key is None else dataclasses.replace(row, time_share=seconds[key] / total)
        for row, key in zip(rows, keys, strict=True)
    )


def _inputs(model: nnx.Module, input_shape: shapes.Shape) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape of the input of every call within a model."""
    graphdef, state = nnx.split(model)
    found: dict[str, Any] = {}

    def enter(path: str, x: Any) -> Any:
        if isinstance(x, jax.Array):
            found[path] = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return x

    def run(state: Any, x: jax.Array) -> Any:
        copy = nnx.merge(graphdef, state)
        observe_calls(copy, lambda path, output: output, enter=enter)
        return modules.call(copy, x, train=False)

    jax.eval_shape(run, state, jax.ShapeDtypeStruct((_BATCH, *input_shape), jnp.float32))
    return found


def _timed(
    row: Row, rows: Sequence[Row], module: nnx.Module, inputs: dict[str, jax.ShapeDtypeStruct]
) -> tuple[Hashable | None, Callable[..., Any], tuple[Any, ...]]:
    """Return what tells equal layers, a function that computes one, and its arguments."""
    combine = combined(module)
    if combine is not None:
        shapes_of = {other.name: other.output_shape for other in rows}
        given = [(_BATCH, *shapes_of[name]) for name in row.inputs if name in shapes_of]
        if len(given) < len(row.inputs):  # the images themselves
            return None, combine, ()
        ones = [jnp.ones(shape, row.dtype) for shape in given]
        return (row.kind, tuple(given)), combine, (ones,)
    if row.name not in inputs or holds_modules(module):
        return None, module, ()
    x, structure = inputs[row.name], Structure.of(module)
    _, state = nnx.split(module)

    def compute(state: Any, x: jax.Array) -> Any:
        return modules.call(nnx.merge(structure.graphdef, state), x, train=False)

    return (structure, x), compute, (state, jnp.ones(x.shape, x.dtype))


def _fastest(function: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """Return the seconds of the fastest of several runs."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    times: list[float] = []
    while len(times) < _RUNS or sum(times) < _SECONDS:
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - start)
    return min(times)

"""Operators for primitives that move, split, merge or reduce axes."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.operator_graph import Size, UntranslatableError
from jaxcnn.interchange.program_translation import Rule
from jaxcnn.interchange.symbolic_sizes import are_known, is_known

_REDUCTIONS = {
    "reduce_sum": "ReduceSum",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_prod": "ReduceProd",
}


def integers(*values: int) -> np.ndarray:
    """Return whole numbers as operators take them."""
    return np.array(values, np.int64)


def _broadcast(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    return inputs[0].broadcast(result.shape, params["broadcast_dimensions"])


def _spread(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    return inputs[0].broadcast(result.shape, (len(result.shape) - 1,))


def _transpose(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,), moved = inputs, list(params["permutation"])
    axes = tuple(moved.index(axis) for axis in x.axes)
    return replace(x, shape=tuple(result.shape), axes=axes)


def _squeeze(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    return without(layouts, inputs[0], params["dimensions"], result)


def without(layouts: Layouts, x: Value, dropped: Sequence[int], result: Any) -> Value:
    """Return a value without axes of size 1."""
    left = [axis for axis in range(x.rank) if axis not in dropped]
    kept = [i for i, axis in enumerate(x.axes) if axis not in dropped]
    gone = [i for i, axis in enumerate(x.axes) if axis in dropped]
    axes = tuple(left.index(x.axes[i]) for i in kept)
    sizes, shape = tuple(x.sizes[i] for i in kept), tuple(result.shape)
    if x.array is not None:
        array = x.array.squeeze(tuple(gone))
        return replace(x, shape=shape, axes=axes, sizes=sizes, array=array)
    name = x.name
    if gone:
        assert name is not None
        name = layouts.graph.add("Squeeze", name, integers(*gone))
    return replace(x, shape=shape, axes=axes, sizes=sizes, name=name)


def _reshape(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,), shape = inputs, tuple(result.shape)
    if params.get("dimensions") is not None:
        raise UntranslatableError("it reorders axes")
    if x.array is not None and are_known((*x.shape, *shape)):
        return Value.of(x.filled().reshape(tuple(map(int, shape))), x.label)
    x = layouts.whole(x)
    blocks = _blocks(x.shape, shape)
    positions = [[x.axes.index(axis) for axis in old] for old, _ in blocks]
    if any(run != list(range(run[0], run[0] + len(run))) for run in positions if run):
        # The axes of a block must be neighbors, in the program's order.
        order = sorted(range(len(blocks)), key=lambda n: min(positions[n], default=-1))
        singles = [axis for axis in x.axes if not any(axis in old for old, _ in blocks)]
        x = layouts.whole(x, [axis for n in order for axis in blocks[n][0]] + singles)
        positions = [[x.axes.index(axis) for axis in old] for old, _ in blocks]
    order = sorted(range(len(blocks)), key=lambda n: min(positions[n], default=-1))
    axes = [axis for n in order for axis in blocks[n][1]]
    sizes = [shape[axis] for axis in axes]
    same = len(axes) == len(x.axes) and all(len(old) == len(new) == 1 for old, new in blocks)
    name = x.name
    assert name is not None
    if not same:
        name = layouts.graph.add("Reshape", name, layouts.target(sizes))
    return layouts.made(name, axes, shape, x.dtype, sizes)


def _blocks(old: Sequence[Size], new: Sequence[Size]) -> list[tuple[list[int], list[int]]]:
    """Return the groups of axes that become groups of axes.

    Axes of size 1 are in none, but a batch of 1 stays the batch.
    """
    before = [axis for axis, size in enumerate(old) if not (is_known(size) and size == 1)]
    after = [axis for axis, size in enumerate(new) if not (is_known(size) and size == 1)]
    blocks: list[tuple[list[int], list[int]]] = []
    if old and new and old[0] == new[0] == 1:
        blocks.append(([0], [0]))
    while before or after:
        left: list[int] = []
        right: list[int] = []
        total: Size = 1
        wanted: Size = 1
        while True:
            takes_left = not left or (right and bool(before) and _is_smaller(total, wanted))
            if takes_left and before:
                left.append(before.pop(0))
                total *= old[left[-1]]
            elif after:
                right.append(after.pop(0))
                wanted *= new[right[-1]]
            elif before:
                left.append(before.pop(0))
                total *= old[left[-1]]
            if (left and right and total == wanted) or not (before or after):
                break
        blocks.append((left, right))
    return blocks


def _is_smaller(one: Size, other: Size) -> bool:
    try:
        return bool(one < other)
    except Exception:  # JAX cannot compare symbolic sizes
        return len(str(one)) < len(str(other))


def _reduce(
    operator: str, layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,), reduced = inputs, params["axes"]
    if x.name is None:
        return NotImplemented
    stored = [axis for axis in reduced if axis in x.axes]
    dropped = [
        a for a in reduced if a not in stored and not (is_known(x.shape[a]) and x.shape[a] == 1)
    ]
    if dropped or any(x.sizes[x.axes.index(axis)] != x.shape[axis] for axis in stored):
        x = layouts.whole(x)
        stored = list(reduced)
    assert x.name is not None
    positions = sorted(x.axes.index(axis) for axis in stored)
    name = x.name
    if positions:
        sizes = [x.sizes[position] for position in positions]
        count = math.prod(map(int, sizes)) if are_known(sizes) else 0
        name = layouts.graph.add(operator, name, integers(*positions), values=count, keepdims=0)
    left = [axis for axis in range(x.rank) if axis not in reduced]
    kept = [i for i, axis in enumerate(x.axes) if axis not in reduced]
    axes = tuple(left.index(x.axes[i]) for i in kept)
    return layouts.made(name, axes, result.shape, x.dtype, [x.sizes[i] for i in kept])


def _total(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    axes = tuple(range(inputs[0].rank - 1))
    return _reduce("ReduceSum", layouts, inputs, {"axes": axes}, result)


def _reduce_logical(
    operator: str, layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,) = inputs
    if x.name is None:
        return NotImplemented
    number = replace(
        x, dtype=np.dtype(np.int32), name=layouts.graph.add("Cast", x.name, to="int32")
    )
    made = _reduce(operator, layouts, [number], params, result)
    assert made.name is not None
    name = layouts.graph.add("Cast", made.name, to="bool")
    return replace(made, name=name, dtype=np.dtype(bool))


def _arg(
    operator: str, layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    if inputs[0].name is None:
        return NotImplemented
    x = layouts.whole(inputs[0])
    (axis,) = params["axes"]
    assert x.name is not None
    name = layouts.graph.add(operator, x.name, axis=x.axes.index(axis), keepdims=0)
    name = layouts.graph.add("Cast", name, to=str(np.dtype(result.dtype)))
    left = [each for each in range(x.rank) if each != axis]
    axes = [left.index(each) for each in x.axes if each != axis]
    return layouts.made(name, axes, result.shape, result.dtype)


def _top_k(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> list[Value]:
    if inputs[0].name is None:
        return NotImplemented
    x, graph = layouts.whole(inputs[0]), layouts.graph
    assert x.name is not None
    axis = x.axes.index(params.get("axis", x.rank - 1))
    count = layouts.shape([params["k"]])
    values, at = graph.add_several(2, "TopK", x.name, count, axis=axis)
    at = graph.add("Cast", at, to="int32")
    return [
        layouts.made(name, x.axes, result.shape, dtype)
        for name, dtype in ((values, x.dtype), (at, np.int32))
    ]


def _iota(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    if are_known(result.shape):
        return NotImplemented
    axis, dtype, add = params["dimension"], np.dtype(result.dtype), layouts.graph.add
    size = result.shape[axis]
    if is_known(size):
        row = Value.of(np.arange(int(size)).astype(dtype))
        return row.broadcast(result.shape, (axis,))
    end = add("Squeeze", layouts.shape([size]), integers(0))
    name = add("Range", np.array(0, np.int64), end, np.array(1, np.int64))
    name = name if dtype == np.int64 else add("Cast", name, to=str(dtype))
    return layouts.made(name, (axis,), result.shape, dtype)


def _dimension(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    size = layouts.shape([params["dim"]])
    if not isinstance(size, str):
        return Value.of(size[0].astype(result.dtype))
    add = layouts.graph.add
    name = add("Cast", add("Squeeze", size, integers(0)), to=str(np.dtype(result.dtype)))
    return layouts.made(name, (), (), result.dtype)


def _cumulative(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    if inputs[0].name is None:
        return NotImplemented
    x = layouts.whole(inputs[0])
    assert x.name is not None
    at = np.array(x.axes.index(params["axis"]), np.int64)
    name = layouts.graph.add("CumSum", x.name, at, reverse=int(params["reverse"]))
    return layouts.made(name, x.axes, x.shape, x.dtype)


RULES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "jaxcnn_spread": _spread,
    "jaxcnn_total": _total,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "reshape": _reshape,
    "iota": _iota,
    "dim_as_value": _dimension,
    "cumsum": _cumulative,
    "top_k": _top_k,
    "argmax": functools.partial(_arg, "ArgMax"),
    "argmin": functools.partial(_arg, "ArgMin"),
    "reduce_and": functools.partial(_reduce_logical, "ReduceMin"),
    "reduce_or": functools.partial(_reduce_logical, "ReduceMax"),
    **{name: functools.partial(_reduce, operator) for name, operator in _REDUCTIONS.items()},
}

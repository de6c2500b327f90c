"""Operators for primitives that join, pad, cut or select along axes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.operator_graph import UntranslatableError
from jaxcnn.interchange.program_translation import Rule
from jaxcnn.interchange.symbolic_sizes import is_known
from jaxcnn.interchange.translated_axes import integers, without

_LARGEST = 2**62  # an end beyond every axis
# What ``jnp`` makes of an index.
_OF_INDEX = ("Cast", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Where", "Add", "Less")


def _concatenate(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    if all(each.name is None for each in inputs):
        return NotImplemented
    joined, rank = params["dimension"], inputs[0].rank
    stored = [
        (*(() if joined in each.axes else (joined,)), *each.axes)  # a new axis stands first
        for each in inputs
        if each.name is not None
    ]
    # Rather with the channels first, as convolutions have them.
    orders = [axes for axes in stored if len(axes) == rank] or [tuple(range(rank))]
    order = next((each for each in orders if each != tuple(sorted(each))), orders[0])
    names = [layouts.arranged(each, order) for each in inputs]
    if len(names) == 1:
        return layouts.made(names[0], order, result.shape, result.dtype)
    name = layouts.graph.add("Concat", *names, axis=order.index(joined))
    return layouts.made(name, order, result.shape, result.dtype)


def _stack(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    """Return arrays joined along a new axis."""
    axis, shape = params["axis"], list(result.shape)
    kept = [i for i in range(len(shape)) if i != axis]
    shape[axis] = 1
    wide = [each.broadcast(shape, kept) for each in inputs]
    return _concatenate(layouts, wide, {"dimension": axis}, result)


def _split(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> list[Value]:
    (x,), axis, parts, start = inputs, params["axis"], [], 0
    for size in params["sizes"]:
        shape = [size if i == axis else length for i, length in enumerate(x.shape)]
        starts = [start if i == axis else 0 for i in range(x.rank)]
        start += size
        ends = [start if i == axis else length for i, length in enumerate(x.shape)]
        one = jax.ShapeDtypeStruct(tuple(shape), x.dtype)
        part = _cut(layouts, x, starts, ends, None, one)
        if part is NotImplemented:
            return NotImplemented
        parts.append(part)
    return parts


def _unstack(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> list[Value]:
    (x,), axis = inputs, params["axis"]
    sizes = {"axis": axis, "sizes": (1,) * x.shape[axis]}
    parts = _split(layouts, inputs, sizes, result)
    if parts is NotImplemented:
        return NotImplemented
    return [without(layouts, part, (axis,), result) for part in parts]


def _pad(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    x, fill = inputs
    if x.name is None and fill.name is None:
        return NotImplemented
    borders = params["padding_config"]
    if fill.array is None:
        raise UntranslatableError("it pads with a value that is computed")
    if any(inner for _, _, inner in borders):
        raise UntranslatableError("it pads between values")
    x = layouts.whole(x)
    assert x.name is not None
    name = padded(layouts, x.name, [borders[axis][:2] for axis in x.axes], fill.array)
    return layouts.made(name, x.axes, result.shape, x.dtype)


def padded(layouts: Layouts, name: str, borders: Sequence[Any], fill: np.ndarray) -> str:
    """Return the name of a value with borders, or cut by those that are negative.

    Args:
      layouts: The translation.
      name: Name of the value.
      borders: ``(low, high)`` for each stored axis.
      fill: The number in the borders.
    """
    add = layouts.graph.add
    cuts = [(i, pair) for i, pair in enumerate(borders) if min(pair) < 0]
    if cuts:
        starts = integers(*(max(-low, 0) for _, (low, _) in cuts))
        ends = integers(*(min(high, 0) or _LARGEST for _, (_, high) in cuts))
        name = add("Slice", name, starts, ends, integers(*(i for i, _ in cuts)))
    low, high = ([max(pair[side], 0) for pair in borders] for side in (0, 1))
    if any(low) or any(high):
        name = add("Pad", name, layouts.shape((*low, *high)), fill, mode="constant")
    return name


def _slice(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    starts, ends = params["start_indices"], params["limit_indices"]
    return _cut(layouts, inputs[0], starts, ends, params["strides"], result)


def _cut(layouts: Layouts, x: Value, starts: Any, ends: Any, strides: Any, result: Any) -> Value:
    if x.name is None:
        return NotImplemented
    x = layouts.whole(x)
    assert x.name is not None
    steps = strides or (1,) * x.rank
    used = [
        i
        for i, axis in enumerate(x.axes)
        if not (is_known(starts[axis]) and starts[axis] == 0 and steps[axis] == 1)
        or ends[axis] != x.shape[axis]
    ]
    name = x.name
    if used:
        axes = [x.axes[i] for i in used]
        columns = ([column[axis] for axis in axes] for column in (starts, ends))
        low, high = (layouts.shape(column) for column in columns)
        by = integers(*(steps[axis] for axis in axes))
        name = layouts.graph.add("Slice", name, low, high, integers(*used), by)
    return layouts.made(name, x.axes, result.shape, x.dtype)


def _dynamic_slice(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    x, *at = inputs
    if x.name is None and all(each.name is None for each in at):
        return NotImplemented
    sizes, x = params["slice_sizes"], layouts.whole(x)
    assert x.name is not None
    add = layouts.graph.add
    used = [i for i, axis in enumerate(x.axes) if sizes[axis] != x.shape[axis]]
    if not used:
        return x
    starts, ends = [], []
    for axis in (x.axes[i] for i in used):
        # The slice is moved until it lies within the array.
        start = add("Cast", layouts.arranged(at[axis], ()), to="int64")
        last = layouts.shape([x.shape[axis] - sizes[axis]])
        start = add("Min", add("Max", start, integers(0)), last)
        starts.append(start)
        ends.append(add("Add", start, layouts.shape([sizes[axis]])))
    low, high = (add("Concat", *each, axis=0) for each in (starts, ends))
    name = add("Slice", x.name, low, high, integers(*used))
    return layouts.made(name, x.axes, result.shape, x.dtype)


def _reverse(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    if inputs[0].name is None:
        return NotImplemented
    x = layouts.whole(inputs[0])
    assert x.name is not None
    used = [x.axes.index(axis) for axis in params["dimensions"]]
    many = len(used)
    starts, ends = integers(*[-1] * many), integers(*[-_LARGEST] * many)
    name = layouts.graph.add("Slice", x.name, starts, ends, integers(*used), integers(*[-1] * many))
    return layouts.made(name, x.axes, result.shape, x.dtype)


def _cut_at(
    layouts: Layouts, x: Value, at: np.ndarray, params: Mapping[str, Any], result: Any
) -> Value:
    """Return one slice of an array, which a gather reads at one position."""
    how, sizes = params["dimension_numbers"], params["slice_sizes"]
    starts = [0] * x.rank
    for axis, start in zip(how.start_index_map, at, strict=True):
        starts[axis] = max(0, min(int(start), x.shape[axis] - sizes[axis]))
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    made = _cut(layouts, x, starts, ends, None, jax.ShapeDtypeStruct(sizes, x.dtype))
    return without(layouts, made, how.collapsed_slice_dims, result)


def _gather_elements(layouts: Layouts, x: Value, at: Value, how: Any, result: Any) -> Value:
    """Return one element per index, as ``jnp.take_along_axis`` does."""
    (axis,) = how.start_index_map
    # The axis of the index for each axis of the array; its last holds the position.
    place = dict(zip(how.operand_batching_dims, how.start_indices_batching_dims, strict=True))
    place[axis] = next(i for i in range(at.rank - 1) if i not in place.values())
    x = layouts.whole(x)
    at = without(
        layouts, layouts.whole(at), (at.rank - 1,), jax.ShapeDtypeStruct(at.shape[:-1], at.dtype)
    )
    index = layouts.arranged(at, [place[each] for each in x.axes])
    assert x.name is not None
    position = x.axes.index(axis)
    if at.shape[place[axis]] == 1 and _is_largest(layouts, index, x.name, position):
        name = layouts.graph.add("ReduceMax", x.name, integers(position), keepdims=1)
    else:
        name = layouts.graph.add("GatherElements", x.name, index, axis=position)
    return layouts.made(name, [place[each] for each in x.axes], result.shape, x.dtype)


def _gather_rows(
    layouts: Layouts, x: Value, at: Value, params: Mapping[str, Any], result: Any
) -> Value:
    """Return whole rows at positions that are computed, of each example by itself or of all."""
    how, rank = params["dimension_numbers"], len(result.shape)
    first = tuple(range(len(how.operand_batching_dims)))
    inner = list(range(len(first) + 1, x.rank))
    if (
        (how.operand_batching_dims, how.start_indices_batching_dims) != (first, first)
        or how.offset_dims != tuple(range(rank - len(inner), rank))
        or any(params["slice_sizes"][axis] != x.shape[axis] for axis in inner)
    ):
        raise UntranslatableError("it reads positions that are computed, of a part of a row")
    rows, index = (layouts.arranged(each, tuple(range(each.rank))) for each in (x, at))
    index = layouts.graph.add("Cast", index, to="int64")
    name = layouts.graph.add("GatherND", rows, index, batch_dims=len(first))
    return layouts.made(name, range(rank), result.shape, result.dtype)


def _is_largest(layouts: Layouts, index: str, value: str, axis: int) -> bool:
    """Return whether an index is the position of the largest value along an axis."""
    makers, waiting, found = layouts.graph.makers(), [index], False
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:  # a constant
            continue
        if node.op == "ArgMax":
            if node.inputs != [value] or node.attributes["axis"] != axis:
                return False
            found = True
        elif node.op in _OF_INDEX:
            waiting += node.inputs  # ``jnp`` makes negative positions positive
        else:
            return False
    return found


def _gather(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    """Return whole slices along one axis at positions that are known, as ``jnp.take`` does."""
    x, at = inputs
    if x.name is None and at.name is None:
        return NotImplemented
    how = params["dimension_numbers"]
    if at.array is not None and at.rank == 1:
        return _cut_at(layouts, x, at.filled(), params, result)
    batching = how.operand_batching_dims
    if len(batching) == x.rank - 1 and len(how.start_index_map) == 1 and not how.offset_dims:
        return _gather_elements(layouts, x, at, how, result)
    if at.array is None and how.start_index_map == (len(batching),):
        return _gather_rows(layouts, x, at, params, result)
    if at.array is None or len(how.start_index_map) != 1 or batching:
        raise UntranslatableError("it reads positions that are computed, or of several axes")
    (axis,) = how.start_index_map
    sizes = params["slice_sizes"]
    others = [i for i in range(x.rank) if i != axis]
    if any(sizes[i] != x.shape[i] for i in others) or sizes[axis] != 1:
        raise UntranslatableError("it reads parts of slices")
    collapsed = how.collapsed_slice_dims == (axis,)
    index = at.filled()[..., 0]
    kept = [i for i in range(x.rank) if i in others or not collapsed]
    # ONNX puts the axes of the index where the axis was.
    positions = [i for i in range(len(result.shape)) if i not in how.offset_dims]
    x = layouts.whole(x)
    assert x.name is not None
    if is_known(x.shape[axis]):
        index = np.clip(index, 0, int(x.shape[axis]) - 1)
    name = layouts.graph.add("Gather", x.name, index.astype(np.int64), axis=x.axes.index(axis))
    place = dict(zip(kept, how.offset_dims, strict=True))
    axes: list[int] = []
    for each in x.axes:
        axes += positions if each == axis else [place[each]]
    if not collapsed:
        name = layouts.graph.add("Unsqueeze", name, integers(len(axes)))
        axes.append(place[axis])
    return layouts.made(name, axes, result.shape, x.dtype)


RULES: dict[str, Rule] = {
    "concatenate": _concatenate,
    "stack": _stack,
    "split": _split,
    "unstack": _unstack,
    "pad": _pad,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "rev": _reverse,
    "gather": _gather,
}

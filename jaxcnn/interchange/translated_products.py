"""Operators for products of matrices."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.program_translation import Rule


def _dot(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    x, weights = inputs
    if x.name is None and weights.name is None:
        return NotImplemented
    (left, right), (batched, _) = params["dimension_numbers"]
    if not batched and weights.array is not None and weights.rank == 2 and len(left) == 1:
        array = weights.filled()
        return _dense(layouts, x, array if right == (0,) else array.T, left[0], weights, result)
    return _general(layouts, inputs, params, result)


def _dense(
    layouts: Layouts, x: Value, array: np.ndarray, axis: int, weights: Value, result: Any
) -> Value:
    """Multiply along one axis by a matrix ``(in_features, features)`` of constants."""
    x, rank, graph = layouts.whole(x), x.rank, layouts.graph
    if 3 <= rank <= 5 and axis == rank - 1 and x.axes[:2] == (0, axis):
        # A convolution of size 1 keeps the channels first.
        ones = rank - 2
        kernel = graph.constant(array.T.reshape(*array.T.shape, *(1,) * ones), weights.label)
        assert x.name is not None
        name = graph.add(
            "Conv",
            x.name,
            kernel,
            strides=[1] * ones,
            pads=[0] * 2 * ones,
            dilations=[1] * ones,
            group=1,
        )
        return layouts.made(name, x.axes, result.shape, result.dtype)
    free = [each for each in range(rank) if each != axis]
    name = layouts.arranged(x, (*free, axis))
    name = graph.add("Gemm" if rank == 2 else "MatMul", name, graph.constant(array, weights.label))
    return layouts.made(name, range(rank), result.shape, result.dtype)


def _general(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    """Name every axis by a letter: contracted and batched ones by the same in both."""
    contracted, batched = params["dimension_numbers"]
    whole = [layouts.whole(each) for each in inputs]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names: list[dict[int, str]] = [{}, {}]
    for pairs in (batched, contracted):
        for left, right in zip(*pairs, strict=True):
            names[0][left] = names[1][right] = next(letters)
    made = [names[0][axis] for axis in batched[0]]
    for each, known in zip(whole, names, strict=True):
        for axis in range(each.rank):
            if axis not in known:
                known[axis] = next(letters)
                made.append(known[axis])
    terms = [
        "".join(known[axis] for axis in each.axes) for each, known in zip(whole, names, strict=True)
    ]
    equation = f"{','.join(terms)}->{''.join(made)}"
    stored = [layouts.stored(each) for each in whole]
    name = layouts.graph.add("Einsum", *stored, equation=equation)
    return layouts.made(name, range(len(made)), result.shape, result.dtype)


RULES: dict[str, Rule] = {"dot_general": _dot}

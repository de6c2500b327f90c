"""Sizes of an exported graph that are known when it runs: expressions of the input's shape."""

import ast
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcnn.interchange.operator_graph import Graph, Size

_OPERATORS = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul"}
_FUNCTIONS = {"floordiv": "Div", "mod": "Mod", "max": "Max", "min": "Min"}


def is_known(size: Size) -> bool:
    """Return whether a size is a number."""
    try:
        operator.index(size)
    except Exception:  # JAX has an error of its own for symbolic sizes
        return False
    return True


def are_known(sizes: Sequence[Size]) -> bool:
    """Return whether all sizes are numbers."""
    return all(map(is_known, sizes))


def shape_of(graph: Graph, sizes: Sequence[Size], variables: dict[str, tuple[int, int]]) -> Any:
    """Return sizes as a constant, or as the name of a value that is computed.

    Args:
      graph: The graph to add the computation to.
      sizes: Numbers or symbolic sizes of JAX.
      variables: For each variable the axis of the input, and the number that the axis is a
        multiple of.
    """
    if are_known(sizes):
        return np.array([int(size) for size in sizes], np.int64)
    parts = [value_of(graph, size, variables) for size in sizes]
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=0)


def value_of(graph: Graph, size: Size, variables: dict[str, tuple[int, int]]) -> Any:
    """Return a size as a constant, or as the name of a value, of shape (1,)."""
    if is_known(size):
        return np.array([int(size)], np.int64)
    tree = ast.parse(str(size).replace("^", "**"), mode="eval").body
    return _value(graph, tree, variables)


def _value(graph: Graph, tree: ast.AST, variables: dict[str, tuple[int, int]]) -> Any:
    if isinstance(tree, ast.Constant):
        return np.array([tree.value], np.int64)
    if isinstance(tree, ast.Name):
        axis, multiple = variables[tree.id]
        size: Any = graph.add("Shape", graph.input, start=axis, end=axis + 1)
        return size if multiple == 1 else graph.add("Div", size, np.array([multiple], np.int64))
    if isinstance(tree, ast.UnaryOp):
        return graph.add("Neg", _value(graph, tree.operand, variables))
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Pow):
        base = _value(graph, tree.left, variables)
        assert isinstance(tree.right, ast.Constant)
        result = base
        for _ in range(int(str(tree.right.value)) - 1):
            result = graph.add("Mul", result, base)
        return result
    if isinstance(tree, ast.BinOp):
        sides = (_value(graph, side, variables) for side in (tree.left, tree.right))
        return graph.add(_OPERATORS[type(tree.op)], *sides)
    assert isinstance(tree, ast.Call)
    assert isinstance(tree.func, ast.Name)
    sides = (_value(graph, side, variables) for side in tree.args)
    if tree.func.id == "floordiv":  # ONNX cuts towards 0
        size, by = sides
        rest = graph.add("Sub", size, graph.add("Mod", size, by))
        return graph.add("Div", rest, by)
    return graph.add(_FUNCTIONS[tree.func.id], *sides)

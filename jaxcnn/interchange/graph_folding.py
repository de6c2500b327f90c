"""Shorter graphs of the same values: constants that follow a convolution become part of it."""

import hashlib
import re
from collections.abc import Callable

import numpy as np

from jaxcnn.interchange import graph_patterns
from jaxcnn.interchange.operator_graph import Graph, Node

_BEFORE_OFFSET = ("Conv", "ConvTranspose", "MatMul", "Gemm")


def fold(graph: Graph, *, keeps_layers: bool) -> None:
    """Fold operators into those before them, in place, until nothing changes.

    A bias, and the scale and offset that remain of a batch normalization, become part of the
    convolution or the product; a sum that is divided becomes a mean.

    Args:
      graph: The graph.
      keeps_layers: Whether the outputs of layers stay values of the graph.
    """
    kept = {each.value for each in graph.layers} if keeps_layers else set()
    changed = True
    while changed:
        graph.drop_unused()
        changed = sum(_fold_once(graph, kept, each) for each in _FOLDS) > 0
    graph.drop_unused()
    _share_constants(graph)
    values = {graph.input, *graph.makers()}
    graph.layers = [each for each in graph.layers if each.value in values]
    _name_by_layers(graph)


def _share_constants(graph: Graph) -> None:
    """Keep one of equal constants, such as those of a layer that is called several times."""
    known: dict[tuple[str, str, tuple[int, ...], bytes], str] = {}
    other: dict[str, str] = {}
    for name, array in graph.constants.items():
        digest = hashlib.sha256(array.tobytes()).digest()
        key = (_plain(name), array.dtype.str, array.shape, digest)
        other[name] = known.setdefault(key, name)
    for node in graph.nodes:
        node.inputs = [other.get(name, name) for name in node.inputs]
    graph.drop_unused()


def _plain(name: str) -> str:
    """Return the name of a constant without the number that makes it unique."""
    return re.sub(r"_\d+$", "", name)


def _name_by_layers(graph: Graph) -> None:
    """Give values the paths of their layers, and constants the names of their parameters."""
    taken = {graph.input, graph.output, *graph.constants, *graph.makers()}
    for layer in list(graph.layers):
        if layer.value not in (graph.input, graph.output) and layer.path not in taken:
            named = next((one.path for one in graph.layers if one.value == layer.value), "")
            if named == layer.path:  # the first layer that returns the value
                graph.rename(layer.value, layer.path)
                taken.add(layer.path)
    for name in list(graph.constants):
        plain = _plain(name)
        if "." in plain and plain not in taken:
            graph.constants[plain] = graph.constants.pop(name)
            graph.rename(name, plain)
            taken.add(plain)


def _fold_once(graph: Graph, kept: set[str], rule: Callable[[Graph, Node, Node], bool]) -> bool:
    """Apply a rule to every operator that alone reads the result of another."""
    makers, readers, changed = graph.makers(), graph.readers(), False
    for node in list(graph.nodes):
        for value in node.inputs:
            before = makers.get(value)
            if before is None or value in kept or value == graph.output:
                continue
            if len(readers[value]) != 1 or node not in graph.nodes or before not in graph.nodes:
                continue
            if rule(graph, before, node):
                changed = True
                makers, readers = graph.makers(), graph.readers()
                break
    return changed


def _merge(graph: Graph, before: Node, node: Node) -> None:
    """Let an operator take the place of the one that read it."""
    before.outputs = node.outputs
    graph.nodes.remove(node)


def _constant(graph: Graph, before: Node, node: Node) -> np.ndarray | None:
    """Return the constant that an operator of two inputs applies to the value before."""
    others = [name for name in node.inputs if name not in before.outputs]
    if len(node.inputs) != 2 or len(others) != 1 or others[0] not in graph.constants:
        return None
    if node.op in ("Sub", "Div") and node.inputs[0] == others[0]:
        return None
    return graph.constants[others[0]]


def _fold_offset(graph: Graph, before: Node, node: Node) -> bool:
    """Fold an offset, or a scale, per channel into a convolution or a product of matrices."""
    if before.op not in _BEFORE_OFFSET or node.op not in ("Add", "Sub", "Mul", "Div"):
        return False
    weights = graph.constants.get(before.inputs[1])
    bias = graph.constants.get(before.inputs[2]) if len(before.inputs) > 2 else None
    array = _constant(graph, before, node)
    if array is None or weights is None or not np.issubdtype(weights.dtype, np.floating):
        return False
    per_channel = _per_channel(before, weights, array)
    if per_channel is None or (len(before.inputs) > 2 and bias is None):
        return False
    features = len(per_channel)
    label = before.inputs[2] if len(before.inputs) > 2 else before.inputs[1] + ".offset"
    before_bias = np.zeros(features, weights.dtype) if bias is None else bias
    if node.op in ("Add", "Sub"):
        if before.op == "MatMul":  # it has no bias, as a Gemm of two axes has
            return False
        offset = before_bias + per_channel if node.op == "Add" else before_bias - per_channel
        was_parameter = bias is None and node.op == "Add"
        other = next(name for name in node.inputs if name in graph.constants)
        label = other if was_parameter and array.size == features else label
        before.inputs = [*before.inputs[:2], graph.constant(offset, label)]
    else:
        factor = per_channel if node.op == "Mul" else 1 / per_channel
        if not np.isfinite(factor).all():
            return False
        scaled = _scaled(before, weights, factor)
        before.inputs = [before.inputs[0], graph.constant(scaled, before.inputs[1])]
        if bias is not None:
            before.inputs.append(graph.constant(bias * factor, label))
    _merge(graph, before, node)
    return True


def _per_channel(before: Node, weights: np.ndarray, array: np.ndarray) -> np.ndarray | None:
    """Return a constant as ``(features,)``, if it is one number per channel."""
    if before.op in ("MatMul", "Gemm"):
        features, place = weights.shape[-1], -1
    elif before.op == "Conv":
        features, place = weights.shape[0], 1 - weights.ndim
    else:
        features, place = weights.shape[1] * before.attributes["group"], 1 - weights.ndim
    spread = [1] * max(array.ndim, -place)
    spread[place] = features
    if array.size not in (1, features) or array.ndim > max(weights.ndim, 2):
        return None
    shape = array.shape
    sizes = [1] * (len(spread) - len(shape)) + list(shape)
    if any(size not in (1, wanted) for size, wanted in zip(sizes, spread, strict=True)):
        return None
    return np.broadcast_to(array.reshape(sizes), spread).reshape(-1)


def _scaled(before: Node, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if before.op in ("MatMul", "Gemm"):
        return weights * factor
    if before.op == "Conv":
        return weights * factor.reshape(-1, *(1,) * (weights.ndim - 1))
    groups = before.attributes["group"]
    inputs, per_group, *window = weights.shape
    split = weights.reshape(groups, inputs // groups, per_group, *window)
    factor = factor.reshape(groups, 1, per_group, *(1,) * len(window))
    return (split * factor).reshape(weights.shape)


def _fold_factors(graph: Graph, before: Node, node: Node) -> bool:
    """Fold two factors, or two offsets, into one."""
    scales, offsets = ("Mul", "Div"), ("Add", "Sub")
    same = next((ops for ops in (scales, offsets) if before.op in ops and node.op in ops), None)
    if same is None or len(before.inputs) != 2:
        return False
    second = _constant(graph, before, node)
    value = next((name for name in before.inputs if name not in graph.constants), None)
    first = next((graph.constants[n] for n in before.inputs if n in graph.constants), None)
    if second is None or first is None or value is None or before.inputs[0] != value:
        return False
    if not np.issubdtype(first.dtype, np.floating):
        return False
    wide = first.astype(np.float64), second.astype(np.float64)
    if same is scales:
        found = (wide[0] if before.op == "Mul" else 1 / wide[0]) * (
            wide[1] if node.op == "Mul" else 1 / wide[1]
        )
    else:
        found = wide[0] * (1 if before.op == "Add" else -1) + wide[1] * (
            1 if node.op == "Add" else -1
        )
    found = found.astype(first.dtype)
    neutral = 1 if same is scales else 0
    before.op = same[0]
    if (found == neutral).all():
        before.op, before.inputs = "Identity", [value]
    else:
        before.inputs = [value, graph.constant(found)]
    _merge(graph, before, node)
    return True


def _fold_identity(graph: Graph, before: Node, node: Node) -> bool:
    """Remove an operator that returns its input."""
    if before.op != "Identity" or graph.output in before.outputs:
        return False
    node.inputs = [before.inputs[0] if n in before.outputs else n for n in node.inputs]
    graph.nodes.remove(before)
    return True


def _fold_mean(graph: Graph, before: Node, node: Node) -> bool:
    """Make a sum that is divided by a number a mean, times what is left of the number."""
    if before.op != "ReduceSum" or node.op not in ("Div", "Mul"):
        return False
    array = _constant(graph, before, node)
    if array is None or array.size != 1 or before.values == 0:
        return False
    number = float(array.reshape(()))
    if (number if node.op == "Div" else 1 / number) != before.values:
        return False
    before.op = "ReduceMean"
    _merge(graph, before, node)
    return True


def _fold_resize(graph: Graph, before: Node, node: Node) -> bool:
    """Make a change of the height and one of the width a change of both."""
    if before.op != "Resize" or node.op != "Resize" or node.inputs[0] not in before.outputs:
        return False
    rest = [{k: v for k, v in each.attributes.items() if k != "axes"} for each in (before, node)]
    axes = before.attributes["axes"] + node.attributes["axes"]
    if rest[0] != rest[1] or len(set(axes)) != len(axes):
        return False
    order = np.argsort(axes)
    sizes = np.concatenate([graph.constants[each.inputs[3]] for each in (before, node)])
    before.attributes = {**before.attributes, "axes": [axes[i] for i in order]}
    before.inputs = [*before.inputs[:3], graph.constant(sizes[order])]
    _merge(graph, before, node)
    return True


_FOLDS = (
    _fold_identity,
    _fold_offset,
    _fold_factors,
    _fold_mean,
    _fold_resize,
    graph_patterns.fold_clip,
    graph_patterns.fold_hard_sigmoid,
    graph_patterns.fold_hard_swish,
    graph_patterns.fold_softmax,
    graph_patterns.fold_erfc,
)

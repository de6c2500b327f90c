"""Activations that are several operators in a program, and one in ONNX."""

import numpy as np

from jaxcnn.interchange.operator_graph import Graph, Node


def fold_clip(graph: Graph, before: Node, node: Node) -> bool:
    """Make a ReLU below a number a clip, as ReLU6 is."""
    if before.op != "Relu" or node.op != "Min":
        return False
    top = _number(graph, node, before.outputs[0])
    if top is None or top <= 0:
        return False
    node.op = "Clip"
    ends = [graph.constant(np.array(end, np.float32)) for end in (0, top)]
    node.inputs = [before.inputs[0], *ends]
    graph.nodes.remove(before)
    return True


def fold_hard_sigmoid(graph: Graph, before: Node, node: Node) -> bool:
    """Make min(max(x + 3, 0), 6) / 6 a hard sigmoid."""
    if before.op != "Clip" or node.op not in ("Div", "Mul"):
        return False
    ends = [graph.constants[name] for name in before.inputs[1:] if name in graph.constants]
    shift = graph.makers().get(before.inputs[0])
    if [float(end) for end in ends] != [0, 6] or shift is None or shift.op != "Add":
        return False
    number = _number(graph, node, before.outputs[0])
    factors = (6.0,) if node.op == "Div" else (float(np.float32(1 / 6)), 1 / 6)
    x = next((name for name in shift.inputs if name not in graph.constants), None)
    if x is None or number not in factors or _number(graph, shift, x) != 3:
        return False
    node.op, node.inputs = "HardSigmoid", [x]
    node.attributes = {"alpha": 1 / 6, "beta": 0.5}
    graph.nodes.remove(before)
    return True


def fold_hard_swish(graph: Graph, before: Node, node: Node) -> bool:
    """Make the product of x and its hard sigmoid a hard swish."""
    if before.op != "HardSigmoid" or node.op != "Mul":
        return False
    if before.attributes != {"alpha": 1 / 6, "beta": 0.5} or before.inputs[0] not in node.inputs:
        return False
    node.op, node.inputs = "HardSwish", list(before.inputs)
    graph.nodes.remove(before)
    return True


def fold_softmax(graph: Graph, before: Node, node: Node) -> bool:
    """Make exponentials, divided by their sum along an axis, a softmax."""
    if before.op != "Unsqueeze" or node.op != "Div" or node.inputs[1] not in before.outputs:
        return False
    makers = graph.makers()
    total, power = makers.get(before.inputs[0]), makers.get(node.inputs[0])
    if total is None or power is None or total.op != "ReduceSum" or power.op != "Exp":
        return False
    shift = makers.get(power.inputs[0])
    if shift is None or shift.op != "Sub" or total.inputs[0] not in power.outputs:
        return False
    largest = _kept(makers, shift.inputs[1], "ReduceMax")
    if largest is None or largest.inputs[0] != shift.inputs[0]:
        return False
    names = [each.inputs[1] for each in (before, total, largest)]
    axes = [graph.constants[name].tolist() for name in names if name in graph.constants]
    if len(axes) != len(names) or len(axes[0]) != 1 or any(each != axes[0] for each in axes):
        return False
    node.op, node.inputs, node.attributes = "Softmax", [shift.inputs[0]], {"axis": axes[0][0]}
    return True


def fold_erfc(graph: Graph, before: Node, node: Node) -> bool:
    """Write 1 − erf(−x / √2) as 1 + erf(x / √2), in the form that ONNX Runtime makes a GELU of."""
    if before.op != "Erf" or node.op != "Sub" or node.inputs[1] not in before.outputs:
        return False
    one = graph.constants.get(node.inputs[0])
    if one is None or one.ndim or float(one) != 1:
        return False
    makers, readers = graph.makers(), graph.readers()
    inner = makers.get(before.inputs[0])
    if inner is None or inner.op != "Mul" or len(readers[before.inputs[0]]) != 1:
        return False
    negative = makers.get(inner.inputs[0])
    if negative is None or negative.op != "Neg":
        return False
    number = _number(graph, inner, inner.inputs[0])
    if number is None or not np.isclose(number, np.sqrt(0.5), rtol=1e-6):
        return False
    root = graph.constant(np.array(np.sqrt(2), np.float32))
    inner.op, inner.inputs = "Div", [negative.inputs[0], root]
    node.op, node.inputs = "Add", [node.inputs[1], node.inputs[0]]
    return True


def _kept(makers: dict[str, Node], value: str, op: str) -> Node | None:
    """Return the reduction of a name whose result keeps the axis that it reduces."""
    wide = makers.get(value)
    if wide is None or wide.op != "Unsqueeze":
        return None
    found = makers.get(wide.inputs[0])
    return found if found is not None and found.op == op else None


def _number(graph: Graph, node: Node, value: str) -> float | None:
    """Return the number that an operator of two inputs applies to a value."""
    others = [name for name in node.inputs if name != value]
    if len(node.inputs) != 2 or len(others) != 1 or others[0] not in graph.constants:
        return None
    if node.op == "Div" and node.inputs[0] != value:
        return None
    array = graph.constants[others[0]]
    return float(array.reshape(())) if array.size == 1 and not array.ndim else None

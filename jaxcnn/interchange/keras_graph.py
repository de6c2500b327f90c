"""Keras's graphs of layers as compositions: in a row, residual, side by side.

A layer that reads several tensors joins branches that begin at one tensor, its dominator: the last
that every way from the input to the layer passes. Each branch from there is a graph of the same
kind. A graph is series-parallel if this finds every layer in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcnn.interchange.keras_layers import CONVERTERS, LEFT_OUT, convert, scaled
from jaxcnn.interchange.keras_parts import Call, Part, kind_of, require_last_axis
from jaxcnn.layers import function, identity, parallel, residual, serial, standardize
from jaxcnn.layers.composition import error_path

# The ways to join branches. What some do with the last branch or with the result is added to it.
_JOINS = {
    "Add": "add",
    "Average": "add",
    "Concatenate": "concat",
    "CustomScaleLayer": "add",  # of keras.applications' Inception-ResNet
    "Multiply": "multiply",
    "Subtract": "add",
    "ops.Add": "add",
    "ops.Concatenate": "concat",
    "ops.Multiply": "multiply",
    "ops.Subtract": "add",
}
_ARITHMETIC = ("ops.Add", "ops.Divide", "ops.Multiply", "ops.Subtract", "ops.TrueDivide")
_MODELS = ("Functional", "Sequential")
_IDENTITY = Part(identity(), {})
_KINDS = {"InputLayer", *_JOINS, *_ARITHMETIC, *_MODELS, *CONVERTERS}


def check_kind(module: str, name: str) -> None:
    """Check that a class of layers is one of Keras's that can be converted.

    Args:
      module: The module of the class.
      name: Its name.

    Raises:
      ValueError: it is another.
    """
    if kind_of(module, name) not in _KINDS:
        reason = "no layer here computes the same"
        if name == "Lambda":
            reason = "a Lambda holds a program, which is neither loaded nor run"
        raise ValueError(
            f"{reason}. Convert a part of the model without it, keras.Model(inputs, outputs)"
        )


def is_composed(model: Any) -> bool:
    """Return whether an object is a model of Keras that is its layers and nothing else."""
    bases = [kind_of(base.__module__, base.__name__) for base in type(model).__mro__]
    return not {*bases}.isdisjoint(_MODELS) and type(model).call.__module__.startswith("keras.")


@dataclass(eq=False)
class _Node:
    """One call of a layer.

    Attributes:
      name: Name of the layer.
      parts: The layers here, in a row; those after the branches, if it joins some.
      join: Kind of the layer, if it joins branches.
      last_branch: The layers that end the last branch, if it joins some.
      inputs: The calls whose outputs it reads.
      dominator: The last call that every way from the input passes before it; ``None`` for the
        input.
      depth: Number of dominators before it.
      placed: Whether the composition contains it.
    """

    name: str
    parts: Sequence[Part] = ()
    join: str = ""
    last_branch: Sequence[Part] = ()
    inputs: tuple["_Node", ...] = ()
    dominator: "_Node | None" = None
    depth: int = 0
    placed: bool = False


def convert_model(model: Any) -> tuple[Part, list[str]]:
    """Return the composition of a Sequential or Functional model, and the layers it leaves out.

    Args:
      model: The model; only a built one knows its input.

    Raises:
      TypeError: an option of a layer has a type that is not known.
      ValueError: a layer or the graph cannot be converted. The message begins with the path of
        names to the layer, and its class.
    """
    conversion = _Conversion()
    return _serial(conversion.parts_of(model) or [_IDENTITY]), conversion.left_out


@dataclass(eq=False)
class _Conversion:
    """One conversion of a model with those nested in it.

    Attributes:
      converted: The layers with arrays that were converted, by ``id``.
      left_out: Names of the layers that are the identity at inference only.
    """

    converted: set[int] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)

    def parts_of(self, model: Any) -> list[Part]:
        """Return the layers of a Sequential or Functional model in a row, with their arrays."""
        with error_path(model.name):
            self._check_first_call(model)
            if not getattr(model, "inputs", None):
                raise ValueError("the input's shape must be known: call model.build(input_shape)")
            for name in ("inputs", "outputs"):
                if len(getattr(model, name)) != 1:
                    count = len(getattr(model, name))
                    raise ValueError(f"a model must have one tensor as {name}. Received: {count}")
            return _between(*self._ends(model.inputs[0], model.outputs[0]))

    def _ends(self, first: Any, last: Any) -> tuple[_Node, _Node]:
        """Convert every call between two tensors, in order; return those of the two."""
        nodes = {_key(first): _Node("the input")}
        waiting = [last]
        while waiting:
            tensor = waiting[-1]
            if _key(tensor) in nodes:
                waiting.pop()
                continue
            operation, call = _origin(tensor)
            missing = [each for each in call.input_tensors if _key(each) not in nodes]
            if missing:
                waiting += reversed(missing)
                continue
            node = _Node(operation.name, inputs=tuple(nodes[_key(t)] for t in call.input_tensors))
            node.dominator = _common_dominator(node.inputs)
            node.depth = node.dominator.depth + 1
            if is_composed(operation):
                parts = self.parts_of(operation)
                node.parts = [_serial(parts)] if parts else []
            else:
                with error_path(f"{operation.name} ({type(operation).__name__})"):
                    self._convert(node, operation, call)
            nodes[_key(tensor)] = node
        return nodes[_key(first)], nodes[_key(last)]

    def _check_first_call(self, layer: Any) -> None:
        if getattr(layer, "weights", ()):
            if id(layer) in self.converted:
                raise ValueError("a layer with weights must be called once; it is called twice")
            self.converted.add(id(layer))

    def _convert(self, node: _Node, operation: Any, call: Any) -> None:
        """Set the parts of a call, and whether it joins branches."""
        kind = kind_of(type(operation).__module__, type(operation).__name__)
        self._check_first_call(operation)
        check_kind(type(operation).__module__, type(operation).__name__)
        shapes = [tensor.shape for tensor in call.input_tensors]
        if len(shapes) > 1:
            node.join = kind
            _check_joined(kind, Call(operation, shapes[0], call.outputs[0].shape), shapes)
            if kind == "Average":
                node.parts = [Part(standardize(0.0, float(len(shapes))), {})]
            elif kind.endswith("Subtract"):
                node.last_branch = [Part(function(jnp.negative), {})]
            elif kind == "CustomScaleLayer":
                node.last_branch = scaled(np.asarray(operation.scale), np.zeros(()))
        elif kind in _ARITHMETIC:
            node.parts = _arithmetic(kind, call.arguments.args, call.input_tensors[0])
        else:
            if kind in LEFT_OUT:
                self.left_out.append(f"{operation.name} ({kind})")
            node.parts = convert(Call(operation, shapes[0], call.outputs[0].shape))


# Keras has no public way to the graph. Its own models read these attributes, in every version 3.
def _origin(tensor: Any) -> tuple[Any, Any]:
    """Return the layer or operation that made a tensor, and its call."""
    operation, index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[index]


def _key(tensor: Any) -> tuple[int, int]:
    operation, index, _ = tensor._keras_history
    return id(operation), index


def _common_dominator(nodes: Sequence[_Node]) -> _Node:
    """Return the last call that every way from the input to these passes."""
    common = nodes[0]
    for node in nodes[1:]:
        while common is not node:
            deeper = common if common.depth > node.depth else node
            assert deeper.dominator is not None  # only the input has none, and it has depth 0
            if deeper is common:
                common = deeper.dominator
            else:
                node = deeper.dominator
    return common


def _check_joined(kind: str, call: Call, shapes: Sequence[Any]) -> None:
    if kind not in _JOINS:
        raise ValueError("only one tensor can be read here")
    if _JOINS[kind] == "concat":
        require_last_axis(call)
    ranks = {len(shape) for shape in shapes}
    if len(ranks) > 1 or (_JOINS[kind] == "add" and len({*map(tuple, shapes)}) > 1):
        raise ValueError(f"the inputs must have the same shape. Received: {shapes}")


def _arithmetic(kind: str, operands: Sequence[Any], tensor: Any) -> list[Part]:
    """Return a sum, difference, product or quotient of a tensor and numbers."""
    numbers = [np.asarray(each, np.float64) for each in operands if each is not tensor]
    one, zero = np.ones(()), np.zeros(())
    if len(numbers) == 1 and kind in ("ops.Add", "ops.Multiply"):
        return scaled(one, numbers[0]) if kind == "ops.Add" else scaled(numbers[0], zero)
    if len(numbers) == 1 and operands[0] is tensor:
        return scaled(one, -numbers[0]) if kind == "ops.Subtract" else scaled(1 / numbers[0], zero)
    raise ValueError("numbers can be added, subtracted, multiplied or divided by only")


def _between(first: _Node, last: _Node) -> list[Part]:
    """Return the layers from one call, which is not included, to one that it dominates."""
    found = []
    node = last
    while node is not first:
        if node.placed:
            raise ValueError(
                f"{node.name}: its output is read in branches that are joined at different layers; "
                "branches must begin and end together"
            )
        node.placed = True
        assert node.dominator is not None
        found.append(node.parts)
        if node.join:
            branches = [_between(node.dominator, each) for each in node.inputs]
            branches[-1] += node.last_branch
            found[-1] = [_joined(node.join, branches), *node.parts]
        node = node.dominator
    return [part for parts in reversed(found) for part in parts]


def _joined(kind: str, branches: Sequence[list[Part]]) -> Part:
    """Return branches side by side; a sum of two as a residual whose body has more arrays."""
    if _JOINS[kind] == "add" and len(branches) == 2:
        body, shortcut = sorted(branches, key=_size, reverse=True)
        parts = {"body": _in_a_row(body)} | ({"shortcut": _in_a_row(shortcut)} if shortcut else {})
        return Part(residual(*[part.layer for part in parts.values()]), _by_name(parts))
    rows = [_in_a_row(branch) for branch in branches]
    layer = parallel(*[row.layer for row in rows], combine=_JOINS[kind])
    return Part(layer, _by_name(dict(zip(dict(layer.children), rows, strict=True))))


def _size(branch: Sequence[Part]) -> tuple[int, int]:
    return sum(len(part.arrays) for part in branch), len(branch)


def _in_a_row(parts: Sequence[Part]) -> Part:
    return _serial(parts) if len(parts) > 1 else (*parts, _IDENTITY)[0]


def _serial(parts: Sequence[Part]) -> Part:
    layer = serial(*[part.layer for part in parts])
    return Part(layer, _by_name(dict(zip(dict(layer.children), parts, strict=True))))


def _by_name(parts: Mapping[str, Part]) -> dict[str, np.ndarray]:
    return {
        f"{name}.{inner}": array
        for name, part in parts.items()
        for inner, array in part.arrays.items()
    }

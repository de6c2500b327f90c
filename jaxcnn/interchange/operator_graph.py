"""A network as a graph of ONNX operators, from which files for other programs are written."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from jaxcnn import shapes

# A size that may be symbolic.
Size: TypeAlias = Any
Input: TypeAlias = str | np.ndarray


class UntranslatableError(ValueError):
    """An operation of a network that the graph has no operator for."""


@dataclass(eq=False)  # two nodes of the same operator are two
class Node:
    """One operator, with the meaning that ONNX gives it.

    Attributes:
      op: Name of the operator.
      inputs: Names of its inputs; an empty name for an input that is left out.
      outputs: Names of its outputs.
      attributes: Its attributes: integers, numbers, words, or lists of integers.
      path: Path of the layer that it belongs to.
      values: Of a sum, the number of values of each; 0 where it is not known.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    values: int = 0


@dataclass(frozen=True)
class LayerValue:
    """The output of a layer within a graph.

    Attributes:
      path: Path of the layer, as the summary writes it.
      value: Name of the value.
      layout: The program's axis of each axis of the value.
      shape: Shape of one output as the program has it, channels last.
    """

    path: str
    value: str
    layout: tuple[int, ...]
    shape: shapes.Shape


@dataclass
class Graph:
    """Operators in the order of computation, and their constants.

    Attributes:
      input_shape: Shape of the input, with the batch; words for sizes that are free.
      input_dtype: Name of the dtype of the input.
      output_shape: Shape of the output, with the batch; ``None`` for sizes that are free.
      nodes: The operators.
      constants: Arrays by name.
      layers: The outputs of layers that are known in the graph.
      input: Name of the input.
      output: Name of the output.
    """

    input_shape: tuple[int | str, ...]
    input_dtype: str
    output_shape: tuple[int | None, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    layers: list[LayerValue] = field(default_factory=list)
    input: str = "images"
    output: str = "outputs"
    path: str = ""
    _names: dict[str, int] = field(default_factory=dict)
    _known: dict[Any, Any] = field(default_factory=dict)

    def add(self, op: str, *inputs: Input, values: int = 0, **attributes: Any) -> str:
        """Append an operator of one output and return the output's name.

        The same operator of the same inputs is not added again.

        Args:
          op: Name of the operator.
          *inputs: Names of values, or constants.
          values: Of a sum, the number of values of each.
          **attributes: Attributes of the operator.
        """
        return self.add_several(1, op, *inputs, values=values, **attributes)[0]

    def add_several(
        self, count: int, op: str, *inputs: Input, values: int = 0, **attributes: Any
    ) -> list[str]:
        """Append an operator of `count` outputs, as :meth:`add` does, and return their names."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        key = (op, *names, repr(sorted(attributes.items())))
        if key not in self._known:
            self._known[key] = outputs = [self.new_name(op.lower()) for _ in range(count)]
            self.nodes.append(Node(op, names, list(outputs), attributes, self.path, values))
        found: list[str] = self._known[key]
        return found

    def constant(self, array: np.ndarray, label: str = "") -> str:
        """Return the name of a constant; equal small constants without a label share one."""
        array = np.asarray(array)
        key: Any = None
        if array.size <= 64 and not label:
            key = (array.dtype.str, array.shape, array.tobytes())
            if key in self._known:
                return str(self._known[key])
        name = self.new_name(label or "constant")
        self.constants[name] = array
        if key is not None:
            self._known[key] = name
        return name

    def new_name(self, stem: str) -> str:
        """Return a name that no value of the graph has."""
        self._names[stem] = count = self._names.get(stem, 0) + 1
        name = stem if count == 1 else f"{stem}_{count}"
        taken = name in (self.input, self.output) or (count > 1 and name in self._names)
        return self.new_name(stem) if taken else name

    def end(self, value: str) -> None:
        """Make a value the output."""
        maker = self.makers().get(value)
        if maker is None:  # the input itself, or a constant
            self.nodes.append(Node("Identity", [value], [self.output]))
            return
        self.rename(value, self.output)

    def rename(self, value: str, name: str) -> None:
        """Give a value another name, wherever it is read."""
        for node in self.nodes:
            node.inputs = [name if each == value else each for each in node.inputs]
            node.outputs = [name if each == value else each for each in node.outputs]
        self.layers = [
            LayerValue(each.path, name, each.layout, each.shape) if each.value == value else each
            for each in self.layers
        ]

    def makers(self) -> dict[str, Node]:
        """Return the operator of each value."""
        return {output: node for node in self.nodes for output in node.outputs}

    def readers(self) -> dict[str, list[Node]]:
        """Return the operators that read each value."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def drop_unused(self) -> None:
        """Remove the operators and constants that the output does not need."""
        needed = {self.output}
        nodes = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                nodes.append(node)
        self.nodes = nodes[::-1]
        self.constants = {name: each for name, each in self.constants.items() if name in needed}

    def count(self, op: str) -> int:
        """Return the number of operators of a name."""
        return sum(node.op == op for node in self.nodes)

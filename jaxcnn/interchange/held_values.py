"""Values of a program as a graph holds them: in any order of axes, and not yet broadcast.

A convolution of ONNX has the channels first, and this library has them last. A value therefore
carries the order in which its axes are stored, and operations that treat all axes equally keep the
order; only an operation that needs another one adds a transpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxcnn.interchange.operator_graph import Graph, Size
from jaxcnn.interchange.symbolic_sizes import are_known, is_known, shape_of


@dataclass(frozen=True)
class Value:
    """A value of the program.

    Attributes:
      shape: Its shape in the program.
      dtype: Its dtype.
      axes: The program's axis of each stored axis. An axis that is not stored is one along which
        the value is the same.
      sizes: Size of each stored axis: that of the program, or 1.
      name: Its name in the graph, or ``None`` for a constant.
      array: The stored array of a constant.
      label: Name of a parameter, for a constant that is one.
    """

    shape: tuple[Size, ...]
    dtype: np.dtype[Any]
    axes: tuple[int, ...]
    sizes: tuple[Size, ...]
    name: str | None = None
    array: np.ndarray | None = None
    label: str = ""

    @classmethod
    def of(cls, array: Any, label: str = "") -> "Value":
        """Return a constant."""
        array = np.asarray(array)
        axes = tuple(range(array.ndim))
        return cls(array.shape, array.dtype, axes, array.shape, array=array, label=label)

    @property
    def rank(self) -> int:
        """The number of axes in the program."""
        return len(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether every axis is stored in its full size."""
        return len(self.axes) == self.rank and all(
            size == self.shape[axis] for axis, size in zip(self.axes, self.sizes, strict=True)
        )

    def expanded(self) -> np.ndarray:
        """Return a constant in the program's order, of size 1 along axes that are not stored."""
        assert self.array is not None
        ordered = self.array.transpose(np.argsort(self.axes, kind="stable"))
        missing = [axis for axis in range(self.rank) if axis not in self.axes]
        return np.expand_dims(ordered, missing)

    def filled(self) -> np.ndarray:
        """Return a constant as the program has it."""
        return np.broadcast_to(self.expanded(), tuple(map(int, self.shape)))

    def scalar(self) -> float | None:
        """Return the number that a constant is everywhere, or ``None``."""
        if self.array is None or self.array.size == 0:
            return None
        first = self.array.flat[0]
        return float(first) if (self.array == first).all() else None

    def broadcast(self, shape: Sequence[Size], axes: Sequence[int]) -> "Value":
        """Return the value along further axes: axis i of it is axis ``axes[i]`` of the result."""
        moved = tuple(axes[axis] for axis in self.axes)
        return replace(self, shape=tuple(shape), axes=moved)


class Layouts:
    """The part of a translation that brings values into an order of axes."""

    def __init__(self, graph: Graph, variables: dict[str, tuple[int, int]]) -> None:
        """Store the graph, and the axes of the input that are symbolic."""
        self.graph = graph
        self.variables = variables

    def made(
        self, name: str, order: Sequence[int], shape: Sequence[Size], dtype: Any, sizes: Any = None
    ) -> Value:
        """Return a value of the graph whose axes are stored in an order."""
        sizes = tuple(shape[axis] for axis in order) if sizes is None else tuple(sizes)
        return Value(tuple(shape), np.dtype(dtype), tuple(order), sizes, name=name)

    def shape(self, sizes: Sequence[Size]) -> Any:
        """Return sizes as an input of an operator."""
        return shape_of(self.graph, sizes, self.variables)

    def target(self, sizes: Sequence[Size]) -> Any:
        """Return the shape for a Reshape, which finds one unknown size itself."""
        unknown = [index for index, size in enumerate(sizes) if not is_known(size)]
        if len(unknown) == 1:
            return np.array([-1 if i in unknown else int(s) for i, s in enumerate(sizes)], np.int64)
        return self.shape(sizes)

    def stored(self, value: Value) -> str:
        """Return the name of a value in the graph, as it is stored."""
        if value.name is not None:
            return value.name
        assert value.array is not None
        return self.graph.constant(value.array, value.label)

    def aligned(self, value: Value, order: Sequence[int]) -> str:
        """Return the name of a value that broadcasts to values stored in an order.

        Args:
          value: A value, all of whose stored axes are in the order.
          order: Axes of the program.
        """
        within = [axis for axis in order if axis in value.axes]
        moved = [value.axes.index(axis) for axis in within]
        missing = [i for i, axis in enumerate(order) if axis not in value.axes]
        first = order.index(within[0]) if within else len(order)
        inner = [i - first for i in missing if i > first]  # leading axes broadcast by themselves
        if value.array is not None:
            array = np.expand_dims(value.array.transpose(moved), inner)
            return self.graph.constant(array, value.label)
        name = self._transposed(value, moved)
        return self.graph.add("Unsqueeze", name, np.array(inner, np.int64)) if inner else name

    def arranged(self, value: Value, order: Sequence[int]) -> str:
        """Return the name of a value with all its axes, stored in an order and in full size."""
        if value.array is not None and are_known(value.shape):
            return self.graph.constant(value.filled().transpose(order), value.label)
        if value.is_whole:
            return self._transposed(value, [value.axes.index(axis) for axis in order])
        name = self.aligned(value, order)
        wanted = [value.shape[axis] for axis in order]
        sizes = dict(zip(value.axes, value.sizes, strict=True))
        if all(sizes.get(axis, 1) == value.shape[axis] for axis in order):
            missing = len(order) - len(value.axes)
            within = [axis for axis in order if axis in value.axes]
            leading = order.index(within[0]) if within and missing else missing
            if leading:
                name = self.graph.add("Unsqueeze", name, np.arange(leading, dtype=np.int64))
            return name
        return self.graph.add("Expand", name, self.shape(wanted))

    def whole(self, value: Value, order: Sequence[int] | None = None) -> Value:
        """Return a value with all its axes in full size, in its own order if it has one."""
        if value.is_whole and value.name is not None and order is None:
            return value
        if order is None:
            order = value.axes if len(value.axes) == value.rank else range(value.rank)
        name = self.arranged(value, tuple(order))
        return self.made(name, tuple(order), value.shape, value.dtype)

    def _transposed(self, value: Value, moved: list[int]) -> str:
        assert value.name is not None
        if moved == sorted(moved):
            return value.name
        return self.graph.add("Transpose", value.name, perm=moved)

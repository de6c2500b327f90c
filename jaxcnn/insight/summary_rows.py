"""A row of the table of a network, and the fold of the rows of a block into one."""

import dataclasses
import fnmatch
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

from jaxcnn import shapes

PerAxis: TypeAlias = tuple[int, ...] | None
_SUMS = ("trainable", "non_trainable", "multiply_adds", "parameter_bytes", "saved_bytes")


@dataclass(frozen=True)
class Row:
    """One layer of the table; shapes and bytes are of one example.

    Attributes:
      name: The names of the layer and of those that contain it, joined by ``/``.
      kind: The kind of layer, such as ``"conv"``; of a folded block its number of layers.
      output_shape: The shape of one output.
      trainable: Number of parameters that training changes.
      non_trainable: Number of other values: frozen parameters and running statistics.
      formula: The formula of the output size, for convolutions and pools; otherwise empty.
      receptive_field: Number of input positions along each spatial axis that one output depends on,
        for convolutions and pools over windows. It counts padding, and normalization as computing
        every position by itself; behind branches it is the largest of them. ``None`` for other
        layers, and where it is not known (after a layer that resizes).
      jump: Number of input positions between the fields of neighboring outputs.
      multiply_adds: Number of multiplications by a kernel, each with its addition.
      parameter_formula: The number of parameters by the sizes of the arrays.
      dtype: The dtype of the output.
      parameter_bytes: Bytes of all parameters and other values.
      output_bytes: Bytes of the output.
      saved_bytes: Bytes that training keeps from this layer's output until the backward pass,
        because the gradient of this layer or of one that reads it needs them. An estimate from the
        kinds of layers, before what XLA computes again or in other dtypes.
      inputs: Names of the rows whose outputs it reads; ``""`` is the network's input.
      shared_with: The name of the row that counts the parameters, if the module was called before.
      time_share: Share of the time of all layers, with ``profile=True``.
    """

    name: str
    kind: str
    output_shape: shapes.Shape
    trainable: int
    non_trainable: int
    formula: str = ""
    receptive_field: PerAxis = None
    jump: PerAxis = None
    multiply_adds: int = 0
    parameter_formula: str = ""
    dtype: str = "float32"
    parameter_bytes: int = 0
    output_bytes: int = 0
    saved_bytes: int = 0
    inputs: tuple[str, ...] = ("",)
    shared_with: str | None = None
    time_share: float | None = None

    @property
    def parameters(self) -> int:
        """Number of all parameters of the layer."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True)
class Arrays:
    """The shapes of the arrays of one layer.

    Attributes:
      names: Their dotted names in the model.
      arrays: For each, its shape and dtype.
      learned: For each, whether it is a parameter.
    """

    names: tuple[str, ...] = ()
    arrays: tuple[Any, ...] = ()
    learned: tuple[bool, ...] = ()

    def plus(self, name: str, array: Any, learned: bool) -> "Arrays":
        """Return these arrays and one more."""
        return Arrays((*self.names, name), (*self.arrays, array), (*self.learned, learned))


def array_counts(arrays: Arrays, frozen: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a row that its arrays decide.

    Args:
      arrays: The arrays of the layer.
      frozen: Patterns of the dotted names of parameters that are not trained.
    """
    trained = [
        math.prod(array.shape)
        for name, array, learned in zip(arrays.names, arrays.arrays, arrays.learned, strict=True)
        if learned and not any(fnmatch.fnmatch(name, pattern) for pattern in frozen)
    ]
    sizes = [math.prod(array.shape) for array in arrays.arrays]
    largest_first = sorted(arrays.arrays, key=lambda array: -math.prod(array.shape))
    products = ["·".join(map(str, array.shape)) or "1" for array in largest_first]
    return {
        "trainable": sum(trained),
        "non_trainable": sum(sizes) - sum(trained),
        "parameter_formula": f"{' + '.join(products)} = {sum(sizes):,}" if sizes else "",
        "parameter_bytes": sum(
            size * array.dtype.itemsize for size, array in zip(sizes, arrays.arrays, strict=True)
        ),
    }


def with_saved_bytes(rows: Sequence[tuple[Row, tuple[str, ...]]]) -> tuple[Row, ...]:
    """Return rows with the bytes that training keeps of their outputs.

    Args:
      rows: Each row, with those of ``"input"`` and ``"output"`` that its gradient reads.
    """
    kept: set[str] = set()
    for row, saved in rows:
        if "input" in saved:
            kept.update(row.inputs)
        if "output" in saved:
            kept.add(row.name)
    return tuple(
        dataclasses.replace(row, saved_bytes=row.output_bytes if row.name in kept else 0)
        for row, _ in rows
    )


def fold(rows: Sequence[Row], depth: int | None) -> tuple[Row, ...]:
    """Return the rows with those whose names begin with the same `depth` parts made one.

    Args:
      rows: The rows in order.
      depth: Number of names that are kept of a path; ``None`` folds nothing.
    """
    if depth is None:
        return tuple(rows)
    return tuple(
        _folded(name, tuple(inside))
        for name, inside in groupby(rows, key=lambda row: "/".join(row.name.split("/")[:depth]))
    )


def _folded(name: str, inside: Sequence[Row]) -> Row:
    """Return one row for those within a block."""
    if [row.name for row in inside] == [name]:
        return inside[0]
    last = inside[-1]
    sizes = [row for row in inside if row.receptive_field is not None]
    names = {row.name for row in inside}
    shares = [row.time_share for row in inside if row.time_share is not None]
    return dataclasses.replace(
        last,
        name=name,
        kind=f"{len(inside)} layers",
        formula="",
        parameter_formula="",
        receptive_field=sizes[-1].receptive_field if sizes else None,
        jump=sizes[-1].jump if sizes else None,
        inputs=tuple(dict.fromkeys(_outside(inside, names))),
        shared_with=None,
        time_share=sum(shares) if shares else None,
        **{field: sum(getattr(row, field) for row in inside) for field in _SUMS},
    )


def _outside(inside: Sequence[Row], names: set[str]) -> Iterator[str]:
    for row in inside:
        yield from (name for name in row.inputs if name not in names)

"""The table of a network: output shape, parameters and receptive field of every layer."""

import dataclasses
import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers import Layer
from jaxcnn.layers.layer import abstract_once

_HEADER = ("Layer (type)", "Output shape", "Parameters", "Receptive field", "Jump")
PerAxis: TypeAlias = tuple[int, ...] | None


@dataclass(frozen=True)
class Row:
    """One layer of the table; shapes are without the batch.

    Attributes:
      name: The names of the layer and of those that contain it, joined by ``/``.
      kind: The kind of layer, such as ``"conv"``.
      output_shape: The shape of one output.
      trainable: Number of parameters that training changes.
      non_trainable: Number of other values, such as running statistics.
      formula: The formula of the output size, for convolutions and pools; otherwise empty.
      receptive_field: Number of input positions along each spatial axis that one output depends on,
        for convolutions and pools over windows. It counts padding, and normalization as computing
        every position by itself; behind branches it is the largest of them. ``None`` for other
        layers, and where it is not known (after a layer that resizes).
      jump: Number of input positions between the fields of neighboring outputs.
    """

    name: str
    kind: str
    output_shape: shapes.Shape
    trainable: int
    non_trainable: int
    formula: str
    receptive_field: PerAxis = None
    jump: PerAxis = None

    @property
    def parameters(self) -> int:
        """Number of all parameters of the layer."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True)
class Summary:
    """The table of a network; ``print`` shows it.

    Attributes:
      input_shape: The shape of one example.
      rows: One row per layer, in order.
      explained: Whether the table shows the formula below each convolution and pool.
    """

    input_shape: shapes.Shape
    rows: tuple[Row, ...]
    explained: bool = False

    @property
    def trainable(self) -> int:
        """Number of parameters that training changes."""
        return sum(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int:
        """Number of values of the model that gradients do not change."""
        return sum(row.non_trainable for row in self.rows)

    @property
    def parameters(self) -> int:
        """Number of all parameters."""
        return self.trainable + self.non_trainable

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain dicts, lists and numbers, which JSON can hold."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [
                {
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in dataclasses.asdict(row).items()
                }
                for row in self.rows
            ],
            "parameters": self.parameters,
            "trainable": self.trainable,
            "non_trainable": self.non_trainable,
        }

    def __str__(self) -> str:
        """Return the table as text."""
        first = ("input", _batched(self.input_shape), "", "", "")
        cells = [_cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(_HEADER, first, *cells, strict=True)]

        def line(values: tuple[str, ...]) -> str:
            left = [f"{value:<{width}}" for value, width in zip(values[:2], widths, strict=False)]
            right = [
                f"{value:>{width}}" for value, width in zip(values[2:], widths[2:], strict=True)
            ]
            return "  ".join(left + right).rstrip()

        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [line(_HEADER), rule, line(first)]
        for row, values in zip(self.rows, cells, strict=True):
            lines.append(line(values))
            if self.explained and row.formula:
                lines.append(f"    {row.formula}")
        return "\n".join([*lines, rule, *self._totals()])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        head = "".join(f"<th style='text-align: left'>{name}</th>" for name in _HEADER)
        rows = [_html_row(("input", _batched(self.input_shape), "", "", ""))]
        for row in self.rows:
            rows.append(_html_row(_cells(row)))
            if self.explained and row.formula:
                formula = html.escape(row.formula)
                rows.append(
                    f"<tr><td colspan=5 style='text-align: left'><i>{formula}</i></td></tr>"
                )
        totals = "<br>".join(self._totals())
        return f"<table><tr>{head}</tr>{''.join(rows)}</table><p>{totals}</p>"

    def _totals(self) -> list[str]:
        totals = {
            "Total parameters": self.parameters,
            "Trainable parameters": self.trainable,
            "Non-trainable parameters": self.non_trainable,
        }
        return [f"{name}: {number:,}" for name, number in totals.items()]


def summarize(layer: Layer, input_shape: Sequence[int], *, explain: bool = False) -> Summary:
    """Return the table of a network; no array is allocated.

    >>> from jaxcnn.layers import conv, dense, flatten, max_pool, serial
    >>> net = serial(conv(8, 3), max_pool(2), flatten(), dense(10))
    >>> print(summarize(net, (28, 28, 1), explain=True))
    Layer (type)           Output shape       Parameters  Receptive field  Jump
    ───────────────────────────────────────────────────────────────────────────
    input                  (None, 28, 28, 1)
    conv_1 (conv)          (None, 26, 26, 8)          80                3     1
        n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26
    max_pool_1 (max_pool)  (None, 13, 13, 8)           0                4     2
        n_H = n_W = ⌊(26 − 2 + 2·0) / 2⌋ + 1 = 13
    flatten_1 (flatten)    (None, 1352)                0
    dense_1 (dense)        (None, 10)             13,530
    ───────────────────────────────────────────────────────────────────────────
    Total parameters: 13,610
    Trainable parameters: 13,610
    Non-trainable parameters: 0

    Args:
      layer: The description of the network.
      input_shape: The shape of one example, ``(*spatial, channels)``.
      explain: Whether to print the formula with its numbers below each convolution and pool.

    Raises:
      TypeError: ``layer`` is not a description, or an option is not of its type.
      ValueError: the shapes do not fit; the message names the layer.
    """
    if not isinstance(layer, Layer):
        raise TypeError(
            f"layer must be a description such as conv(64, 3). Received: {arguments.shown(layer)}"
        )
    shape = shapes.check_shape(input_shape)
    return Summary(shape, tuple(_rows(layer, shape)), explain)


def _rows(layer: Layer, input_shape: shapes.Shape) -> Iterator[Row]:
    for step in layer.walk(input_shape):
        trainable, non_trainable = _counts(step.layer, step.input_shape)
        formula = step.layer.explain(step.input_shape)
        fields = step.receptive_field if formula else None
        yield Row(
            name="/".join(step.path) or step.layer.kind,
            kind=step.layer.kind,
            output_shape=step.output_shape,
            trainable=trainable,
            non_trainable=non_trainable,
            formula=formula,
            receptive_field=None if fields is None else tuple(field.size for field in fields),
            jump=None if fields is None else tuple(field.jump for field in fields),
        )


def _counts(layer: Layer, input_shape: shapes.Shape) -> tuple[int, int]:
    """Return the trainable and other values of a layer."""
    module = abstract_once(layer, input_shape)
    return _size(nnx.state(module, nnx.Param)), _size(nnx.state(module, nnx.Not(nnx.Param)))


def _size(state: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))


def _html_row(cells: tuple[str, ...]) -> str:
    sides = ("left", "left", "right", "right", "right")
    return "<tr>{}</tr>".format(
        "".join(
            f"<td style='text-align: {side}'>{html.escape(cell)}</td>"
            for side, cell in zip(sides, cells, strict=True)
        )
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row.name} ({row.kind})",
        _batched(row.output_shape),
        f"{row.parameters:,}",
        _sizes(row.receptive_field),
        _sizes(row.jump),
    )


def _sizes(sizes: PerAxis) -> str:
    """Return sizes as text: 8 for (8, 8), 8×5 for (8, 5)."""
    if sizes is None:
        return ""
    return str(sizes[0]) if len({*sizes}) == 1 else "×".join(map(str, sizes))


def _batched(shape: shapes.Shape) -> str:
    return f"({', '.join(map(str, (None, *shape)))})"

"""The table of a network: every layer's output shape and parameters, before anything runs."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx

from jaxcnn import shapes
from jaxcnn.layers import Layer


class Row(NamedTuple):
    """One layer of the table; shapes are without the batch."""

    name: str
    kind: str
    output_shape: shapes.Shape
    trainable: int
    non_trainable: int
    formula: str

    @property
    def parameters(self) -> int:
        """All parameters of the layer."""
        return self.trainable + self.non_trainable


class Summary(NamedTuple):
    """The rows of a network; ``print`` shows the table.

    Attributes:
      input_shape: The shape of one example.
      rows: One for each layer, in order.
      explained: Whether the table shows the formula below each convolution and pool.
    """

    input_shape: shapes.Shape
    rows: tuple[Row, ...]
    explained: bool = False

    @property
    def trainable(self) -> int:
        """Parameters that training changes."""
        return sum(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int:
        """Numbers that the model keeps but training does not change by gradients."""
        return sum(row.non_trainable for row in self.rows)

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.trainable + self.non_trainable

    def to_dict(self) -> dict[str, Any]:
        """Returns the table as plain dicts, lists and numbers, ready for JSON."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [
                row._asdict() | {"output_shape": list(row.output_shape)} for row in self.rows
            ],
            "parameters": self.parameters,
            "trainable": self.trainable,
            "non_trainable": self.non_trainable,
        }

    def __str__(self) -> str:
        """Returns the table as text."""
        header = ("Layer (type)", "Output shape", "Parameters")
        cells = [
            (f"{row.name} ({row.kind})", _batched(row.output_shape), f"{row.parameters:,}")
            for row in self.rows
        ]
        columns = list(zip(header, ("", _batched(self.input_shape), ""), *cells, strict=True))
        first, second, third = (max(map(len, column)) for column in columns)

        def line(left: str, middle: str, right: str) -> str:
            return f"{left:<{first}}  {middle:<{second}}  {right:>{third}}".rstrip()

        rule = "─" * (first + second + third + 4)
        lines = [line(*header), rule, line("input", _batched(self.input_shape), "")]
        for row, cell in zip(self.rows, cells, strict=True):
            lines.append(line(*cell))
            if self.explained and row.formula:
                lines.append(f"    {row.formula}")
        totals = {
            "Total parameters": self.parameters,
            "Trainable parameters": self.trainable,
            "Non-trainable parameters": self.non_trainable,
        }
        return "\n".join([*lines, rule, *(f"{name}: {n:,}" for name, n in totals.items())])


def summarize(layer: Layer, input_shape: Sequence[int], *, explain: bool = False) -> Summary:
    """Returns the table of a network; it allocates no array.

    >>> from jaxcnn.layers import conv, dense, flatten, max_pool, serial
    >>> net = serial(conv(8, 3), max_pool(2), flatten(), dense(10))
    >>> print(summarize(net, (28, 28, 1), explain=True))
    Layer (type)           Output shape       Parameters
    ────────────────────────────────────────────────────
    input                  (None, 28, 28, 1)
    conv_1 (conv)          (None, 26, 26, 8)          80
        n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26
    max_pool_1 (max_pool)  (None, 13, 13, 8)           0
        n_H = n_W = ⌊(26 − 2 + 2·0) / 2⌋ + 1 = 13
    flatten_1 (flatten)    (None, 1352)                0
    dense_1 (dense)        (None, 10)             13,530
    ────────────────────────────────────────────────────
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
        raise TypeError(f"layer must be a description such as conv(64, 3). Received: {layer!r}")
    shape = shapes.check_shape(input_shape)
    rows = []
    for step in layer.walk(shape):
        module = step.layer.build(step.input_shape, rngs=None)
        trainable, rest = nnx.state(module, nnx.Param), nnx.state(module, nnx.Not(nnx.Param))
        rows.append(
            Row(
                name="/".join(step.path) or step.layer.kind,
                kind=step.layer.kind,
                output_shape=step.output_shape,
                trainable=_size(trainable),
                non_trainable=_size(rest),
                formula=step.layer.explain(step.input_shape),
            )
        )
    return Summary(shape, tuple(rows), explain)


def _size(state: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))


def _batched(shape: shapes.Shape) -> str:
    return f"({', '.join(map(str, (None, *shape)))})"

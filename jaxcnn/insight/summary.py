"""The table of a network: sizes, parameters, multiply-adds and memory of every layer."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxcnn import shapes
from jaxcnn.insight.summary_rows import PerAxis, Row, fold
from jaxcnn.insight.tables import Column, Line, Table, size_text


@dataclass(frozen=True)
class Summary:
    """The table of a network; ``print`` shows it, a notebook as HTML.

    Attributes:
      input_shape: The shape of one example.
      rows: One row per layer, in order.
      explained: Whether the table shows the formulas below each row.
      depth: Number of names of a path that are shown; what is inside is one row. ``None`` shows
        every layer.
    """

    input_shape: shapes.Shape
    rows: tuple[Row, ...]
    explained: bool = False
    depth: int | None = None

    @property
    def trainable(self) -> int:
        """Number of parameters that training changes."""
        return self._sum("trainable")

    @property
    def non_trainable(self) -> int:
        """Number of values of the model that gradients do not change."""
        return self._sum("non_trainable")

    @property
    def parameters(self) -> int:
        """Number of all parameters."""
        return self.trainable + self.non_trainable

    @property
    def multiply_adds(self) -> int:
        """Number of multiply-adds of one example."""
        return self._sum("multiply_adds")

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all parameters and other values."""
        return self._sum("parameter_bytes")

    @property
    def forward_bytes(self) -> int:
        """Bytes of the outputs that one example needs at one time at inference, at the most.

        An output lives from its layer to the last layer that reads it.
        """
        last_use = {name: at for at, row in enumerate(self.rows) for name in row.inputs}
        live: dict[str, int] = {}
        most = 0
        for at, row in enumerate(self.rows):
            live[row.name] = row.output_bytes
            most = max(most, sum(live.values()))
            for name in row.inputs:
                if last_use[name] == at:
                    live.pop(name, None)
        return most

    @property
    def training_bytes(self) -> int:
        """Bytes of the outputs that one example keeps until the backward pass of training."""
        return self._sum("saved_bytes")

    def shown_rows(self) -> tuple[Row, ...]:
        """Return the rows of the table, with the blocks below ``depth`` folded into one each."""
        return fold(self.rows, self.depth)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain dicts, lists and numbers, which JSON can hold."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [
                {
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in dataclasses.asdict(row).items()
                }
                for row in self.shown_rows()
            ],
            **{name: getattr(self, name) for name in _TOTALS},
        }

    def to_json(self) -> str:
        """Return the table as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Return the table in Markdown, for a README or an issue."""
        return self.to_table().markdown()

    def to_html(self) -> str:
        """Return the table as HTML, without styles of its own but the sides of numbers."""
        return self.to_table().html()

    def __str__(self) -> str:
        """Return the table as text."""
        return self.to_table().plain()

    def __rich__(self) -> Any:
        """Return the table as rich prints it, in color and as wide as the terminal."""
        return self.to_table()

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return self.to_html()

    def to_table(self) -> Table:
        """Return the table as texts."""
        rows = self.shown_rows()
        columns = dict(_COLUMNS)
        if any(row.time_share is not None for row in rows):
            columns[Column("Time")] = _time
        first = ("input", _batched(self.input_shape), *[""] * (len(columns) - 2))
        lines = [Line(first)]
        for row in rows:
            notes = _formulas(row) if self.explained else ()
            lines.append(Line(tuple(cell(row) for cell in columns.values()), notes))
        return Table(tuple(columns), tuple(lines), self._totals())

    def _totals(self) -> tuple[str, ...]:
        lines = {
            "Total parameters": f"{self.parameters:,} ({size_text(self.parameter_bytes)})",
            "Trainable parameters": f"{self.trainable:,}",
            "Non-trainable parameters": f"{self.non_trainable:,}",
            "Multiply-adds": f"{self.multiply_adds:,}",
            "Activations": f"{size_text(self.forward_bytes)} at inference, "
            f"{size_text(self.training_bytes)} in training, for each example",
        }
        dtypes = list(dict.fromkeys(row.dtype for row in self.rows))
        if dtypes != ["float32"]:
            lines["Outputs"] = ", ".join(dtypes)
        return tuple(f"{name}: {value}" for name, value in lines.items())

    def _sum(self, name: str) -> int:
        return sum(getattr(row, name) for row in self.rows)


_TOTALS = (
    "parameters",
    "trainable",
    "non_trainable",
    "multiply_adds",
    "parameter_bytes",
    "forward_bytes",
    "training_bytes",
)


def _parameters(row: Row) -> str:
    return f"as {row.shared_with}" if row.shared_with else f"{row.parameters:,}"


def _unless_zero(text: str) -> str:
    return "" if text in ("0", "0 B") else text


def _time(row: Row) -> str:
    return "" if row.time_share is None else f"{row.time_share:.1%}"


def _formulas(row: Row) -> tuple[str, ...]:
    parameters = f"parameters = {row.parameter_formula}" if row.parameter_formula else ""
    return tuple(formula for formula in (row.formula, parameters) if formula)


def _sizes(sizes: PerAxis) -> str:
    """Return sizes as text: 8 for (8, 8), 8×5 for (8, 5)."""
    if sizes is None:
        return ""
    return str(sizes[0]) if len({*sizes}) == 1 else "×".join(map(str, sizes))


def _batched(shape: shapes.Shape) -> str:
    return f"({', '.join(map(str, (None, *shape)))})"


# Each column with the text of a row in it; narrow terminals show the first ones.
_COLUMNS: dict[Column, Callable[[Row], str]] = {
    Column("Layer (type)", is_number=False): lambda row: f"{row.name} ({row.kind})",
    Column("Output shape", is_number=False): lambda row: _batched(row.output_shape),
    Column("Parameters"): _parameters,
    Column("Multiply-adds", least_width=90): lambda row: _unless_zero(f"{row.multiply_adds:,}"),
    Column("Output memory", least_width=130): lambda row: size_text(row.output_bytes),
    Column("Kept in training", least_width=130): lambda row: _unless_zero(
        size_text(row.saved_bytes)
    ),
    Column("Receptive field", least_width=105): lambda row: _sizes(row.receptive_field),
    Column("Jump", least_width=105): lambda row: _sizes(row.jump),
}

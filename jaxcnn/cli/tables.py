"""Tables of text, and values in them."""

from collections.abc import Mapping, Sequence
from typing import Any


def print_table(rows: Sequence[tuple[str, ...]], *, numbers: Sequence[int] = ()) -> None:
    """Print rows of cells in aligned columns, those of `numbers` at their right edge."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if column in numbers else "<" for column in range(len(widths))]
    for row in rows:
        cells = zip(row, sides, widths, strict=True)
        print("  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip())


def flatten_tables(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their dotted names."""
    options: dict[str, Any] = {}
    for name, value in tables.items():
        if isinstance(value, Mapping):
            options |= flatten_tables(value, f"{prefix}{name}.")
        else:
            options[prefix + name] = value
    return options


def format_value(value: Any) -> str:
    """Return a value as it stands in a table: numbers with 6 digits, a dash for ``None``."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

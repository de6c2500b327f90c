"""Tables as plain text, Markdown, HTML, and for rich."""

import html
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      title: Its title.
      is_number: Whether its cells are aligned at their right edge.
      least_width: Number of characters from which a terminal shows it.
    """

    title: str
    is_number: bool = True
    least_width: int = 0

    @property
    def side(self) -> str:
        """The edge at which cells are aligned, ``"left"`` or ``"right"``."""
        return "right" if self.is_number else "left"


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
      cells: One text per column.
      notes: Texts that stand below the line.
    """

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
      columns: The columns.
      lines: The lines in order.
      totals: Texts that stand below the table.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    totals: tuple[str, ...] = ()

    def plain(self) -> str:
        """Return the table as text in aligned columns."""
        header = tuple(column.title for column in self.columns)
        texts = [header, *(line.cells for line in self.lines)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]

        def aligned(cells: tuple[str, ...]) -> str:
            parts = [
                f"{cell:{'>' if column.is_number else '<'}{width}}"
                for cell, column, width in zip(cells, self.columns, widths, strict=True)
            ]
            return "  ".join(parts).rstrip()

        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        rows = []
        for line in self.lines:
            rows += [aligned(line.cells), *(f"    {note}" for note in line.notes)]
        below = [rule, *self.totals] if self.totals else []
        return "\n".join([aligned(header), rule, *rows, *below])

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [
            _markdown_line(column.title for column in self.columns),
            _markdown_line("---:" if column.is_number else ":---" for column in self.columns),
        ]
        for line in self.lines:
            first, *others = map(_escaped, line.cells)
            notes = "".join(f"<br>*{_escaped(note)}*" for note in line.notes)
            lines.append(_markdown_line([first + notes, *others]))
        below = ["", *(f"- {_escaped(total)}" for total in self.totals)] if self.totals else []
        return "\n".join([*lines, *below]) + "\n"

    def html(self) -> str:
        """Return the table as HTML; a wide one scrolls within its box."""
        head = "".join(_html_cell("th", column.title, column.side) for column in self.columns)
        rows = []
        for line in self.lines:
            cells = zip(line.cells, self.columns, strict=True)
            rows.append("".join(_html_cell("td", cell, column.side) for cell, column in cells))
            for note in line.notes:
                attributes = f"colspan='{len(self.columns)}' style='text-align: left'"
                rows.append(f"<td {attributes}><i>{html.escape(note)}</i></td>")
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        below = f"<p>{'<br>'.join(map(html.escape, self.totals))}</p>" if self.totals else ""
        return (
            f"<div style='overflow-x: auto'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>{below}"
        )

    def __rich_console__(self, console: Any, options: Any) -> Any:
        """Yield the table as rich prints it, with the columns for which the terminal has room."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        shown = [n for n, c in enumerate(self.columns) if c.least_width <= options.max_width]
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for number in shown:
            column = self.columns[number]
            justify: Any = column.side
            style = None if number else "cyan"
            table.add_column(column.title, justify=justify, style=style, overflow="fold")
        for line in self.lines:
            first, *others = [Text(line.cells[number]) for number in shown]
            for note in line.notes:
                first.append(f"\n  {note}", style="dim")
            table.add_row(first, *others)
        yield table
        yield Text("\n".join(self.totals))


def size_text(size: int) -> str:
    """Return bytes as text with three digits.

    >>> size_text(320), size_text(173_056), size_text(102_228_128)
    ('320 B', '169 KiB', '97.5 MiB')
    """
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1000 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.3g} {units[0]}"


def _markdown_line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _html_cell(tag: str, text: str, side: str) -> str:
    return f"<{tag} style='text-align: {side}'>{html.escape(text)}</{tag}>"

r"""TOML text: its values, the line of each, and their names and forms in errors.

``tomllib`` does not tell the line of a value. It is found by reading the text up to the end of one
statement or another, and only when there is an error to report.

>>> load("seed = 1\nseed = 2")
Traceback (most recent call last):
ValueError: line 2, column 9: This option is given a second time. Received: seed = 2
>>> line_of(("optimizer", "name"), "[optimizer]\nname = 'adam'")
2
"""

import bisect
import contextlib
import json
import re
import tomllib
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str | int, ...]  # keys and indices that lead to a value

# Messages of tomllib, with the usual mistake behind each.
_SLIPS = {
    "Invalid value": "Invalid value: a string needs quotes, and a truth value is true or false",
    "Cannot overwrite a value": "This option is given a second time",
}


def load(text: str) -> dict[str, Any]:
    """Return the values of TOML text: dicts, lists, strings, numbers, booleans and dates.

    Args:
      text: TOML 1.0.

    Raises:
      ValueError: it is not; the message is one line and begins with the line in the text.
    """
    lines = _lines(text)
    try:
        return _read(lines)
    except ValueError as error:
        message = str(error)
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message)
    if found:
        message, number, column = found[1], int(found[2]), f", column {found[3]}"
    else:
        number, column = _ends(lines)[-1] + 1, ""
    if message.endswith("(at end of document)"):
        message = "A bracket or a quote is not closed"
    received = short(lines[number - 1].strip())
    raise ValueError(f"line {number}{column}: {_SLIPS.get(message, message)}. Received: {received}")


def line_of(place: Place, text: str) -> int:
    """Return the line number of the statement that first sets a value.

    Args:
      place: Place of the value. If it is not in the text, the line is that of its table.
      text: TOML without errors.

    Returns:
      It from 1 on, or 0 where not even a table around the place is in the text.
    """
    lines = _lines(text)
    ends = _ends(lines)

    def has_place(end: int) -> bool:
        value: Any = _read(lines[:end])
        for key in place:
            try:
                value = value[key]
            except (IndexError, KeyError, TypeError):
                return False
        return True

    while place:
        index = bisect.bisect_left(ends, True, key=has_place)
        if index < len(ends):
            return ends[index - 1] + 1
        place = place[:-1]
    return 0


def dotted(place: Place) -> str:
    """Return the name of a place as TOML writes it, with indices in brackets.

    >>> dotted(("layers", 1, "name")), dotted(("options", "a b"))
    ('layers[1].name', 'options."a b"')
    """
    name = ""
    for key in place:
        if isinstance(key, int):
            name += f"[{key}]"
        else:
            is_bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            name += ("." if name else "") + (key if is_bare else shown(key))
    return name


def shown(value: Any) -> str:
    """Return a value as TOML writes it, or nearly, on one short line.

    >>> shown("adam"), shown([True, 0.5])
    ('"adam"', '[true, 0.5]')
    """
    if not isinstance(value, str | int | list | dict):  # JSON has no date, and no infinity
        return str(value)
    return short(json.dumps(value, ensure_ascii=False, default=str))


def short(text: str) -> str:
    """Return the beginning of a text, on one line."""
    text = printable(text)
    return text if len(text) <= 80 else f"{text[:79]}…"


def printable(text: str) -> str:
    """Return a text with escapes for what would break the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").split("\n")  # the byte order mark, which Notepad writes


def _read(lines: list[str]) -> dict[str, Any]:
    try:
        # Without an end of the last line, an error in it has no line number.
        return tomllib.loads("".join(f"{line}\n" for line in lines))
    except RecursionError:
        raise ValueError("Tables or arrays are nested too deeply") from None


def _ends(lines: list[str]) -> list[int]:
    """Return the numbers of lines after which a statement is complete, from 0 on.

    A statement can be read alone; its first lines cannot, for a bracket or a quote is still open.
    """
    ends = [0]
    for end in range(1, len(lines) + 1):
        with contextlib.suppress(ValueError):
            _read(lines[ends[-1] : end])
            ends.append(end)
    return ends

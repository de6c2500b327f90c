"""A recipe as TOML with every option in it, each under a comment that says what it is.

The texts are those of the dataclasses' docstrings, so that they are written once.
"""

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from jaxcnn.recipes.toml_text import Place, dotted, shown

_HEADER = (
    "Every option. One whose line is commented out is left out, which its text calls None: remove "
    "the # and give a value to set it."
)


def dump_commented(value: object) -> str:
    """Return TOML text with every field of a dataclass under its description.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Optimizer:
    ...     '''The optimizer.
    ...
    ...     Attributes:
    ...       rate: Learning rate,
    ...         above 0.
    ...       decay: Weight decay; ``None`` means none.
    ...     '''
    ...     rate: float = 0.1
    ...     decay: float | None = None
    >>> print(dump_commented(Optimizer()).partition("to set it.")[2].strip())
    # Learning rate, above 0.
    rate = 0.1
    # Weight decay; None means none.
    # decay =

    Args:
      value: A dataclass as :func:`jaxcnn.recipes.toml_options.parse` returns it.
    """
    return "\n".join([_comment(_HEADER), *_lines(value, ())]) + "\n"


def descriptions(kind: type) -> dict[str, str]:
    """Return what the docstrings of a dataclass and its bases say of each field."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        text = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        for name, words in re.findall(r"^  (\w+): (.*(?:\n {4}.*)*)", text, re.MULTILINE):
            found[name] = _plain(words)
    return found


def _lines(value: Any, place: Place) -> Iterator[str]:
    """Yield the lines of a table: its own options before the tables in it."""
    texts, hints = descriptions(type(value)), typing.get_type_hints(type(value))
    tables = []
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        if dataclasses.is_dataclass(own):
            tables.append((own, (*place, field.name), texts[field.name]))
            continue
        yield _comment(texts[field.name] + _choices(hints[field.name], texts[field.name]))
        yield f"# {field.name} =" if own is None else f"{field.name} = {_written(own)}"
    for table, inner, text in tables:
        yield ""
        yield _comment(text)
        yield f"[{dotted(inner)}]"
        yield from _lines(table, inner)


def _choices(hint: Any, text: str) -> str:
    """Return the values of a choice that a text does not name, as another sentence."""
    kinds = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal]
    words = [shown(word) for kind in kinds for word in get_args(kind)]
    named = all(word in text for word in words)
    return "" if named else f" One of {', '.join(words)}."


def _written(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    import tomlkit  # 5 ms, and only to write

    if isinstance(value, dict):
        pairs = (f"{dotted((key,))} = {_written(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    written: str = tomlkit.item(value).as_string()
    return written


def _comment(text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _plain(text: str) -> str:
    """Return the text of a docstring without its marks, on one line."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"\1", text)
    return " ".join(re.sub(r"`+([^`]+)`+", r"\1", text).split())

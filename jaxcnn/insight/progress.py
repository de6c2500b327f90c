"""A progress bar around a loop that takes more than a moment."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


def track(items: Sequence[_T], description: str, *, shown: bool = True) -> Iterator[_T]:
    """Yield the items, with a bar in a terminal or a notebook that vanishes at the end.

    Args:
      items: The items.
      description: A few words on what is done with them.
      shown: Whether there is a bar at all.
    """
    from rich.progress import track as bar

    options = where_shown()
    options["disable"] |= not shown
    yield from bar(items, f"{description} …", transient=True, **options)


def where_shown() -> dict[str, Any]:
    """Return the options of rich that show a bar only in a terminal or a notebook."""
    from rich.console import Console

    console = Console(stderr=True)
    return {"console": console, "disable": not (console.is_terminal or console.is_jupyter)}

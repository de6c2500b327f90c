"""A progress bar around a loop that takes more than a moment."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def track(items: Sequence[_T], description: str, *, shown: bool = True) -> Iterator[_T]:
    """Yield the items, with a bar in a terminal or a notebook that vanishes at the end.

    Args:
      items: The items.
      description: A few words on what is done with them.
      shown: Whether there is a bar at all.
    """
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    shown = shown and (console.is_terminal or console.is_jupyter)
    yield from bar(items, f"{description} …", console=console, transient=True, disable=not shown)

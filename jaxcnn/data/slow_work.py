"""A bar for work of the host that may take long: decoding, reading the headers of files."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

# Work that ends earlier shows nothing.
_PATIENCE = 2.0


def show_progress(
    work: str, items: Iterable[T], total: int, *, done: Callable[[T], int] | None = None
) -> Iterator[T]:
    """Yield items; after two seconds show on a terminal's standard error how many, and time left.

    Args:
      work: What is done, such as ``"decoding pets"``.
      items: The steps of the work.
      total: Units of the whole work.
      done: Maps an item to the units that are done after it; ``None`` means its number.
    """
    began, bar, task = time.monotonic(), None, None
    try:
        for number, item in enumerate(items, 1):
            yield item
            if bar is None and time.monotonic() - began > _PATIENCE and sys.stderr.isatty():
                bar = _bar()
                task = bar.add_task(work, total=total)
                bar.start()
            if bar is not None:
                bar.update(task, completed=number if done is None else done(item))
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    from rich.console import Console  # not with `import jaxcnn`
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )

"""Progress of a preparation: bars in a terminal, plain lines elsewhere."""

import sys
from types import TracebackType
from typing import Any

from jaxcnn.runtime import printable


class Display:
    """Progress bars, one per task."""

    def __init__(self, *, enabled: bool) -> None:
        """Create the bars; silent unless `enabled`."""
        # Imported here to keep `import jaxcnn` light.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        # Bound now, because sys.stdout is redirected while TensorFlow Datasets writes.
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._enabled = enabled
        self._live = enabled and self._console.is_terminal
        self._bars = Progress(
            "{task.description}",
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Display":
        """Start the bars."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the bars."""
        self._bars.stop()

    def report(self, work: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of a task are done."""
        if work not in self._tasks:
            self._tasks[work] = self._bars.add_task(work, total=total)
            if not self._live:
                self.line(work)
        self._bars.update(self._tasks[work], completed=done)

    def line(self, text: str) -> None:
        """Print a permanent line."""
        if self._enabled:
            self._console.print(printable(text), markup=False)

"""What a person sees while a data set is prepared: bars in a terminal, plain lines elsewhere."""

import sys
from types import TracebackType
from typing import Any


class Display:
    """Shows each piece of work and how much of it is done."""

    def __init__(self, *, enabled: bool) -> None:
        """Prepares to show the work; silent unless ``enabled``."""
        # Imported here, because `import jaxcnn` should not pay for it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        # The file is fixed, for sys.stdout is another one while TensorFlow Datasets works.
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
        """Starts the bars."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the bars."""
        self._bars.stop()

    def report(self, work: str, done: int, total: int) -> None:
        """Tells that ``done`` of ``total`` of a piece of work is done."""
        if work not in self._tasks:
            self._tasks[work] = self._bars.add_task(work, total=total)
            if not self._live:
                self.line(work)
        self._bars.update(self._tasks[work], completed=done)

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        if self._enabled:
            self._console.print(text, markup=False)

"""What a person sees while training: a live bar in a terminal, plain lines elsewhere."""

import time
from types import TracebackType

from jaxcnn.training.step import Metrics

# Metrics travel to the host only when they are shown: a few times a second, not every step.
_SECONDS_BETWEEN_UPDATES = 0.25
_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows epoch, step, images/s, loss, accuracy and the time left of a run."""

    def __init__(self, *, epochs: int, steps_per_epoch: int, enabled: bool) -> None:
        """Prepares to show ``epochs`` of ``steps_per_epoch`` steps; silent unless ``enabled``."""
        # Imported here, because `import jaxcnn` should not pay for it.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = Console(highlight=False, soft_wrap=True)
        self._epochs, self._steps = epochs, steps_per_epoch
        self._enabled = enabled
        self._live = enabled and self._console.is_terminal
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[measured]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("epoch 1", total=epochs * steps_per_epoch, measured="")
        self._updated, self._images = time.monotonic(), 0

    def __enter__(self) -> "Progress":
        """Starts the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the bar."""
        self._bar.stop()

    def step(self, epoch: int, step: int, images: int, metrics: Metrics) -> None:
        """Tells of one training step; ``epoch`` and ``step`` count from 0."""
        self._images += images
        seconds = time.monotonic() - self._updated
        interval = _SECONDS_BETWEEN_UPDATES if self._live else _SECONDS_BETWEEN_LINES
        if not self._enabled or seconds < interval:
            return
        rate = self._images / seconds
        self._updated, self._images = time.monotonic(), 0
        measured = f"{rate:,.0f} images/s  loss {metrics.loss:.4f}  accuracy {metrics.accuracy:.1%}"
        label = f"epoch {epoch + 1}/{self._epochs}"
        done = epoch * self._steps + step + 1
        if self._live:
            self._bar.update(self._task, completed=done, description=label, measured=measured)
        else:
            left = (self._epochs * self._steps - done) * images / rate
            self._console.print(
                f"{label}  step {step + 1}/{self._steps}  {measured}  {left:.0f} s left"
            )

    def line(self, text: str) -> None:
        """Prints a line that stays, above the bar."""
        if self._enabled:
            self._bar.console.print(text)

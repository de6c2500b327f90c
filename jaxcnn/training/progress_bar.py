"""The display of a training: a live bar in a terminal, one output of a notebook, or lines."""

import html
import math
import time

from jaxcnn.runtime import printable
from jaxcnn.training.events import Ended, EpochEnded, Event, Started, Stepped
from jaxcnn.training.history import Epoch

# A few times a second, not every step.
_SECONDS_BETWEEN_UPDATES = 0.25
_SECONDS_BETWEEN_LINES = 10.0
# A line tells how long the steps of an epoch waited for images from so much on.
_WAITED_SECONDS, _WAITED_SHARE = 1.0, 0.1


class Progress:
    """A callback that shows epoch, step, images/s, loss, accuracy and the time left."""

    def __init__(self) -> None:
        """Prepare the display; nothing is printed before the training starts."""
        # Imported here, because `import jaxcnn` should not pay for it.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._run: Started
        self._console = Console(highlight=False, soft_wrap=True)
        self._notebook = _NotebookOutput() if self._console.is_jupyter else None
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[measured]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Stepped():
                self._step(event)
            case EpochEnded():
                line = _line(event.history[-1], self._run.epochs)
                if self._notebook is None:
                    self._bar.console.print(printable(line))
                else:
                    self._notebook.add(line)
            case Started():
                self._run, self._steps_shown = event, event.step
                self._updated = time.monotonic()
                total = event.epochs * event.steps_per_epoch
                self._task = self._bar.add_task(
                    "", total=total, completed=event.step, measured="starting"
                )
                self._bar.start()
            case Ended():
                self._bar.stop()
                if self._notebook is not None:
                    self._notebook.show()

    def _step(self, event: Stepped) -> None:
        live = self._console.is_terminal or self._notebook is not None
        seconds = time.monotonic() - self._updated
        if seconds < (_SECONDS_BETWEEN_UPDATES if live else _SECONDS_BETWEEN_LINES):
            return
        run, metrics = self._run, event.metrics
        rate = (event.step - self._steps_shown) * run.batch_size / seconds
        self._updated, self._steps_shown = time.monotonic(), event.step
        examples = max(float(metrics.examples), 1)
        measured = f"{rate:,.0f} images/s  loss {float(metrics.loss_sum) / examples:.4f}"
        if not math.isnan(metrics.correct):
            measured += f"  accuracy {float(metrics.correct) / examples:.1%}"
        epoch, step = divmod(event.step - 1, run.steps_per_epoch)
        label = f"epoch {epoch + 1}/{run.epochs}"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=event.step, description=label, measured=measured)
            return
        left = (run.epochs * run.steps_per_epoch - event.step) * run.batch_size / rate
        line = f"{label}  step {step + 1}/{run.steps_per_epoch}  {measured}  {left:.0f} s left"
        if self._notebook is None:
            self._console.print(printable(line))
        else:
            self._notebook.show(line)


class _NotebookOutput:
    """One output of a notebook's cell: a line for each epoch, and one that is written anew."""

    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        self._lines: list[str] = []
        self._handle = DisplayHandle()
        self._displayed = False

    def add(self, line: str) -> None:
        """Show a line that stays."""
        self._lines.append(line)
        self.show()

    def show(self, line: str = "") -> None:
        """Show the lines that stay, and one below them."""
        from IPython.display import HTML

        text = html.escape("\n".join([*self._lines, line]))
        display = self._handle.update if self._displayed else self._handle.display
        display(HTML(f"<pre style='line-height: 1.2'>{text}</pre>"))
        self._displayed = True


def _line(row: Epoch, epochs: int) -> str:
    text = f"epoch {row.epoch}/{epochs}  {row.images_per_second:,.0f} images/s"
    for name, loss, accuracy in (
        ("", row.loss, row.accuracy),
        ("validation ", row.validation_loss, row.validation_accuracy),
        ("EMA ", row.ema_loss, row.ema_accuracy),
    ):
        if loss is not None and accuracy is not None:
            text += f"  {name}loss {loss:.4f}"
            text += "" if math.isnan(accuracy) else f"  accuracy {accuracy:.2%}"
    for name, value in row.metrics.items():
        text += f"  {name} {value:.4f}" if isinstance(value, float) else ""
    waited = row.input_seconds or 0.0
    if waited > max(_WAITED_SECONDS, _WAITED_SHARE * row.seconds):
        text += f"  waited {waited:,.1f} of {row.seconds:,.1f} s for images"
    return text + (f"  {row.skipped} updates skipped" if row.skipped else "")

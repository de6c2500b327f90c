"""Callbacks that write the history of a training: to a CSV file, to TensorBoard."""

import math
import time
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.training.events import Callback, Ended, EpochEnded, Event, Started, Stepped
from jaxcnn.training.history import Epoch
from jaxcnn.training.history_file import write_history


def history_csv(path: str | Path) -> Callback:
    """Return a callback that writes the history to a CSV file, one row per epoch.

    The file is rewritten after each epoch and replaced as a whole, so that a resumed run has each
    epoch once.

    Args:
      path: The file, in an existing folder.
    """

    def write(event: Event) -> None:
        if isinstance(event, Started | EpochEnded):
            write_history(Path(path), event.history)

    return write


def tensorboard(folder: str | Path, *, every: int = 50) -> Callback:
    """Return a callback that writes event files for TensorBoard (extra ``tensorboard``).

    They hold the history, with training and validation in one chart, and the loss of single
    steps. When a run is resumed, events after its checkpoint are discarded.

    Args:
      folder: Folder of the event files; it is created if needed.
      every: Number of steps between two losses that are written, at least 1.

    Raises:
      ImportError: tensorboardX is not installed.
      TypeError: `every` is not an integer.
      ValueError: `every` is below 1.
    """
    every = arguments.check_integer("every", every, minimum=1)
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard needs the package tensorboardX: pip install 'jaxcnn[tensorboard]'"
        ) from error
    writer: Any = None
    steps_per_epoch = 0

    def write(event: Event) -> None:
        nonlocal writer, steps_per_epoch
        match event:
            case Stepped(step, metrics) if step % every == 0:
                loss = float(metrics.loss_sum) / max(float(metrics.examples), 1)
                writer.add_scalar("loss/step", loss, step)
            case EpochEnded(_, (*_, row)):
                for tag, value in _tags(row):
                    writer.add_scalar(tag, value, row.epoch * steps_per_epoch)
                writer.flush()
            case Started():
                steps_per_epoch = event.steps_per_epoch
                # Event files are named by the second; two of the same second would overwrite each
                # other.
                writer = SummaryWriter(
                    str(folder), purge_step=event.step + 1, filename_suffix=f".{time.time_ns()}"
                )
            case Ended():
                writer.close()

    return write


def _tags(row: Epoch) -> list[tuple[str, float]]:
    """Return the quantities of an epoch under the names by which TensorBoard groups charts."""
    numbers = row.numbers()
    del numbers["epoch"]
    tags = []
    for name, value in numbers.items():
        kind, _, quantity = name.rpartition("_")
        if quantity not in ("loss", "accuracy"):
            kind, quantity = name, "metrics" if name in row.metrics else "training"
        if not math.isnan(value):
            tags.append((f"{quantity}/{kind or 'training'}", value))
    return tags

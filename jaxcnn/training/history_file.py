"""``history.csv``: the history of a run as a file, one row per epoch."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcnn.interchange.model_file import write_whole
from jaxcnn.training.history import Epoch
from jaxcnn.training.run_folder import HISTORY

_FIELDS = [name for name in Epoch.names() if name != "metrics"]


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the rows with their scalar metrics; the file is replaced as a whole."""
    rows = [row.to_dict() | row.numbers() for row in history]
    metrics = dict.fromkeys(name for row in history for name in row.numbers())
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dict.fromkeys([*_FIELDS, *metrics]), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def read_history(folder: str | Path) -> tuple[Epoch, ...]:
    """Return the completed epochs of a run, with their scalar metrics.

    Raises:
      ValueError: there is no ``history.csv``, or it is damaged.
    """
    path = Path(folder) / HISTORY
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(_read_epoch(row) for row in csv.DictReader(file))
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error


def _read_epoch(row: dict[str, str]) -> Epoch:
    integers = ("epoch", "skipped")
    numbers: dict[str, Any] = {
        name: int(text) if name in integers else float(text) for name, text in row.items() if text
    }
    fields = {name: numbers.pop(name) for name in Epoch.names() if name in numbers}
    return Epoch(**fields, metrics=numbers)

"""What the tables of runs show of each run."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcnn import recipes
from jaxcnn.cli.tables import flatten_tables
from jaxcnn.training import run_folder
from jaxcnn.training.history import Epoch
from jaxcnn.training.history_file import read_history


def result_of(folder: Path, history: tuple[Epoch, ...]) -> dict[str, float]:
    """Return the row of the epoch whose weights were kept, with the seconds of all epochs."""
    kept = len(history)
    if run_folder.is_finished(folder):
        kept = run_folder.read_run(folder).epoch or kept
    if not 0 < kept <= len(history):
        return {}
    return history[kept - 1].numbers() | {"seconds": sum(row.seconds for row in history)}


def options_of(folder: Path) -> dict[str, object]:
    """Return the options of a run's recipe by their dotted names; none of a run without recipe."""
    if not (folder / run_folder.RECIPE).is_file() and run_folder.is_finished(folder):
        return {}
    return flatten_tables(dataclasses.asdict(recipes.recipe_of_run(folder)))


def row_of(folder: Path) -> tuple[str, ...]:
    """Return a run's row of the table; of a damaged run, an error message."""
    try:
        return (folder.name, *_cells(folder))
    except Exception as error:  # whatever one run holds, the others are listed
        return (folder.name, *[""] * 6, " ".join(str(error).split()) or type(error).__name__)


def _cells(folder: Path) -> tuple[str, ...]:
    has_history = (folder / run_folder.HISTORY).is_file()
    history = read_history(folder) if has_history else ()
    seconds = f"{sum(row.seconds for row in history):.0f}"
    loss = history[-1].validation_loss if history else None
    accuracy = history[-1].validation_accuracy if history else None
    metrics = dict(history[-1].metrics) if history else {}
    start, note = ("", "", str(len(history))), "has not ended"
    if (folder / run_folder.RECIPE).is_file():
        recipe = recipes.recipe_of_run(folder)
        epochs = f"{len(history)}/{recipe.training.epochs}"
        start = (recipe.model.name, _short_path(recipe.data.source), epochs)
    if run_folder.is_finished(folder):
        run = run_folder.read_run(folder)
        note = "" if run.model else "made with fit"
        if run.model:
            loss = run.metrics.get("loss", math.nan)
            accuracy = run.metrics.get("accuracy", math.nan)
            metrics = run.metrics.get("metrics") or {}
        elif run.epoch is not None and run.epoch <= len(history):
            kept = history[run.epoch - 1]
            loss, accuracy = kept.validation_loss, kept.validation_accuracy
            metrics = dict(kept.metrics)
    measured = "" if loss is None else f"{loss:.4f}", _result(accuracy, metrics)
    return (*start, *measured, seconds, note)


def _result(accuracy: float | None, metrics: Mapping[str, Any]) -> str:
    """Return the accuracy; of a task that has none, the first further metric with its name."""
    if accuracy is None:
        return ""
    if not math.isnan(accuracy):
        return f"{accuracy:.2%}"
    scalars = [(name, value) for name, value in metrics.items() if isinstance(value, float)]
    return f"{scalars[0][0]} {scalars[0][1]:.4g}" if scalars else ""


def _short_path(source: str) -> str:
    """Return a path within the current folder relative to it."""
    path = Path(source)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else source

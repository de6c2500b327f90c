"""What ``jaxcnn evaluate --out`` writes: pictures, and tables of the classes and the mistakes."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from flax import nnx

from jaxcnn.data import Dataset
from jaxcnn.data.labels import LabelKind
from jaxcnn.insight import Errors
from jaxcnn.recipes.held_out_results import PICTURES, HeldOutResults

# The rows of each table, the header first.
Tables: TypeAlias = dict[str, list[tuple[object, ...]]]


def write_mistakes(
    folder: Path, model: nnx.Module, data: Dataset, name_of: Callable[[int], str]
) -> None:
    """Write tables and pictures of the predictions for a data set into a folder.

    They are ``classes.csv`` and ``mistakes.csv`` of a classifier and a detector, ``classes.csv`` of
    a segmentation and of several classes per image, and ``predictions.csv`` of numbers.

    Args:
      folder: The folder; it is created, and files of these names in it are replaced.
      model: The trained model.
      data: The held-out images.
      name_of: Return the file name of an image by its row.

    Raises:
      OSError: the folder cannot be written to.
      ValueError: probabilities are not finite.
    """
    results = HeldOutResults(model, data)
    tables = _TABLES[data.kind](results, name_of)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (header, *rows) in tables.items():
        _write(folder / f"{name}.csv", header, rows)
    for name, draw in PICTURES[data.kind].items():
        if name != "worst_mistakes":  # the table tells more of them
            draw(results).savefig(folder / f"{name}.png", dpi=120)


def _tables_of_classes(results: HeldOutResults, name_of: Callable[[int], str]) -> Tables:
    errors, names = results.errors, results.data.class_names
    header = ("class", "images", "correct", "recall", "precision", "f1", "most often taken for")
    named = ("file", "class", "predicted", "probability", "probability of the class")
    mistakes = [
        (
            name_of(mistake.row),
            names[mistake.label],
            names[mistake.predicted],
            f"{mistake.probability:.4f}",
            f"{mistake.label_probability:.4f}",
        )
        for mistake in errors.mistakes
    ]
    return {"classes": [header, *_rows_of_classes(errors)], "mistakes": [named, *mistakes]}


def _tables_of_labels(results: HeldOutResults, name_of: Callable[[int], str]) -> Tables:
    del name_of
    rows = zip(results.data.class_names, *results.label_counts, strict=True)
    return {"classes": [("class", "images", "predicted", "correct"), *rows]}


def _tables_of_positions(results: HeldOutResults, name_of: Callable[[int], str]) -> Tables:
    del name_of
    rows = zip(results.data.class_names, map(_share, results.iou), strict=True)
    return {"classes": [("class", "iou"), *rows]}


def _tables_of_boxes(results: HeldOutResults, name_of: Callable[[int], str]) -> Tables:
    names, scores = results.data.class_names, results.detection_scores
    classes = zip(
        names, map(_share, scores.per_class), map(_share, scores.per_class_50), strict=True
    )
    mistakes = [
        (
            name_of(mistake.row),
            mistake.kind,
            "" if mistake.predicted is None else names[mistake.predicted],
            f"{mistake.score:.4f}",
            "" if mistake.label is None else names[mistake.label],
            f"{mistake.iou:.4f}",
        )
        for mistake in results.detection_errors.mistakes
    ]
    named = ("file", "mistake", "predicted", "score", "class", "iou")
    return {"classes": [("class", "ap", "ap_50"), *classes], "mistakes": [named, *mistakes]}


def _tables_of_numbers(results: HeldOutResults, name_of: Callable[[int], str]) -> Tables:
    labels, found = (
        np.reshape(x, (len(results.data), -1)) for x in (results.data.labels, results.predictions)
    )
    names = results.data.class_names
    if len(names) != labels.shape[1]:
        names = tuple(f"number {place}" for place in range(labels.shape[1]))
    header = ("file", *(f"{what}{name}" for name in names for what in ("", "predicted ")))
    rows = [
        (name_of(row), *(f"{x:.6g}" for pair in zip(a, b, strict=True) for x in pair))
        for row, (a, b) in enumerate(zip(labels, found, strict=True))
    ]
    return {"predictions": [header, *rows]}


_TABLES: dict[LabelKind, Callable[[HeldOutResults, Callable[[int], str]], Tables]] = {
    "class": _tables_of_classes,
    "several": _tables_of_labels,
    "positions": _tables_of_positions,
    "boxes": _tables_of_boxes,
    "numbers": _tables_of_numbers,
}


def _share(value: float) -> str:
    """Return a share as text; one of nothing is left empty."""
    return "" if np.isnan(value) else f"{value:.4f}"


def _rows_of_classes(errors: Errors) -> Iterable[tuple[object, ...]]:
    """Yield a row per class; a share of nothing is left empty."""
    for scores in errors.classes:
        shares = (scores.recall, scores.precision, scores.f1)
        yield (
            scores.name,
            scores.images,
            scores.correct,
            *("" if share is None else f"{share:.4f}" for share in shares),
            scores.taken_for or "",
        )


def _write(path: Path, header: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)

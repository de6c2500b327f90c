"""What ``jaxcnn evaluate --out`` writes: the confusion matrix, a table of classes, the mistakes."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from flax import nnx

from jaxcnn import training
from jaxcnn.data import Dataset
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight import plots
from jaxcnn.training.metrics import confusion_matrix


def write_mistakes(
    folder: Path, model: nnx.Module, data: Dataset, name_of: Callable[[int], str]
) -> None:
    """Write ``confusion_matrix.png``, ``classes.csv`` and ``mistakes.csv`` into a folder.

    Args:
      folder: The folder; it is created, and files of these names in it are replaced.
      model: The trained model.
      data: The held-out images, of one class each.
      name_of: Return the file name of an image by its row.

    Raises:
      OSError: the folder cannot be written to.
      ValueError: images do not have one class each.
    """
    check_class_per_image(data.labels, "evaluate --out")
    # A model may have outputs beyond the classes of the data.
    probabilities = training.predict(model, data.images)[:, : len(data.class_names)]
    predicted = probabilities.argmax(axis=1)
    matrix = confusion_matrix(data.labels, predicted, len(data.class_names))
    folder.mkdir(parents=True, exist_ok=True)
    header = ("class", "images", "correct", "recall", "precision", "f1", "most often taken for")
    _write(folder / "classes.csv", header, _rows_of_classes(matrix, data.class_names))
    wrong = np.flatnonzero(predicted != data.labels)
    worst_first = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    mistakes = (
        (
            name_of(int(row)),
            data.class_names[data.labels[row]],
            data.class_names[predicted[row]],
            f"{probabilities[row].max():.4f}",
            f"{probabilities[row, data.labels[row]]:.4f}",
        )
        for row in worst_first
    )
    named = ("file", "class", "predicted", "probability", "probability of the class")
    _write(folder / "mistakes.csv", named, mistakes)
    plots.confusion(matrix, data.class_names).savefig(folder / "confusion_matrix.png", dpi=120)


def _rows_of_classes(matrix: np.ndarray, names: Sequence[str]) -> Iterable[tuple[object, ...]]:
    """Yield a row per class; a share of nothing is left empty."""
    for number, name in enumerate(names):
        images, taken, correct = (
            matrix[number].sum(),
            matrix[:, number].sum(),
            matrix[number, number],
        )
        others = np.where(np.arange(len(names)) == number, 0, matrix[number])
        shares = ((correct, images), (correct, taken), (2 * correct, images + taken))
        yield (
            name,
            images,
            correct,
            *(f"{part / whole:.4f}" if whole else "" for part, whole in shares),
            names[int(others.argmax())] if others.any() else "",
        )


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)

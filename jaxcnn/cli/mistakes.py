"""What ``jaxcnn evaluate --out`` writes: the confusion matrix, a table of classes, the mistakes."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flax import nnx

from jaxcnn import training
from jaxcnn.data import Dataset
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight import Errors, classification_errors, plots


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
      ValueError: images do not have one class each, or probabilities are not finite.
    """
    check_class_per_image(data.labels, "evaluate --out")
    probabilities = training.predict(model, data.images)
    errors = classification_errors(data.labels, probabilities, data.class_names)
    folder.mkdir(parents=True, exist_ok=True)
    header = ("class", "images", "correct", "recall", "precision", "f1", "most often taken for")
    _write(folder / "classes.csv", header, _rows_of_classes(errors))
    mistakes = (
        (
            name_of(mistake.row),
            data.class_names[mistake.label],
            data.class_names[mistake.predicted],
            f"{mistake.probability:.4f}",
            f"{mistake.label_probability:.4f}",
        )
        for mistake in errors.mistakes
    )
    named = ("file", "class", "predicted", "probability", "probability of the class")
    _write(folder / "mistakes.csv", named, mistakes)
    matrix = plots.confusion(errors.matrix, data.class_names)
    matrix.savefig(folder / "confusion_matrix.png", dpi=120)


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


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)

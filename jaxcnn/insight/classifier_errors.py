"""The errors of a classifier as numbers: per class, per pair of classes, per image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight.accuracy_in_bins import Reliability, Slices
from jaxcnn.training.metrics import confusion_matrix


@dataclass(frozen=True)
class ClassScores:
    """The results of one class; a share of nothing is ``None``.

    Attributes:
      name: Name of the class.
      images: Number of images of the class.
      correct: Number of them that were predicted correctly.
      recall: correct / images.
      precision: correct / number of images that were predicted as this class.
      f1: Harmonic mean of recall and precision.
      taken_for: The class that its images were most often taken for by mistake, or ``None``.
    """

    name: str
    images: int
    correct: int
    recall: float | None
    precision: float | None
    f1: float | None
    taken_for: str | None


@dataclass(frozen=True)
class Mistake:
    """One image that was predicted as another class than its own.

    Attributes:
      row: Row of the image.
      label: Its class.
      predicted: The predicted class.
      probability: Probability of the predicted class.
      label_probability: Probability of its class.
    """

    row: int
    label: int
    predicted: int
    probability: float
    label_probability: float


@dataclass(frozen=True)
class ConfusedPair:
    """A class that was taken for another one.

    Attributes:
      label: The true class.
      predicted: The predicted class.
      count: Number of images.
      share: Their share of the images of the true class.
    """

    label: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True)
class Errors:
    """The predictions of a classifier for images whose classes are known.

    Attributes:
      labels: ``(N,)`` classes.
      probabilities: ``(N, classes)`` probability of each class.
      class_names: One per class.
      predictions: ``(N,)`` the class of the largest probability; of equal ones the first.
      matrix: ``(classes, classes)`` counts: row the true class, column the predicted one.
      classes: The scores of each class.
      mistakes: The images predicted wrongly, the most confident mistake first.
      pairs: The classes taken for others, the most frequent first.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    predictions: np.ndarray = field(repr=False)
    matrix: np.ndarray = field(repr=False)
    classes: tuple[ClassScores, ...] = field(repr=False)
    mistakes: tuple[Mistake, ...] = field(repr=False)
    pairs: tuple[ConfusedPair, ...] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of images that were predicted correctly."""
        return float((self.predictions == self.labels).mean())

    def reliability(self, *, bins: int = 10) -> Reliability:
        """Return confidence and accuracy in bins of equal width of confidence.

        Args:
          bins: Number of bins, at least 1.

        Raises:
          TypeError: ``bins`` is not a whole number.
          ValueError: ``bins`` is below 1, or a probability is not in [0, 1].
        """
        return Reliability.of(self.probabilities, self.predictions == self.labels, bins)

    def slices(self, values: np.ndarray, *, name: str = "value", bins: int = 5) -> Slices:
        """Return the accuracy by a quantity of the images, in bins of about equally many images.

        Equal values are in one bin, so a quantity of few values has fewer bins.

        Args:
          values: ``(N,)`` a number per image, such as :func:`brightness` returns, or the size of
            the picture or of its subject in pixels.
          name: The quantity that they are, for a plot.
          bins: Number of bins, at least 1.

        Raises:
          TypeError: ``bins`` is not a whole number.
          ValueError: ``bins`` is below 1, or there is not one finite value per image.
        """
        return Slices.of(values, self.predictions == self.labels, name, bins)


def classification_errors(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> Errors:
    """Return the errors of a classifier as numbers.

    >>> labels, probabilities = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> errors = classification_errors(labels, probabilities, ["cat", "dog"])
    >>> errors.matrix.tolist(), errors.mistakes[0].row, errors.classes[1].recall
    ([[1, 0], [1, 1]], 1, 0.5)

    Args:
      labels: ``(N,)`` classes, at least one.
      probabilities: ``(N, classes)``, as :func:`jaxcnn.predict` returns them. Further columns are
        left out: a model may have outputs beyond the classes of the data.
      class_names: One per class.

    Raises:
      ValueError: labels are not one class each, or the probabilities are not finite or do not fit
        the labels and class names.
    """
    labels, names = np.asarray(labels), tuple(map(str, class_names))
    check_class_per_image(labels, "classification_errors")
    given = np.asarray(probabilities)
    if (
        not len(labels)
        or given.ndim != 2
        or len(given) != len(labels)
        or given.shape[1] < len(names)
    ):
        raise ValueError(
            f"probabilities must be (N, classes) with N at least 1, here ({len(labels)}, "
            f"{len(names)}). Received: shape {given.shape}"
        )
    if not 0 <= labels.min() <= labels.max() < len(names):
        raise ValueError(
            f"labels must be in 0…{len(names) - 1}, because there are {len(names)} class names. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    given = given[:, : len(names)]
    if not np.isfinite(given).all():
        rows = np.flatnonzero(~np.isfinite(given).all(axis=1))
        raise ValueError(
            "probabilities must be finite. Received: NaN or infinity in "
            f"{len(rows)} rows, the first at row {rows[0]}"
        )
    predictions = given.argmax(axis=1)
    matrix = confusion_matrix(labels, predictions, len(names))
    return Errors(
        labels,
        given,
        names,
        predictions,
        matrix,
        tuple(_scores(matrix, number, names) for number in range(len(names))),
        _mistakes(labels, given, predictions),
        confused_pairs(matrix),
    )


def confused_pairs(matrix: np.ndarray) -> tuple[ConfusedPair, ...]:
    """Return the classes that were taken for others, the most frequent pair first.

    >>> pairs = confused_pairs(np.array([[5, 2], [3, 9]]))
    >>> [(pair.label, pair.predicted, pair.count) for pair in pairs]
    [(1, 0, 3), (0, 1, 2)]

    Args:
      matrix: ``(classes, classes)`` counts: row the true class, column the predicted one.
    """
    matrix = np.asarray(matrix)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    images = matrix.sum(axis=1)
    # Of equally frequent pairs the lower classes come first.
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    return tuple(
        ConfusedPair(
            int(label),
            int(predicted),
            int(wrong[label, predicted]),
            float(wrong[label, predicted] / images[label]),
        )
        for label, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True)
    )


def _scores(matrix: np.ndarray, number: int, names: Sequence[str]) -> ClassScores:
    images, taken = int(matrix[number].sum()), int(matrix[:, number].sum())
    correct = int(matrix[number, number])
    others = np.where(np.arange(len(names)) == number, 0, matrix[number])
    return ClassScores(
        names[number],
        images,
        correct,
        recall=_share(correct, images),
        precision=_share(correct, taken),
        f1=_share(2 * correct, images + taken),
        taken_for=names[int(others.argmax())] if others.any() else None,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mistakes(
    labels: np.ndarray, probabilities: np.ndarray, predictions: np.ndarray
) -> tuple[Mistake, ...]:
    wrong = np.flatnonzero(predictions != labels)
    confident_first = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    return tuple(
        Mistake(
            int(row),
            int(labels[row]),
            int(predictions[row]),
            float(probabilities[row, predictions[row]]),
            float(probabilities[row, labels[row]]),
        )
        for row in confident_first
    )

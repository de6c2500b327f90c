"""The errors of a classifier as numbers: per class, per pair, by confidence, by kind of image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.training.forward import to_float
from jaxcnn.training.metrics import confusion_matrix

# Weights of red, green and blue in the luma of ITU-R BT.601, as in Pillow's mode "L".
_LUMA = np.array([0.299, 0.587, 0.114])
# Images that are converted at a time.
_BLOCK = 1024


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
class Reliability:
    """Confidence and accuracy in bins of equal width of confidence.

    Attributes:
      edges: ``(bins + 1,)`` bounds of the bins; each includes its upper one.
      confidence: ``(bins,)`` mean probability of the predicted class, NaN in an empty bin.
      accuracy: ``(bins,)`` share of correct predictions, NaN in an empty bin.
      counts: ``(bins,)`` number of images.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Mean over the images of |accuracy − confidence| of their bin (Guo et al., 2017)."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gaps * self.counts).sum() / self.counts.sum())


@dataclass(frozen=True)
class Slices:
    """Accuracy by a quantity of the images, in bins of about equally many images.

    Attributes:
      name: The quantity, such as ``"brightness"``.
      edges: ``(bins + 1,)`` bounds of the bins, in the unit of the quantity. Each includes its
        upper bound, and the first one its lower bound too.
      accuracy: ``(bins,)`` share of correct predictions.
      counts: ``(bins,)`` number of images.
      rows: Rows of the images of each bin.
    """

    name: str
    edges: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    rows: tuple[np.ndarray, ...]


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
        bins = arguments.check_count("bins", bins, maximum=1_000_000)
        confidence = self.probabilities.max(axis=1).astype(float)
        # A sum of float32 may be above 1 by rounding.
        if self.probabilities.min() < 0 or confidence.max() > 1 + 1e-5:
            low, high = self.probabilities.min(), confidence.max()
            raise ValueError(
                "probabilities must be in [0, 1] for a reliability diagram; of logits take the "
                f"softmax. Received: numbers from {low:g} to {high:g}"
            )
        edges = np.linspace(0, 1, bins + 1)
        place = np.searchsorted(edges[1:-1], confidence, side="left")
        counts = np.bincount(place, minlength=bins)
        sums = np.bincount(place, confidence, bins)
        correct = np.bincount(place, self.predictions == self.labels, bins)
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of an empty bin
            return Reliability(edges, sums / counts, correct / counts, counts)

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
        bins = arguments.check_count("bins", bins, maximum=1_000_000)
        values = np.asarray(values, float)
        if values.shape != self.labels.shape or not np.isfinite(values).all():
            state = "" if np.isfinite(values).all() else ", of which some are not finite"
            raise ValueError(
                f"values must be one finite number per image, {self.labels.shape}. "
                f"Received: shape {values.shape}{state}"
            )
        inner = np.quantile(values, np.arange(1, bins) / bins, method="lower")
        inner = np.unique(inner[inner < values.max()])
        place = np.searchsorted(inner, values, side="left")
        rows = tuple(np.flatnonzero(place == number) for number in range(len(inner) + 1))
        counts = np.array([len(chosen) for chosen in rows])
        correct = self.predictions == self.labels
        accuracy = np.array([correct[chosen].mean() for chosen in rows])
        edges = np.array([values.min(), *inner, values.max()])
        return Slices(name, edges, accuracy, counts, rows)


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


def brightness(images: Images) -> np.ndarray:
    """Return the mean brightness of each image, of its luma where it has three channels.

    >>> brightness(np.full((1, 8, 8, 3), 51, np.uint8)).round(3).tolist()
    [0.2]

    Args:
      images: ``(N, *spatial, C)``, uint8 pixels, which are divided by 255, or floating point.

    Returns:
      ``(N,)`` float64.
    """
    means = [np.empty((0, images.shape[-1]))]
    for start in range(0, len(images), _BLOCK):
        block = np.asarray(to_float(images[start : start + _BLOCK]), np.float32)
        means.append(block.mean(axis=tuple(range(1, block.ndim - 1)), dtype=float))
    per_channel = np.concatenate(means)
    return per_channel @ _LUMA if images.shape[-1] == 3 else per_channel.mean(axis=1)


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

"""Two models of one task: the images that they predict differently, and how their arrays differ."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from flax import nnx

from jaxcnn.insight.classifier_errors import Errors
from jaxcnn.layers import Layer
from jaxcnn.modules import check_module
from jaxcnn.modules.parameter_tree import arrays_of


@dataclass(frozen=True)
class Change:
    """One image that two models predict as different classes.

    Attributes:
      row: Row of the image.
      label: Its class.
      before: Class predicted before.
      after: Class predicted after.
      before_probability: Probability of the class predicted before, before.
      after_probability: Probability of the class predicted after, after.
      label_before: Probability of its class before.
      label_after: Probability of its class after.
    """

    row: int
    label: int
    before: int
    after: int
    before_probability: float
    after_probability: float
    label_before: float
    label_after: float


@dataclass(frozen=True)
class Changes:
    """The images that two models predict as different classes.

    In each group the probability of the true class changes most in the first image.

    Attributes:
      images: Number of images compared.
      corrected: Images predicted wrongly before and correctly after.
      broken: Images predicted correctly before and wrongly after.
      others: Images predicted as another wrong class.
      accuracy_before: Share of correct predictions before.
      accuracy_after: Share of correct predictions after.
    """

    images: int
    corrected: tuple[Change, ...]
    broken: tuple[Change, ...]
    others: tuple[Change, ...]
    accuracy_before: float
    accuracy_after: float

    @property
    def p_value(self) -> float:
        """Probability of a difference as large by chance, by the exact test of McNemar (1947).

        It is two-sided, and takes each image that one model alone predicts correctly as a toss of
        a coin.
        """
        from scipy.stats import binomtest  # a third of a second

        tosses = len(self.corrected) + len(self.broken)
        return float(binomtest(len(self.corrected), tosses).pvalue) if tosses else 1.0


@dataclass(frozen=True)
class Movement:
    """How an array differs between two models; what is undefined for zeros is ``None``.

    Attributes:
      name: Name of the array, such as ``"conv_1.kernel"``.
      shape: Its shape.
      norm_before: Euclidean norm before, :math:`‖a‖`.
      norm_after: Euclidean norm after, :math:`‖b‖`.
      distance: :math:`‖b − a‖`.
      relative_distance: :math:`‖b − a‖/‖a‖`.
      cosine: Cosine of the angle between both, :math:`a·b/(‖a‖·‖b‖)`.
    """

    name: str
    shape: tuple[int, ...]
    norm_before: float
    norm_after: float
    distance: float
    relative_distance: float | None
    cosine: float | None


def compare_errors(before: Errors, after: Errors) -> Changes:
    """Return the images that two models predict as different classes.

    >>> from jaxcnn.insight import classification_errors
    >>> labels, names = np.array([0, 1, 1]), ["cat", "dog"]
    >>> before = classification_errors(labels, np.array([[0.9, 0.1], [0.8, 0.2], [0, 1]]), names)
    >>> after = classification_errors(labels, np.array([[0.9, 0.1], [0.3, 0.7], [0, 1]]), names)
    >>> changes = compare_errors(before, after)
    >>> [change.row for change in changes.corrected], changes.broken
    ([1], ())

    Args:
      before: The errors of the first model.
      after: The errors of the second model for the same images.

    Raises:
      ValueError: they are of other images or classes.
    """
    if not np.array_equal(before.labels, after.labels) or before.class_names != after.class_names:
        raise ValueError(
            "before and after must be of the same images: their labels and class names must be "
            f"equal. Received: {len(before.labels):,} and {len(after.labels):,} images of "
            f"{len(before.class_names)} and {len(after.class_names)} classes"
        )
    labels, first, second = before.labels, before.predictions, after.predictions
    changed = first != second
    return Changes(
        len(labels),
        _changes(before, after, changed & (second == labels)),
        _changes(before, after, changed & (first == labels)),
        _changes(before, after, changed & (first != labels) & (second != labels)),
        before.accuracy,
        after.accuracy,
    )


def compare_arrays(before: nnx.Module, after: nnx.Module) -> tuple[Movement, ...]:
    """Return how the parameters of two models differ, in the order of the layers.

    >>> import jaxcnn as cnn
    >>> network = cnn.serial(cnn.conv(2, 3), cnn.flatten(), cnn.dense(2))
    >>> first, second = (network.build((8, 8, 1), rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> [moved.name for moved in compare_arrays(first, second)]
    ['conv_1.bias', 'conv_1.kernel', 'dense_1.bias', 'dense_1.kernel']

    Args:
      before: A module, such as a network before fine-tuning or in an early checkpoint.
      after: A module with parameters of the same names and shapes.

    Raises:
      TypeError: one is not a module.
      ValueError: their parameters have other names or shapes.
    """
    first, second = (
        arrays_of(check_module(name, model), nnx.Param)
        for name, model in (("before", before), ("after", after))
    )
    shapes = [{name: array.shape for name, array in arrays.items()} for arrays in (first, second)]
    if shapes[0] != shapes[1]:
        different = sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})
        raise ValueError(
            "before and after must have parameters of the same names and shapes. They differ in "
            f"{', '.join(different[:5])}"
            + (f" and {len(different) - 5} more" * (len(different) > 5))
        )
    return tuple(
        _movement(name, np.asarray(first[name], float), np.asarray(second[name], float))
        for name in _in_order(before, first)
    )


def _in_order(model: nnx.Module, names: Iterable[str]) -> list[str]:
    """Return names of arrays in the order of a model's description, where it has one.

    A state sorts them by name, so that a head would come before the stages.
    """
    description = getattr(model, "description", None)
    if not isinstance(description, Layer):
        return list(names)
    steps = description.walk(model.input_shape)  # type: ignore[attr-defined]  # stored with the description
    places = {".".join(step.path): place for place, step in enumerate(steps)}

    def place(name: str) -> tuple[int, str]:
        return places.get(name.rpartition(".")[0], len(places)), name

    return sorted(names, key=place)


def _changes(before: Errors, after: Errors, chosen: np.ndarray) -> tuple[Change, ...]:
    rows, labels = np.flatnonzero(chosen), before.labels
    first, second = before.probabilities, after.probabilities
    moved = np.abs(second[rows, labels[rows]] - first[rows, labels[rows]])
    return tuple(
        Change(
            int(row),
            int(labels[row]),
            int(before.predictions[row]),
            int(after.predictions[row]),
            float(first[row, before.predictions[row]]),
            float(second[row, after.predictions[row]]),
            float(first[row, labels[row]]),
            float(second[row, labels[row]]),
        )
        for row in rows[np.argsort(-moved, kind="stable")]
    )


def _movement(name: str, first: np.ndarray, second: np.ndarray) -> Movement:
    norms = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    distance = float(np.linalg.norm(second - first))
    both = norms[0] * norms[1]
    return Movement(
        name,
        first.shape,
        *norms,
        distance,
        relative_distance=distance / norms[0] if norms[0] else None,
        cosine=float(np.vdot(first, second)) / both if both else None,
    )

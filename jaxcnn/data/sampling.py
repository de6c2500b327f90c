"""Which images are drawn how often: balanced classes, held-out parts and folds."""

from collections.abc import Iterator

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.array_blocks import blocks
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import VOID, check_class_per_image, strata


def class_weights(data: Dataset) -> np.ndarray:
    """Returns the weight of each class under which all classes count the same in a mean loss.

    weight = N / (classes · N_class), so that the mean weight of all images is 1. Where labels are
    a class at each position, positions are counted, those that are void left out.

    >>> labels = np.array([0, 0, 0, 1])
    >>> class_weights(Dataset(np.zeros((4, 8, 8, 1), np.uint8), labels))
    array([0.6666667, 2.       ], dtype=float32)

    A loss takes them as ``functools.partial(cross_entropy, class_weights=class_weights(data))``.

    Args:
      data: The images whose labels are counted: a class per image, or at each position.

    Returns:
      ``(classes,)`` float32, above 0.

    Raises:
      ValueError: a class has no image, or labels are of another kind.
    """
    if data.kind != "positions":
        check_class_per_image(data.labels, "class_weights")
    classes = len(data.class_names)
    length = max(classes, VOID + 1)
    in_blocks = [np.bincount(block.ravel(), minlength=length) for _, block in blocks(data.labels)]
    counts = np.sum(in_blocks, axis=0)[:classes]
    if not counts.all():
        empty = [data.class_names[number] for number in np.flatnonzero(counts == 0)]
        raise ValueError(f"every class must have an image. Received: none of {', '.join(empty)}")
    return (counts.sum() / (classes * counts)).astype(np.float32)


def balanced_order(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns as many rows as there are labels, in which every class appears equally often.

    The numbers of two classes differ by at most 1. Within a class every image appears before one
    appears again.

    >>> order = balanced_order(np.array([0, 0, 0, 0, 1, 1]), np.random.default_rng(0))
    >>> np.sort(np.array([0, 0, 0, 0, 1, 1])[order]).tolist()
    [0, 0, 0, 1, 1, 1]

    Args:
      labels: ``(N,)`` class numbers.
      random: Decides which images, and their order.

    Raises:
      ValueError: labels are of another kind.
    """
    check_class_per_image(labels, "a balanced order")
    classes = random.permutation(np.unique(labels))
    rows = []
    for place, label in enumerate(classes):
        members = np.flatnonzero(labels == label)
        count = len(range(place, len(labels), len(classes)))
        rounds = [random.permutation(members) for _ in range(-(-count // len(members)))]
        rows.append(np.concatenate(rounds)[:count] if count else members[:0])
    return random.permutation(np.concatenate(rows))


def stratified_split(data: Dataset, share: float, *, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Splits a set at random into two that have the same share of every class.

    It needs one class per image; :func:`k_fold` splits sets with other labels.

    >>> data = Dataset(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10) % 2)
    >>> rest, held_out = stratified_split(data, 0.2)
    >>> len(rest), sorted(held_out.labels.tolist())
    (8, [0, 1])

    Args:
      data: The images and labels.
      share: Of the images that go into the second set, between 0 and 1; of N images they are
        round(share · N), and of each class that share rounded up or down.
      seed: Decides which, at least 0.

    Returns:
      The first set and the second, each in the order of ``data``. They are copies in memory.

    Raises:
      TypeError: ``share`` is no number, or ``seed`` is not whole.
      ValueError: a number is out of its range, one of the sets would be empty, or labels are of
        another kind.
    """
    check_class_per_image(data.labels, "stratified_split")
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise TypeError(f"share must be a number. Received: share={share!r}")
    count = round(share * len(data)) if 0 < share < 1 else 0
    if not 0 < count < len(data):
        raise ValueError(
            "share must be between 0 and 1, with at least one image in both sets. "
            f"Received: share={share} of {len(data)} images"
        )
    held_out = np.zeros(len(data), bool)
    # Dealt class by class, every image whose number reaches the next whole count is taken.
    dealt = _dealt(data, seed)
    places = np.arange(len(data))
    held_out[dealt] = (places + 1) * count // len(data) > places * count // len(data)
    return data.take(np.flatnonzero(~held_out)), data.take(np.flatnonzero(held_out))


def k_fold(data: Dataset, folds: int, *, seed: int = 0) -> Iterator[tuple[Dataset, Dataset]]:
    """Yields pairs of sets to train on and to test on; each image is tested on once.

    The test sets' sizes differ by at most 1, and so do their numbers of each class. Images that
    have no one class, as in segmentation or regression, are dealt at random.

    >>> data = Dataset(np.zeros((6, 8, 8, 1), np.uint8), np.arange(6) % 2)
    >>> [(len(train), sorted(test.labels.tolist())) for train, test in k_fold(data, 3)]
    [(4, [0, 1]), (4, [0, 1]), (4, [0, 1])]

    Args:
      data: The images and labels.
      folds: How many pairs, from 2 to the number of images.
      seed: Decides which images are tested on together, at least 0.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is out of its range.
    """
    if arguments.check_integer("folds", folds, minimum=2) > len(data):
        raise ValueError(
            f"folds must be at most the number of images, {len(data)}. Received: folds={folds}"
        )
    fold = np.empty(len(data), int)
    fold[_dealt(data, seed)] = np.arange(len(data)) % folds
    return (
        (data.take(np.flatnonzero(fold != number)), data.take(np.flatnonzero(fold == number)))
        for number in range(folds)
    )


def _dealt(data: Dataset, seed: int) -> np.ndarray:
    """Returns all rows class by class, those of a class, or without one, in random order."""
    random = np.random.default_rng(arguments.check_integer("seed", seed, minimum=0))
    shuffled = random.permutation(len(data))
    return shuffled[np.argsort(strata(data.labels)[shuffled], kind="stable")]

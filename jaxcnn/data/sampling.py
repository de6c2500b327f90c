"""Sampling of images: class weights, balanced orders, stratified splits and folds."""

from collections.abc import Iterator

import numpy as np

from jaxcnn import arguments
from jaxcnn.augment.positions import VOID
from jaxcnn.data.array_blocks import blocks
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import check_class_per_image, strata
from jaxcnn.data.streaming import Stream


def class_weights(data: Dataset | Stream) -> np.ndarray:
    """Return the weight of each class with which all classes count equally in a mean loss.

    weight = N / (classes · N_class), so that the mean weight of all images is 1. With labels at
    positions, the positions that are not void are counted.

    >>> labels = np.array([0, 0, 0, 1])
    >>> class_weights(Dataset(np.zeros((4, 8, 8, 1), np.uint8), labels))
    array([0.6666667, 2.       ], dtype=float32)

    Pass them to a loss as ``functools.partial(cross_entropy, class_weights=class_weights(data))``.

    Args:
      data: A set with a class per image, or at each position; or a stream that knows its labels.

    Returns:
      ``(classes,)`` float32, above 0.

    Raises:
      ValueError: A class has no image, or the labels are of another kind.
    """
    labels, class_names = data.labels, data.sample.class_names
    if labels is None:
        raise ValueError(
            f"class_weights needs labels that are known without reading. Received: {data!r}"
        )
    if data.sample.kind != "positions":
        check_class_per_image(labels, "class_weights")
    classes = len(class_names)
    length = max(classes, VOID + 1)
    in_blocks = [np.bincount(block.ravel(), minlength=length) for _, block in blocks(labels)]
    counts = np.sum(in_blocks, axis=0)[:classes]
    if not counts.all():
        empty = [class_names[number] for number in np.flatnonzero(counts == 0)]
        raise ValueError(
            f"every class must have an image. Received: none of {arguments.shown(empty)}"
        )
    return (counts.sum() / (classes * counts)).astype(np.float32)


def stratified_split(data: Dataset, share: float, *, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split a set at random into two with the same share of every class.

    The labels must be one class per image; :func:`k_fold` splits sets with other labels.

    >>> data = Dataset(np.zeros((10, 8, 8, 1), np.uint8), np.arange(10) % 2)
    >>> rest, held_out = stratified_split(data, 0.2)
    >>> len(rest), sorted(held_out.labels.tolist())
    (8, [0, 1])

    Args:
      data: The images and labels.
      share: Share of the images in the second set, in (0, 1): round(share · N) of N images, and
        of each class that share rounded up or down.
      seed: Seed of the choice, at least 0.

    Returns:
      The first set and the second, each in the order of ``data``. They are copies in memory.

    Raises:
      TypeError: ``share`` is not a number, or ``seed`` is not an integer.
      ValueError: ``share`` is outside (0, 1), ``seed`` is below 0, one of the sets would be empty,
        or the labels are of another kind.
    """
    check_class_per_image(data.labels, "stratified_split")
    count = round(arguments.check_number("share", share, above=0, below=1) * len(data))
    if not 0 < count < len(data):
        raise ValueError(
            "share must leave at least one image in both sets. "
            f"Received: share={share} of {len(data)} images"
        )
    held_out = np.zeros(len(data), bool)
    # In an order class by class, take each image at which the running share reaches an integer.
    order = _shuffle_by_class(data, seed)
    places = np.arange(len(data))
    held_out[order] = (places + 1) * count // len(data) > places * count // len(data)
    return data.take(np.flatnonzero(~held_out)), data.take(np.flatnonzero(held_out))


def k_fold(data: Dataset, folds: int, *, seed: int = 0) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield pairs of a training set and a test set; each image is in one test set.

    The sizes of the test sets differ by at most 1, and so do their counts of each class. Images
    without one class each, as in segmentation or regression, are distributed at random.

    >>> data = Dataset(np.zeros((6, 8, 8, 1), np.uint8), np.arange(6) % 2)
    >>> [(len(train), sorted(test.labels.tolist())) for train, test in k_fold(data, 3)]
    [(4, [0, 1]), (4, [0, 1]), (4, [0, 1])]

    Args:
      data: The images and labels.
      folds: Number of pairs, from 2 to the number of images.
      seed: Seed of the folds, at least 0.

    Raises:
      TypeError: ``folds`` or ``seed`` is not an integer.
      ValueError: ``folds`` is below 2 or above the number of images, or ``seed`` is below 0.
    """
    if arguments.check_integer("folds", folds, minimum=2) > len(data):
        raise ValueError(
            f"folds must be at most the number of images, {len(data)}. Received: folds={folds}"
        )
    fold = np.empty(len(data), int)
    fold[_shuffle_by_class(data, seed)] = np.arange(len(data)) % folds
    return (
        (data.take(np.flatnonzero(fold != number)), data.take(np.flatnonzero(fold == number)))
        for number in range(folds)
    )


def _shuffle_by_class(data: Dataset, seed: int) -> np.ndarray:
    """Return all rows sorted by class, in random order within each class."""
    random = np.random.default_rng(arguments.check_integer("seed", seed, minimum=0))
    shuffled = random.permutation(len(data))
    return shuffled[np.argsort(strata(data.labels)[shuffled], kind="stable")]

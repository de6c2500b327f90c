"""Renumbering of the labels of one set by the classes of another."""

from collections.abc import Sequence

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import check_class_per_image


def match_classes(data: Dataset, class_names: Sequence[str]) -> Dataset:
    """Return a set whose labels are numbered by the order of `class_names`.

    A model identifies a class by its number, so its test set must use the numbers of its training
    set. Classes named 0, 1, 2, … keep their numbers. Labels of a set without class names are not
    changed.

    >>> data = Dataset(np.zeros((3, 8, 8, 1), np.uint8), np.array(["cat", "ant", "cat"]))
    >>> data.labels, match_classes(data, ["ant", "bee", "cat"]).labels
    (array([1, 0, 1], dtype=int32), array([2, 0, 2], dtype=int32))

    Args:
      data: The set.
      class_names: Names of the classes in order, such as those of the training set.

    Raises:
      ValueError: The class of an image is not in `class_names`, or images do not have one class
        each.
    """
    names, own = tuple(map(str, class_names)), data.class_names
    if own == names or not own:
        return data
    check_class_per_image(data.labels, "matching classes of other names")
    if own == tuple(map(str, range(len(own)))) and len(own) <= len(names):
        return Dataset(data.images, data.labels, names)
    numbers = {name: number for number, name in enumerate(names)}
    unknown = [own[label] for label in np.unique(data.labels) if own[label] not in numbers]
    if unknown:
        raise ValueError(
            f"every image must be of one of the classes {list(names)}. Received: {unknown}"
        )
    labels = np.array([numbers.get(name, -1) for name in own])[data.labels]
    return Dataset(data.images, labels, names)

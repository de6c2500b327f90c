"""Labels of one set as numbers of another set's classes."""

from collections.abc import Sequence

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import check_class_per_image


def match_classes(data: Dataset, class_names: Sequence[str]) -> Dataset:
    """Returns a set with its labels numbered as these classes, whatever its own order was.

    A model knows a class by its number, so that a set to test it on must number them alike.
    Classes that are called by mere numbers, 0, 1, 2, …, keep them, and so do labels that are no
    classes.

    >>> data = Dataset(np.zeros((3, 8, 8, 1), np.uint8), np.array(["cat", "ant", "cat"]))
    >>> data.labels, match_classes(data, ["ant", "bee", "cat"]).labels
    (array([1, 0, 1], dtype=int32), array([2, 0, 2], dtype=int32))

    Args:
      data: The set.
      class_names: The names of the classes in their order, such as those of the training set.

    Raises:
      ValueError: an image is of a class that has none of these names, or has not one class.
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

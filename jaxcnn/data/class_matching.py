"""Renumbering of the labels of one set by the classes of another."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import are_numbers, check_class_per_image


def match_classes(data: Dataset, class_names: Sequence[str]) -> Dataset:
    """Return a set whose labels are numbered by the order of `class_names`.

    A model identifies a class by its number, so its test set must use the numbers of its training
    set. Classes are matched by name; where all names are numbers, by their value, so that ``"7"``
    is ``"007"``. Classes named 0, 1, 2, … by the set itself, of which `class_names` has none, keep
    their numbers. Labels of a set without class names are not changed.

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
    used = [own[label] for label in np.unique(data.labels)]
    by_value = are_numbers((*own, *names)) and len(set(map(int, names))) == len(names)
    key: Callable[[str], int | str] = int if by_value else str
    numbers = {key(name): number for number, name in enumerate(names)}
    unknown = [name for name in used if key(name) not in numbers]
    unnamed = own == tuple(map(str, range(len(own)))) and len(own) <= len(names)
    if unnamed and unknown == used:
        return replace(data, class_names=names)
    if unknown:
        raise ValueError(
            f"every image must be of one of the classes {arguments.shown([*names])}. "
            f"Received: {arguments.shown(unknown)}"
        )
    labels = np.array([numbers.get(key(name), -1) for name in own])[data.labels]
    return replace(data, labels=labels, class_names=names)

"""Parts of a data set: ``train``, ``test``, ``all``, ``train[:80%]``, ``train[100:]+test``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import strata

_BOUND = r"-?\d+(?:\.\d+)?%|-?\d+"
_PART = re.compile(rf"([^\[\]]+)(?:\[({_BOUND})?:({_BOUND})?\])?")


class Part(NamedTuple):
    """A split of a data set, or a slice of it; a bound is a row or a share such as ``"80%"``."""

    name: str
    start: str | None = None
    stop: str | None = None

    def rows(self, size: int) -> range:
        """Returns the rows of this part in a split of ``size`` images.

        >>> Part("train", "-25%", None).rows(10), Part("train", None, "4").rows(10)
        (range(8, 10), range(0, 4))
        """
        bounds = (_row(bound, size) for bound in (self.start, self.stop))
        return range(size)[slice(*bounds)]


def parse(split: str, names: Iterable[str]) -> list[Part]:
    """Returns the parts that a split names; ``"all"`` are all splits in their order.

    >>> parse("train[:80%]+test", ["train", "test"])
    [Part(name='train', start=None, stop='80%'), Part(name='test', start=None, stop=None)]

    Args:
      split: As for :func:`jaxcnn.data.load`. Slices mean what TensorFlow Datasets means by them:
        a share is rounded to the nearest row, a bound below 0 counts from the end.
      names: The splits that there are.

    Raises:
      ValueError: it names no split that there is, or a slice is not written as one.
    """
    names = list(names)
    parts = []
    for text in split.split("+"):
        matched = _PART.fullmatch(text.strip())
        if matched is None:
            raise ValueError(
                "a split must be a name or a slice of one, such as 'train', 'train[:80%]' or "
                f"'train[100:]+test'. Received: split={split!r}"
            )
        name, start, stop = matched.groups()
        arguments.check_known("split", name, [*names, *({"all"} - {*names})])
        named = names if name == "all" and "all" not in names else [name]
        parts += [Part(each, start, stop) for each in named]
    return parts


def stored_rows(parts: Sequence[Part], sizes: Mapping[str, int]) -> slice | np.ndarray:
    """Returns the rows of ``parts`` where whole splits are stored one after the other.

    Args:
      parts: As :func:`parse` gives them.
      sizes: How many images each stored split has, in their order.

    Returns:
      A slice where one serves, because taking it copies nothing.
    """
    starts = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    ranges = []
    for part in parts:
        rows = part.rows(sizes[part.name])
        if rows:  # what holds nothing must not stand between neighbors
            ranges.append(range(starts[part.name] + rows.start, starts[part.name] + rows.stop))
    if not ranges:
        return slice(0, 0)
    if all(before.stop == after.start for before, after in pairwise(ranges)):
        return slice(ranges[0].start, ranges[-1].stop)
    return np.concatenate([np.arange(rows.start, rows.stop) for rows in ranges])


def cut(data: Dataset, split: str) -> Dataset:
    """Returns a part of a set that has no splits of its own.

    Every fifth image of each class is for testing, the others for training. A slice takes its
    share of every class, however the images are sorted. Rows keep their order. Images that have
    no one class, as in segmentation or regression, count as of one class.

    >>> data = Dataset(np.zeros((10, 2, 2, 1), np.uint8), np.repeat([0, 1], 5))
    >>> cut(data, "test").labels, cut(data, "train[:50%]").labels
    (array([0, 1], dtype=int32), array([0, 0, 1, 1], dtype=int32))

    Args:
      data: The whole set.
      split: As for :func:`jaxcnn.data.load`.

    Raises:
      ValueError: there is no such split, or it holds no image.
    """
    found, classes, chosen = members(data), strata(data.labels), []
    for name, *bounds in parse(split, found):
        rows = found[name]
        if any(bounds):
            rows = rows[evenly(classes[rows])]
        chosen.append(rows[np.asarray(Part(name, *bounds).rows(len(rows)), int)])
    rows = np.sort(np.concatenate(chosen))
    if len(rows) == 0:
        raise ValueError(f"the split {split!r} holds none of the {len(data)} images")
    return data if np.array_equal(rows, np.arange(len(data))) else data.take(rows)


def members(data: Dataset) -> dict[str, np.ndarray]:
    """Returns the rows of each split of a set that has no splits of its own."""
    held_out = every_fifth(strata(data.labels))
    return {"train": np.flatnonzero(~held_out), "test": np.flatnonzero(held_out)}


def every_fifth(labels: np.ndarray) -> np.ndarray:
    """Returns which rows are every fifth of their class, ``(N,)`` bool."""
    return _place_in_class(labels)[0] % 5 == 4


def evenly(labels: np.ndarray) -> np.ndarray:
    """Returns an order of the rows in which every class is spread evenly from first to last.

    Within a class the order stays, and an order that is even already stays as a whole.

    >>> evenly(np.array([0, 0, 0, 0, 1, 1]))
    array([0, 4, 1, 2, 5, 3])

    Args:
      labels: ``(N,)`` class numbers from 0.
    """
    place, size = _place_in_class(labels)
    return np.argsort((place + 0.5) / size, kind="stable")


def _place_in_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place of each row in its class, from 0, and the size of that class."""
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    first = np.cumsum(sizes) - sizes
    place = np.empty(len(labels), int)
    place[by_class] = np.arange(len(labels)) - np.repeat(first, sizes)
    return place, sizes[labels]


def _row(bound: str | None, size: int) -> int | None:
    if bound is None or not bound.endswith("%"):
        return None if bound is None else int(bound)
    return round(float(bound[:-1]) * size / 100)

"""Parts of a data set: ``train``, ``test``, ``all``, ``train[:80%]``, ``train[100:]+test``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import strata

# The lower-case names of splits in folders and archives, and the name of each split.
NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"} | {
    name: name for name in ("val", "valid", "validation")
}
_BOUND = r"-?\d+(?:\.\d+)?%|-?\d+"
_PART = re.compile(rf"([^\[\]]+)(?:\[({_BOUND})?:({_BOUND})?\])?")


@dataclass(frozen=True)
class Part:
    """A split of a data set, or a slice of it; a bound is a row or a share such as ``"80%"``."""

    name: str
    start: str | None = None
    stop: str | None = None

    def rows(self, size: int) -> range:
        """Return the rows of this part in a split of `size` images.

        >>> Part("train", "-25%", None).rows(10), Part("train", None, "4").rows(10)
        (range(8, 10), range(0, 4))
        """
        bounds = (_row(bound, size) for bound in (self.start, self.stop))
        return range(size)[slice(*bounds)]


@dataclass(frozen=True)
class Divided:
    """A set that its source divides into splits; the rows of one follow those of another.

    Attributes:
      data: The images and labels of all splits.
      sizes: Number of images of each split, in the order of the rows.
    """

    data: Dataset
    sizes: Mapping[str, int]


def parse(split: str, names: Iterable[str]) -> list[Part]:
    """Return the parts of a split expression; ``"all"`` stands for all splits in order.

    >>> parse("train[:80%]+test", ["train", "test"])
    [Part(name='train', start=None, stop='80%'), Part(name='test', start=None, stop=None)]

    Args:
      split: As for :func:`jaxcnn.data.load`. Slices have the meaning of TensorFlow Datasets: a
        share is rounded to the nearest row, and a bound below 0 counts from the end.
      names: The existing splits.

    Raises:
      ValueError: There is no such split, or a slice has the wrong form.
    """
    names = list(names)
    parts = []
    for text in split.split("+"):
        matched = _PART.fullmatch(text.strip())
        if matched is None:
            raise ValueError(
                "a split must be a name or a slice of one, such as 'train', 'train[:80%]' or "
                f"'train[100:]+test'. Received: split={arguments.shown(split)}"
            )
        name, start, stop = matched.groups()
        arguments.check_known("split", name, [*names, *({"all"} - {*names})])
        named = names if name == "all" and "all" not in names else [name]
        parts += [Part(each, start, stop) for each in named]
    return parts


def stored_rows(parts: Sequence[Part], sizes: Mapping[str, int]) -> slice | np.ndarray:
    """Return the rows of `parts` in an array that holds whole splits one after the other.

    Args:
      parts: As :func:`parse` returns them.
      sizes: Number of images of each stored split, in order.

    Returns:
      A slice where possible, because taking it copies nothing.
    """
    starts = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    ranges = []
    for part in parts:
        rows = part.rows(sizes[part.name])
        if rows:  # an empty part must not separate adjacent ones
            ranges.append(range(starts[part.name] + rows.start, starts[part.name] + rows.stop))
    if not ranges:
        return slice(0, 0)
    if all(before.stop == after.start for before, after in pairwise(ranges)):
        return slice(ranges[0].start, ranges[-1].stop)
    return np.concatenate([np.arange(rows.start, rows.stop) for rows in ranges])


def cut(opened: Dataset | Divided, split: str) -> Dataset:
    """Return a part of a set.

    In a set without splits, every fifth image of each class is in ``"test"``, the others in
    ``"train"``. A slice takes its
    share of every class, in whatever order the images are. Rows keep their order. Images without
    one class each, as in segmentation or regression, count as one class.

    >>> data = Dataset(np.zeros((10, 2, 2, 1), np.uint8), np.repeat([0, 1], 5))
    >>> cut(data, "test").labels, cut(data, "train[:50%]").labels
    (array([0, 1], dtype=int32), array([0, 0, 1, 1], dtype=int32))

    Args:
      opened: The whole set.
      split: As for :func:`jaxcnn.data.load`.

    Raises:
      ValueError: There is no such split, or it holds no image.
    """
    data = opened.data if isinstance(opened, Divided) else opened
    found, classes, chosen = members(opened), strata(data.labels), []
    for part in parse(split, found):
        rows = found[part.name]
        if part.start or part.stop:
            rows = rows[evenly(classes[rows])]
        chosen.append(rows[np.asarray(part.rows(len(rows)), int)])
    rows = np.sort(np.concatenate(chosen))
    if len(rows) == 0:
        raise ValueError(f"the split {arguments.shown(split)} holds none of the {len(data)} images")
    return data if np.array_equal(rows, np.arange(len(data))) else data.take(rows)


def members(opened: Dataset | Divided) -> dict[str, np.ndarray]:
    """Return the rows of each split; without any, of ``"train"`` and ``"test"``."""
    if isinstance(opened, Divided):
        stops = [*accumulate(opened.sizes.values(), initial=0)]
        rows = (np.arange(start, stop) for start, stop in pairwise(stops))
        return dict(zip(opened.sizes, rows, strict=True))
    held_out = every_fifth(strata(opened.labels))
    return {"train": np.flatnonzero(~held_out), "test": np.flatnonzero(held_out)}


def every_fifth(labels: np.ndarray) -> np.ndarray:
    """Return ``(N,)`` bool, True for every fifth row of each class."""
    return _place_in_class(labels)[0] % 5 == 4


def evenly(labels: np.ndarray) -> np.ndarray:
    """Return an order of the rows that spreads every class evenly from first to last.

    The order within a class is kept, and so is an order that is already even.

    >>> evenly(np.array([0, 0, 0, 0, 1, 1]))
    array([0, 4, 1, 2, 5, 3])

    Args:
      labels: ``(N,)`` class numbers from 0.
    """
    place, size = _place_in_class(labels)
    return np.argsort((place + 0.5) / size, kind="stable")


def _place_in_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each row in its class, from 0, and the size of that class."""
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

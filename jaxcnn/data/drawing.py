"""Drawing of batches: their form, their order, and the point at which it begins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcnn import arguments
from jaxcnn.data.labels import check_class_per_image


class Batch(NamedTuple):
    """The images and labels of one step.

    Attributes:
      image: ``(batch, H, W, C)``, uint8 or floating point.
      label: ``(batch,)`` int32 class numbers; or another kind of labels of
        :class:`jaxcnn.Dataset`: ``(batch, *spatial)`` int32, ``(batch, classes)``
        bool, ``(batch, …)`` float32; boxes are ``(batch, M, 6)`` float32: x1, y1, x2, y2, class
        and crowd, of class -1 in rows that only fill up.
      mask: ``(batch,)`` bool; False marks rows that only fill up the last batch.
    """

    image: jax.Array | np.ndarray
    label: jax.Array | np.ndarray
    mask: jax.Array | np.ndarray


class Drawn(Iterator[Batch]):
    """Batches in order, and the state of their source after the last one."""

    def __init__(self, batches: Iterator[Batch], state: Callable[[], Any] = lambda: None) -> None:
        """Keep the batches, and the function that returns the state."""
        self._batches, self._state = batches, state

    def __next__(self) -> Batch:
        """Return the next batch."""
        return next(self._batches)

    @property
    def state(self) -> Any:
        """What :class:`Draw` needs to go on after the last batch, as JSON can hold it.

        ``None`` where the seed, the epoch and the number of the batch are enough.
        """
        return self._state()

    def map(self, function: Callable[[Batch], Batch]) -> "Drawn":
        """Return these batches, each changed by a function."""
        return Drawn(map(function, self._batches), self._state)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The batches that are drawn, and the first of them; options of :func:`jaxcnn.data.batches`.

    Attributes:
      batch_size: Rows of a batch over all shards.
      seed: Seed of the order; ``None`` keeps the order of the set.
      epoch: Number of the pass over the data.
      start: Number of the first batch.
      shard: The part of each batch for this process.
      num_shards: Number of processes that share each batch.
      balanced: Whether every class appears equally often.
      state: :attr:`Drawn.state` after the batch before the first, of a source that has one.

    Raises:
      TypeError: A number is not an integer.
      ValueError: A number is out of range, or `balanced` is set without a seed.
    """

    batch_size: int
    seed: int | None = None
    epoch: int = 0
    start: int = 0
    shard: int = 0
    num_shards: int = 1
    balanced: bool = False
    state: Any = None

    def __post_init__(self) -> None:
        """Check the options."""
        arguments.check_integer("batch_size", self.batch_size, minimum=1)
        arguments.check_integer("epoch", self.epoch, minimum=0)
        arguments.check_integer("start", self.start, minimum=0)
        if self.batch_size % arguments.check_integer("num_shards", self.num_shards, minimum=1):
            raise ValueError(
                "num_shards must divide batch_size. "
                f"Received: num_shards={self.num_shards} for batch_size={self.batch_size}"
            )
        if arguments.check_integer("shard", self.shard, minimum=0) >= self.num_shards:
            raise ValueError(
                "shard must be below num_shards. "
                f"Received: shard={self.shard}, num_shards={self.num_shards}"
            )
        if self.seed is not None:
            arguments.check_integer("seed", self.seed, minimum=0)
        elif self.balanced:
            raise ValueError("balanced needs a seed, because it draws images. Received: seed=None")

    @property
    def part(self) -> slice:
        """The rows of each batch that are those of this process."""
        size, shards = self.batch_size, self.num_shards
        return slice(self.shard * size // shards, (self.shard + 1) * size // shards)

    def rows(self, count: int, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the images of each batch, and the mask of those that count.

        Args:
          count: Number of images.
          labels: ``(count,)`` class numbers, for `balanced`.

        Returns:
          ``(batches, rows)`` integers, and bool of the same shape.

        Raises:
          ValueError: `start` is above the number of batches, or there is not one class per image.
        """
        steps = -(-count // self.batch_size)
        if self.start > steps:
            raise ValueError(
                f"start must be at most the number of batches, {steps}. Received: {self.start}"
            )
        order = np.arange(count)
        if self.seed is not None:
            random = np.random.default_rng((self.seed, self.epoch))
            if not self.balanced:
                order = random.permutation(order)
            elif labels is None:
                raise ValueError(
                    "balanced needs labels that are known without reading the images. "
                    "Received: a stream without them"
                )
            else:
                order = balanced_order(labels, random)
        shape, begin = (steps, self.batch_size), self.start
        masks = (np.arange(steps * self.batch_size) < count).reshape(shape)
        return np.resize(order, shape)[begin:, self.part], masks[begin:, self.part]


def balanced_order(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return ``N`` rows in which every class appears equally often.

    The counts of two classes differ by at most 1. Within a class every image appears once before
    any appears again.

    >>> order = balanced_order(np.array([0, 0, 0, 0, 1, 1]), np.random.default_rng(0))
    >>> np.sort(np.array([0, 0, 0, 0, 1, 1])[order]).tolist()
    [0, 0, 0, 1, 1, 1]

    Args:
      labels: ``(N,)`` class numbers.
      random: Generator that draws the images and their order.

    Raises:
      ValueError: The labels are of another kind.
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

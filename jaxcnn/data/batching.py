"""Batches of a data set: seeded, all of one shape, on their way to the device."""

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.sampling import balanced_order


class Batch(NamedTuple):
    """What one step works on.

    Attributes:
      image: ``(batch, H, W, C)``, uint8 or floating point.
      label: ``(batch,)`` int32 class numbers; or one of the other kinds of labels that
        :class:`jaxcnn.data.Dataset` knows: ``(batch, *spatial)`` int32, ``(batch, classes)``
        bool, ``(batch, …)`` float32.
      mask: ``(batch,)`` bool; False marks rows that only fill the last batch up.
    """

    image: jax.Array | np.ndarray
    label: jax.Array | np.ndarray
    mask: jax.Array | np.ndarray


def batches(
    data: Dataset,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
    shard: int = 0,
    num_shards: int = 1,
    balanced: bool = False,
) -> Iterator[Batch]:
    """Yields every image once, in batches of one shape.

    A batch depends on ``(seed, epoch)`` and its number alone, not on the batches before it or on
    how many processes share the work, so that the number of steps taken is all that a run needs
    to go on: ``epoch, start = divmod(step, steps_per_epoch(data, batch_size))``.

    A batch is one fancy index into the images, where they are: record by record the same takes a
    hundred times longer. The last batch is filled up with images from the first, masked out, so
    that statistics over a batch stay those of real images.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [(batch.label.tolist(), batch.mask.tolist()) for batch in batches(data, 3)]
    [([0, 1, 2], [True, True, True]), ([3, 4, 0], [True, True, False])]

    Args:
      data: The images and labels.
      batch_size: Rows of a batch over all shards, at least 1.
      seed: Shuffles, at least 0; ``None`` keeps the order.
      epoch: Number of the pass over the data, at least 0; each has an order of its own.
      start: Number of the first batch, from 0 to the number of batches.
      shard: Which part of each batch this process works on, in 0…num_shards − 1; the parts stand
        one after the other in the whole batch.
      num_shards: Processes that share each batch, a divisor of ``batch_size``.
      balanced: Whether every class appears equally often, as
        :func:`~jaxcnn.data.sampling.balanced_order` draws them; it needs a seed, and one class
        per image.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is out of its range, or ``balanced`` is without what it needs.
    """
    size = arguments.check_integer("batch_size", batch_size, minimum=1)
    epoch = arguments.check_integer("epoch", epoch, minimum=0)
    steps = steps_per_epoch(data, size)
    if arguments.check_integer("start", start, minimum=0) > steps:
        raise ValueError(f"start must be at most the number of batches, {steps}. Received: {start}")
    if size % arguments.check_integer("num_shards", num_shards, minimum=1):
        raise ValueError(
            "num_shards must divide batch_size. "
            f"Received: num_shards={num_shards} for batch_size={size}"
        )
    if arguments.check_integer("shard", shard, minimum=0) >= num_shards:
        raise ValueError(
            f"shard must be below num_shards. Received: shard={shard}, num_shards={num_shards}"
        )
    order = np.arange(len(data))
    if seed is not None:
        random = np.random.default_rng((arguments.check_integer("seed", seed, minimum=0), epoch))
        order = balanced_order(data.labels, random) if balanced else random.permutation(order)
    elif balanced:
        raise ValueError("balanced needs a seed, as it draws images. Received: seed=None")
    part = slice(shard * size // num_shards, (shard + 1) * size // num_shards)
    rows = np.resize(order, (steps, size))[start:, part]
    masks = (np.arange(steps * size) < len(order)).reshape(steps, size)[start:, part]
    take = _take_on_device if isinstance(data.images, jax.Array) else np.take
    return (
        Batch(take(data.images, row, axis=0), _labels(data, row), mask)
        for row, mask in zip(rows, masks, strict=True)
    )


def _labels(data: Dataset, rows: np.ndarray) -> np.ndarray:
    labels = data.labels[rows]
    return labels.astype(np.int32) if labels.dtype == np.uint8 else labels


_take_on_device = jax.jit(functools.partial(jnp.take, mode="clip"), static_argnames="axis")


def steps_per_epoch(data: Dataset, batch_size: int) -> int:
    """Returns how many batches a pass over the data has, the last one perhaps filled up.

    >>> steps_per_epoch(Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5)), 3)
    2

    Args:
      data: The images.
      batch_size: Rows of a batch, at least 1.
    """
    return -(-len(data) // arguments.check_integer("batch_size", batch_size, minimum=1))


def prefetch(
    batches: Iterable[Batch],
    *,
    ahead: int = 2,
    sharding: jax.sharding.Sharding | None = None,
) -> Iterator[Batch]:
    """Yields batches that are on the device, and prepares the next ones while a step runs.

    A thread draws them and sends them. A loop that waits for each step's result, or whose images
    are read from disk, so never waits for data; :func:`jaxcnn.fit` runs ahead of the device by
    itself. What the iterable raises is raised where that batch would have come.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [batch.image.shape for batch in prefetch(batches(data, 3))]
    [(3, 8, 8, 1), (3, 8, 8, 1)]

    Args:
      batches: What :func:`batches` yields, or any other batches.
      ahead: How many batches are prepared beyond the one in use, at least 1.
      sharding: How the rows of the whole batch lie on devices; over several processes each gives
        its own shard. ``None`` means the default device.

    Raises:
      TypeError: ``ahead`` is not a whole number.
      ValueError: ``ahead`` is below 1.
    """
    arguments.check_integer("ahead", ahead, minimum=1)
    return _prefetched(iter(batches), ahead, sharding)


def _prefetched(
    batches: Iterator[Batch], ahead: int, sharding: jax.sharding.Sharding | None
) -> Iterator[Batch]:
    def draw() -> Batch | None:
        batch = next(batches, None)
        if batch is None or sharding is None:
            return jax.device_put(batch)
        return jax.tree.map(
            lambda rows: jax.make_array_from_process_local_data(sharding, np.asarray(rows)), batch
        )

    with ThreadPoolExecutor(1, "prefetch") as thread:
        drawn = deque(thread.submit(draw) for _ in range(ahead))
        while (batch := drawn.popleft().result()) is not None:
            drawn.append(thread.submit(draw))
            yield batch

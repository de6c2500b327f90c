"""Batches of a data set: seeded, of one shape, sent to the device ahead of time."""

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
from jaxcnn.data.object_boxes import BOX, to_rows
from jaxcnn.data.sampling import balanced_order


class Batch(NamedTuple):
    """The images and labels of one step.

    Attributes:
      image: ``(batch, H, W, C)``, uint8 or floating point.
      label: ``(batch,)`` int32 class numbers; or another kind of labels of
        :class:`jaxcnn.data.Dataset`: ``(batch, *spatial)`` int32, ``(batch, classes)``
        bool, ``(batch, …)`` float32; boxes are ``(batch, M, 6)`` float32: x1, y1, x2, y2, class
        and crowd, of class -1 in rows that only fill up.
      mask: ``(batch,)`` bool; False marks rows that only fill up the last batch.
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
    """Yield every image once, in batches of one shape.

    A batch is a function of ``(seed, epoch)`` and its number, not of the batches before it or the
    number of processes. A run therefore resumes from its number of steps alone:
    ``epoch, start = divmod(step, steps_per_epoch(data, batch_size))``.

    A batch is one fancy index into the images; collecting record by record takes a hundred times
    longer. The last batch is filled up with images from the first batch, masked out, so that
    statistics over a batch are those of real images.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [(batch.label.tolist(), batch.mask.tolist()) for batch in batches(data, 3)]
    [([0, 1, 2], [True, True, True]), ([3, 4, 0], [True, True, False])]

    Args:
      data: The images and labels.
      batch_size: Rows of a batch over all shards, at least 1.
      seed: Seed of the order, at least 0; ``None`` keeps the order of the set.
      epoch: Number of the pass over the data, at least 0; each has a different order.
      start: Number of the first batch, from 0 to the number of batches.
      shard: The part of each batch for this process, in 0…num_shards − 1; the whole batch is
        the concatenation of its parts.
      num_shards: Number of processes that share each batch, a divisor of ``batch_size``.
      balanced: Whether every class appears equally often, in the order of
        :func:`~jaxcnn.data.balanced_order`; requires a seed, and one class per image.

    Raises:
      TypeError: A number is not an integer.
      ValueError: A number is outside the range above, or ``balanced`` is set without a seed or
        one class per image.
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
        raise ValueError("balanced needs a seed, because it draws images. Received: seed=None")
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
    if labels.dtype == BOX:
        return to_rows(labels)
    return labels.astype(np.int32) if labels.dtype == np.uint8 else labels


_take_on_device = jax.jit(functools.partial(jnp.take, mode="clip"), static_argnames="axis")


def steps_per_epoch(data: Dataset, batch_size: int) -> int:
    """Return the number of batches of a pass over the data, including a partly filled one.

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
    """Yield batches on the device, and prepare the next ones in a thread while a step runs.

    Use it in a loop that waits for each step's result, or whose images are read from disk. In
    :func:`jaxcnn.fit` the host runs ahead of the device without it. An exception of the iterable is
    raised in place of the batch that caused it.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [batch.image.shape for batch in prefetch(batches(data, 3))]
    [(3, 8, 8, 1), (3, 8, 8, 1)]

    Args:
      batches: The batches of :func:`batches`, or any others.
      ahead: Number of batches prepared beyond the one in use, at least 1.
      sharding: Sharding of the rows of the whole batch; each of several processes passes its own
        shard. ``None`` means the default device.

    Raises:
      TypeError: ``ahead`` is not an integer.
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

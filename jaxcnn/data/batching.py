"""Batches of a data set: seeded, of one shape, sent to the device ahead of time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.drawing import Batch, Draw, Drawn
from jaxcnn.data.streaming import GivenBatches, OrderedStream, Stream


class BatchSource(Protocol):
    """Labeled images of which batches are drawn: a :class:`jaxcnn.Dataset`, or a stream."""

    @property
    def sample(self) -> Dataset:
        """Some of the images and labels, in memory; of a data set all."""

    @property
    def num_examples(self) -> int | None:
        """Number of images; ``None`` if only reading them would tell, or they have no end."""

    @property
    def fixed_batch_size(self) -> int | None:
        """Rows of a batch, where the source decides them."""

    def draw(self, draw: Draw) -> Drawn:
        """Return the batches of a pass over the images."""

    def fingerprint(self) -> str:
        """Return a short hash of the contents that is stable across processes."""


def batches(
    data: BatchSource,
    batch_size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
    shard: int = 0,
    num_shards: int = 1,
    balanced: bool = False,
    state: Any = None,
) -> Drawn:
    """Yield every image once, in batches of one shape.

    A batch is a function of ``(seed, epoch)`` and its number, not of the batches before it or the
    number of processes. A run therefore resumes from its number of steps alone:
    ``epoch, start = divmod(step, steps_per_epoch(data, batch_size))``.

    A batch of a data set is one fancy index into the images; collecting record by record takes a
    hundred times longer. The last batch is filled up with images from the first batch, masked out,
    so that statistics over a batch are those of real images.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [(batch.label.tolist(), batch.mask.tolist()) for batch in batches(data, 3)]
    [([0, 1, 2], [True, True, True]), ([3, 4, 0], [True, True, False])]

    Args:
      data: The images and labels: a data set or a stream.
      batch_size: Rows of a batch over all shards, at least 1.
      seed: Seed of the order, at least 0; ``None`` keeps the order of the set.
      epoch: Number of the pass over the data, at least 0; each has a different order.
      start: Number of the first batch, from 0 to the number of batches.
      shard: The part of each batch for this process, in 0…num_shards − 1; the whole batch is
        the concatenation of its parts.
      num_shards: Number of processes that share each batch, a divisor of ``batch_size``.
      balanced: Whether every class appears equally often, in the order of
        :func:`~jaxcnn.data.balanced_order`; requires a seed, and one class per image.
      state: ``state`` of the iterator that an earlier call returned, to go on after its last batch;
        only of streams that are read in order.

    Raises:
      TypeError: A number is not an integer.
      ValueError: A number is outside the range above, or ``balanced`` is set without a seed or
        one class per image.
    """
    return data.draw(
        Draw(
            batch_size=batch_size,
            seed=seed,
            epoch=epoch,
            start=start,
            shard=shard,
            num_shards=num_shards,
            balanced=balanced,
            state=state,
        )
    )


def steps_per_epoch(data: BatchSource, batch_size: int) -> int:
    """Return the number of batches of a pass over the data, including a partly filled one.

    >>> steps_per_epoch(Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5)), 3)
    2

    Args:
      data: The images.
      batch_size: Rows of a batch, at least 1.

    Raises:
      ValueError: The number of images is not known.
    """
    if data.num_examples is None:
        raise ValueError(
            "data without a known number of examples needs steps_per_epoch, the number of batches "
            f"that count as an epoch. Received: steps_per_epoch=None for {data!r}"
        )
    return -(-data.num_examples // arguments.check_integer("batch_size", batch_size, minimum=1))


def as_batch_source(name: str, data: Any, class_names: Sequence[str] = ()) -> BatchSource:
    """Return a data set or a stream, the data set of a pair, or a source of given batches.

    Args:
      name: Name of the argument, for the error.
      data: A data set, a stream, a pair ``(images, labels)``, or batches as
        :class:`jaxcnn.data.streaming.GivenBatches` takes them.
      class_names: The class names of a pair or of batches; by default those among the labels.

    Raises:
      TypeError: It is none of these.
      ValueError: The pair, or the first batch, does not make a data set.
    """
    if isinstance(data, Dataset | Stream | OrderedStream | GivenBatches):
        return data
    batched = isinstance(data, list) and bool(data) and isinstance(data[0], tuple)
    if isinstance(data, tuple | list) and len(data) == 2 and not batched:
        images, labels = data
        return Dataset(images, labels, tuple(class_names))
    iterable = isinstance(data, Iterable) and not isinstance(data, tuple | str | Mapping)
    if callable(data) or (iterable and not hasattr(data, "dtype")):
        return GivenBatches(data, tuple(class_names))
    raise TypeError(
        f"{name} must be a Dataset, as cnn.Dataset(images, labels) and cnn.data.load return, a "
        f"stream, batches, or (images, labels). Received: {name} of type {type(data).__name__}"
    )


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

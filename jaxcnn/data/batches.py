"""Batches of a data set: seeded, all of one shape, ready to travel."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from jaxcnn import shapes
from jaxcnn.data.dataset import Dataset


class Batch(NamedTuple):
    """What one step works on.

    Attributes:
      image: ``(batch, H, W, C)``, uint8 or floating point.
      label: ``(batch,)`` int32.
      mask: ``(batch,)`` bool; False marks rows that only fill the last batch up.
    """

    image: jax.Array | np.ndarray
    label: jax.Array | np.ndarray
    mask: jax.Array | np.ndarray


def batches(
    data: Dataset, batch_size: int, *, seed: int | None = None, epoch: int = 0
) -> Iterator[Batch]:
    """Yields every image once, in batches of one shape.

    The order depends on ``(seed, epoch)`` alone. A batch is one fancy index into the images:
    record by record the same takes a hundred times longer. The last batch is filled up with
    images from the first, masked out, so that statistics over a batch stay those of real images.

    >>> data = Dataset(np.zeros((5, 8, 8, 1), np.uint8), np.arange(5))
    >>> [(batch.label.tolist(), batch.mask.tolist()) for batch in batches(data, 3)]
    [([0, 1, 2], [True, True, True]), ([3, 4, 0], [True, True, False])]

    Args:
      data: The images and labels.
      batch_size: Rows of a batch, at least 1.
      seed: Shuffles, at least 0; ``None`` keeps the order.
      epoch: Number of the pass over the data, at least 0; each has an order of its own.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is out of its range.
    """
    size = shapes.whole("batch_size", batch_size, least=1)
    epoch = shapes.whole("epoch", epoch, least=0)
    order = np.arange(len(data))
    if seed is not None:
        key = shapes.whole("seed", seed, least=0), epoch
        order = np.random.default_rng(key).permutation(order)
    steps = -(-len(data) // size)
    rows = np.resize(order, (steps, size))
    masks = (np.arange(steps * size) < len(data)).reshape(steps, size)
    return (
        Batch(data.images[row], data.labels[row], mask)
        for row, mask in zip(rows, masks, strict=True)
    )

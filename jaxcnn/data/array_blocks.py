"""Iteration over an array block by block, so that it may be larger than memory."""

from collections.abc import Iterator

import jax
import numpy as np

_BLOCK_BYTES = 1 << 24


def blocks(array: np.ndarray | jax.Array) -> Iterator[tuple[int, np.ndarray]]:
    """Yield consecutive rows of an array, with the number of the first row of each block.

    >>> [(start, block.tolist()) for start, block in blocks(np.arange(3))]
    [(0, [0, 1, 2])]

    Args:
      array: ``(N, …)``, in memory, mapped from a file or on the device.
    """
    size = max(_BLOCK_BYTES // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array) if array.size else 0, size):
        yield start, np.asarray(array[start : start + size])

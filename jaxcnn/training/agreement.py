"""Values of the processes that train together: one for all, and whether they are the same."""

import json
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxcnn.modules.parameter_tree import from_numbers, numbers_of

T = TypeVar("T")

_PACKAGES = ("jaxcnn", "jax", "jaxlib", "flax", "optax", "numpy")
_SHOWN = 5


def gather_texts(text: str) -> list[str]:
    """Return the texts of all processes, in their order; each calls it with its own."""
    own = np.frombuffer(text.encode(), np.uint8)
    lengths = np.ravel(multihost_utils.process_allgather(np.int32(own.size)))
    padded = np.zeros(max(lengths), np.uint8)
    padded[: own.size] = own
    rows = np.reshape(multihost_utils.process_allgather(padded), (len(lengths), -1))
    return [
        bytes(row[:length]).decode() for row, length in zip(rows, map(int, lengths), strict=True)
    ]


def take_first(tree: T) -> T:
    """Return the arrays of process 0, bit for bit; the others give arrays of the same shapes."""

    def taken(array: jax.Array) -> jax.Array:
        own = np.asarray(numbers_of(array))
        # As bytes: JAX adds the arrays of the others as zeros, and -0.0 + 0 is 0.
        sent = multihost_utils.broadcast_one_to_all(np.frombuffer(own.tobytes(), np.uint8))
        received = np.frombuffer(np.asarray(sent).tobytes(), own.dtype).reshape(own.shape)
        return from_numbers(jax.numpy.asarray(received), array)

    return jax.tree.map(lambda array: taken(array) if array.size else array, tree)


def check_agreement(described: Mapping[str, object]) -> None:
    """Check that all processes have the same versions and train the same.

    Args:
      described: What this process trains, by name.

    Raises:
      ValueError: they differ; the message, the same on all processes, names the differences.
    """
    own = {name: metadata.version(name) for name in _PACKAGES} | {
        "Python": sys.version.split()[0],
        **{name: str(value) for name, value in described.items()},
    }
    found = [json.loads(text) for text in gather_texts(json.dumps(own))]
    names = dict.fromkeys(name for each in found for name in each)
    different = [name for name in names if len({each.get(name) for each in found}) > 1]
    if different:
        listed = "; ".join(_describe(name, found) for name in different[:_SHOWN])
        more = len(different) - _SHOWN
        raise ValueError(
            f"the {len(found)} processes must train the same with the same versions. They differ "
            f"in {listed}" + (f"; and {more} more" if more > 0 else "")
        )


def _describe(name: str, found: list[dict[str, str]]) -> str:
    """Return the values of a name, each with the numbers of its processes."""
    by_value: dict[str, list[str]] = {}
    for number, each in enumerate(found):
        by_value.setdefault(each.get(name, "nothing"), []).append(str(number))
    values = (
        f"{value} on process{'es' if len(numbers) > 1 else ''} {', '.join(numbers)}"
        for value, numbers in by_value.items()
    )
    return f"{name}: {' and '.join(values)}"

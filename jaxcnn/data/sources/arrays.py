"""Arrays in memory: ``(images, labels)``, or a mapping with the names that an archive has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcnn.data.dataset import Dataset

KIND = "arrays"


def is_arrays(source: Any) -> bool:
    """Return whether `source` is a tuple, or a mapping of arrays rather than of splits.

    >>> is_arrays({"images": [], "labels": []}), is_arrays({"train": [], "test": []})
    (True, False)
    """
    if isinstance(source, Mapping):
        return bool(source.keys() & {"images", "labels", "image", "label"})
    return isinstance(source, tuple)


def open_source(
    source: tuple[Any, ...] | Mapping[str, Any], data_dir: str | Path | None
) -> Dataset:
    """Return the arrays as a data set.

    Args:
      source: ``(images, labels)``, or a mapping with ``images``, ``labels`` and, optionally,
        ``class_names``.
      data_dir: Not used.

    Raises:
      TypeError: Images or labels have the wrong dtype.
      ValueError: The arrays do not make a data set.
    """
    del data_dir
    if isinstance(source, Mapping):
        return from_mapping(source, "a mapping of arrays")
    if len(source) != 2:
        raise ValueError(
            f"arrays must be the pair (images, labels). Received: a tuple of {len(source)}"
        )
    return Dataset(*source)


def from_mapping(arrays: Mapping[str, Any], name: str) -> Dataset:
    """Return the data set of the arrays ``images``, ``labels`` and ``class_names``.

    Args:
      arrays: The arrays by name.
      name: Name of the mapping in errors.

    Raises:
      ValueError: An array is missing, or the arrays do not make a data set.
    """
    if not arrays.keys() >= {"images", "labels"}:
        raise ValueError(f"{name} must hold 'images' and 'labels'. Received: {sorted(arrays)}")
    class_names = tuple(map(str, arrays.get("class_names", ())))
    return Dataset(arrays["images"], arrays["labels"], class_names)

"""Folders of ArrayRecord shards: the encoded pictures of a set, in files that any host streams.

``shards.json`` names the classes, and of each split its files with their sizes in bytes, and
``SPLIT.labels.npy`` holds the class numbers. Of each record, the first line is its picture's name
as JSON, and the rest the bytes of the picture as they were.
"""

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.decoding.undecoded import Undecoded

KIND = "record shards"
INDEX, FORMAT = "shards.json", "jaxcnn-shards-1"


@dataclass(frozen=True)
class Shards:
    """The pictures in the shards of a split, as records.

    Attributes:
      paths: The files.
      labels: ``(N,)`` class numbers.
    """

    paths: Sequence[Path]
    labels: np.ndarray

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the bytes, the class number and the name of a picture."""
        name, _, picture = self._records[row].partition(b"\n")
        return {"image": picture, "label": self.labels[row], "name": repr(json.loads(name))}

    @functools.cached_property
    def _records(self) -> Any:
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        return ArrayRecordDataSource(self.paths)


def is_record_shards(source: str | Path) -> bool:
    """Return whether a folder holds shards that :func:`jaxcnn.data.write_shards` wrote."""
    return os.path.isfile(Path(os.path.expanduser(source)) / INDEX)


def open_source(source: str | Path, data_dir: str | Path | None) -> Undecoded:
    """Return the pictures in shards, without decoding one.

    Args:
      source: The folder.
      data_dir: Not used.

    Raises:
      ValueError: The index is damaged, or a file is missing or has another size.
    """
    del data_dir
    root = Path(os.path.expanduser(source))
    text = (root / INDEX).read_text(encoding="utf-8")
    splits = {}
    try:
        index = json.loads(text)
        if index["format"] != FORMAT:
            raise ValueError(f"its format is {arguments.shown(index['format'])}, not {FORMAT!r}")
        names = tuple(index["class_names"])
        for split, files in index["splits"].items():
            _check_files(root, files)
            shards = [root / name for name in files if not name.endswith(".npy")]
            labels = np.load(root / f"{split}.labels.npy", allow_pickle=False)
            splits[split] = Shards(shards, labels)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"the shards in {str(root)!r} are damaged: {error}") from error
    return Undecoded(
        str(root),
        {split: len(shards) for split, shards in splits.items()},
        splits.__getitem__,
        names,
        folder=root,
        content=index["content"],
    )


def _check_files(root: Path, files: dict[str, int]) -> None:
    for name, size in files.items():
        path = root / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if path.stat().st_size != size:
            raise ValueError(f"{name} has {path.stat().st_size:,} bytes of {size:,}")

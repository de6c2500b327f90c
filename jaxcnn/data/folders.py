"""Folders of pictures: a folder per class, and perhaps ``train``, ``test`` and ``val`` above."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcnn.data.splits import evenly, every_fifth

_SUFFIXES = frozenset(["bmp", "gif", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"])
_SPLITS = ("train", "test", "val", "valid", "validation")


@dataclass(frozen=True)
class Files:
    """Picture files and their classes, as records.

    Attributes:
      root: The folder that the paths start from.
      paths: One per picture.
      labels: ``(N,)`` class numbers.
    """

    root: Path
    paths: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.paths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Returns the path and the class number of a picture."""
        return {"image": f"{self.root}/{self.paths[row]}", "label": self.labels[row]}

    def take(self, rows: np.ndarray) -> "Files":
        """Returns these files, in an order in which every class is spread evenly."""
        rows = rows[evenly(self.labels[rows])]
        return Files(self.root, [self.paths[row] for row in rows], self.labels[rows])


class PictureFolder(NamedTuple):
    """What is in a folder of pictures.

    Attributes:
      splits: The files of each split.
      class_names: One per class.
      digest: Changes with the name, size or time of change of any picture.
    """

    splits: dict[str, Files]
    class_names: tuple[str, ...]
    digest: str


def scan(root: Path) -> PictureFolder:
    """Reads the names in a folder of pictures, without opening any.

    A class is a folder, its name in Unicode's composed form (NFC), the classes sorted by it. Its
    pictures are the files with a usual suffix in it and in folders below; other files and hidden
    ones (``.name``) are ignored. Where ``train`` holds class folders itself, it is a split, and so
    are ``test``, ``val``, ``valid`` and ``validation``; else every fifth picture of each class, by
    its name, is for testing.

    Raises:
      ValueError: there is no class folder, one has no picture, or two have one name.
    """
    digest = hashlib.sha256()
    if _holds_classes(root / "train"):
        parts = [name for name in _SPLITS if _holds_classes(root / name)]
    else:
        parts = [""]
    found = {name: _classes(root, name, digest) for name in parts}
    names = tuple(sorted(set().union(*found.values())))
    splits = {}
    for name, classes in found.items():
        paths = [path for each in names for path in classes.get(each, ())]
        counts = [len(classes.get(each, ())) for each in names]
        files = Files(root, paths, np.repeat(np.arange(len(names)), counts))
        if name:
            splits[name] = files.take(np.arange(len(files)))
        else:
            held_out = every_fifth(files.labels)
            splits["train"] = files.take(np.flatnonzero(~held_out))
            splits["test"] = files.take(np.flatnonzero(held_out))
    return PictureFolder(splits, names, digest.hexdigest()[:16])


def _classes(root: Path, split: str, digest: Any) -> dict[str, list[str]]:
    """Returns the paths of each class below ``root / split``, and feeds what they are to digest."""
    classes: dict[str, list[str]] = {}
    folder = root / split
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
        name = unicodedata.normalize("NFC", entry.name)
        if name in classes:
            raise ValueError(f"two folders in {str(folder)!r} have the name {name!r}")
        prefix = f"{split}/{entry.name}" if split else entry.name
        classes[name] = list(_pictures(entry.path, prefix, digest))
        if not classes[name]:
            raise ValueError(f"the class folder {entry.path!r} has no picture in it")
    if not classes:
        files = sum(1 for entry in _entries(folder))
        raise ValueError(
            f"{str(folder)!r} must have a folder of pictures for each class. "
            f"Received: {files} files and no folder"
        )
    return classes


def _pictures(folder: str, prefix: str, digest: Any) -> Iterator[str]:
    for entry in _entries(folder):
        path = f"{prefix}/{entry.name}"
        # A link to a folder may lead back up; links to class folders and to files are followed.
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures(entry.path, path, digest)
        elif entry.name.rpartition(".")[2].lower() in _SUFFIXES:
            status = entry.stat()
            digest.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"))
            yield path


def _holds_classes(folder: Path) -> bool:
    """Whether a folder has folders in it and no picture."""
    if not folder.is_dir():
        return False
    entries = _entries(folder)
    suffixes = {entry.name.rpartition(".")[2].lower() for entry in entries}
    return not suffixes & _SUFFIXES and any(entry.is_dir() for entry in entries)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Returns what is in a folder, sorted by name, without what is hidden."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: entry.name)

"""Folders of pictures: a folder per class, and perhaps ``train``, ``test`` and ``val`` above."""

import functools
import hashlib
import os
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxcnn.data.splits import evenly, every_fifth

_SUFFIXES = ["bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"]
# Folders that may be splits, in small letters, and what the split is called then.
_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | {
    name: name for name in ("val", "valid", "validation")
}


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
      digest: Changes with the name, size or times of change of any picture.
    """

    splits: dict[str, Files]
    class_names: tuple[str, ...]
    digest: str


def scan(root: Path) -> PictureFolder:
    """Reads the names in a folder of pictures, without opening any.

    A class is a folder, its name in Unicode's composed form (NFC), the classes sorted by it. Its
    pictures are the files with a usual suffix in it and in folders below; other files and hidden
    ones (``.name``) are ignored. Where ``train`` or ``training`` holds class folders itself, it is
    a split, and so are ``test`` or ``testing``, ``val``, ``valid`` and ``validation``, in letters
    of any case; else every fifth picture of each class, by its name, is for testing.

    Raises:
      ValueError: there is no class folder, one has no picture, two have one name, or folders are
        named as splits and hold no classes.
    """
    digest = hashlib.sha256()
    parts = _split_folders(root) or {"": ""}
    found = {split: _classes(root, folder, digest) for split, folder in parts.items()}
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


def _split_folders(root: Path) -> dict[str, str]:
    """Returns the folder of each split, or nothing where the folders are classes."""
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    named = [entry for entry in folders if entry.name.lower() in _SPLITS]
    splits: dict[str, str] = {}
    for entry in filter(_holds_classes, named):
        split = _SPLITS[entry.name.lower()]
        if splits.setdefault(split, entry.name) != entry.name:
            raise ValueError(
                f"two folders in {str(root)!r} are the split {split!r}: "
                f"{splits[split]!r} and {entry.name!r}"
            )
    if "train" not in splits and len(named) < len(folders):
        return {}  # some of the classes are called so
    if named and not splits:
        raise ValueError(
            "folders named as splits must hold a folder of pictures for each class. "
            f"Received: none in {[entry.name for entry in named]} in {str(root)!r}"
        )
    for entry in folders:
        if entry.name not in splits.values() and any(map(_is_picture, _entries(entry.path))):
            warnings.warn(f"the pictures in {entry.path!r} are of no class: left out", stacklevel=2)
    return {split: splits[split] for split in dict.fromkeys(_SPLITS.values()) if split in splits}


def _classes(root: Path, part: str, digest: Any) -> dict[str, list[str]]:
    """Returns the paths of each class below ``root / part``, and feeds what they are to digest."""
    classes: dict[str, list[str]] = {}
    folder = root / part
    for entry in _entries(folder):
        if not entry.is_dir():
            continue
        # A name need not be UTF-8, but has to be text in the files that tell of the set.
        text = os.fsencode(entry.name).decode(errors="backslashreplace")
        name = unicodedata.normalize("NFC", text)
        if name in classes:
            raise ValueError(f"two folders in {str(folder)!r} have the name {name!r}")
        prefix = f"{part}/{entry.name}" if part else entry.name
        classes[name] = list(_pictures(entry.path, prefix, digest))
        if not classes[name]:
            raise ValueError(
                f"the class folder {entry.path!r} has no picture in it: no file that ends in "
                f"{', '.join(sorted(_suffixes()))}"
            )
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
        elif _is_picture(entry):
            try:
                status = entry.stat()
                # Whoever sets the time of the last writing back cannot set the other.
                known = f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
            except OSError:  # such as a link that leads nowhere: told when it is read
                known = ""
            digest.update(os.fsencode(f"{path}\0{known}\n"))
            yield path


def _holds_classes(folder: os.DirEntry[str]) -> bool:
    """Whether a folder has folders in it and no picture."""
    entries = _entries(folder.path)
    return any(entry.is_dir() for entry in entries) and not any(map(_is_picture, entries))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return entry.name.rpartition(".")[2].lower() in _suffixes()


@functools.cache
def _suffixes() -> frozenset[str]:
    readable = {"avif"} if ".avif" in Image.registered_extensions() else set()
    return frozenset(readable.union(_SUFFIXES))


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Returns what is in a folder, sorted by name, without what is hidden."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: entry.name)

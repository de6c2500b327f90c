"""Folders of pictures: one folder per class, optionally inside ``train``, ``test`` and ``val``."""

import functools
import hashlib
import os
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from jaxcnn import arguments
from jaxcnn.data.decoding.clips import VIDEOS
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.labels import sort_class_names
from jaxcnn.data.splits import NAMES, evenly, every_fifth

KIND = "folder"

# From a folder, the beginning of the paths and a digest to the paths of what the folder holds.
Find: TypeAlias = Callable[[str, str, Any], Iterator[str]]

_SUFFIXES = ["bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"]


# Folders that macOS adds to a ZIP file, Synology to a share and Windows to a disk.
_ADDED = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information")


@dataclass(frozen=True)
class Files:
    """Picture files and their classes, as records.

    Attributes:
      root: The folder to which the paths are relative.
      paths: One per picture.
      labels: ``(N,)`` class numbers.
    """

    root: Path
    paths: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.paths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the path and the class number of a picture."""
        return {"image": f"{self.root}/{self.paths[row]}", "label": self.labels[row]}

    def take(self, rows: np.ndarray) -> "Files":
        """Return the files of these rows, in an order that spreads every class evenly."""
        rows = rows[evenly(self.labels[rows])]
        return Files(self.root, [self.paths[row] for row in rows], self.labels[rows])


def is_folder(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` is an existing folder, and not meant as the name of a data set.

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string is the name of a data set in this folder.
    """
    meant = data_dir is None or isinstance(source, Path)
    return bool(source) and meant and os.path.isdir(os.path.expanduser(source))


def open_source(source: str | Path, data_dir: str | Path | None) -> Undecoded:
    """Return the pictures in a folder, without opening one.

    A class is a folder; its name is normalized to Unicode NFC, and classes are sorted by name, or
    by value where all names are numbers. Its pictures are the files with a usual suffix in it and
    in folders below; other files, hidden ones (``.name``) and ``__MACOSX`` are ignored. Where
    ``train`` or ``training`` holds class folders itself, it is a split, and so are ``test`` or
    ``testing``, ``val``, ``valid`` and ``validation``, in any letter case. Otherwise every fifth
    picture of each class, by name, is in ``test``.

    Args:
      source: Path of the folder, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: There is no class folder, one has no picture, two have the same name, folders are
        named as splits and hold no classes, or the classes are a level deeper.
    """
    del data_dir
    return open_class_folders(
        source,
        picture_files,
        f"picture in it: no file that ends in {', '.join(sorted(picture_suffixes()))}",
    )


def open_class_folders(source: str | Path, find: Find, missing: str) -> Undecoded:
    """Return the files of class folders, or of class folders in folders of splits, by path.

    Args:
      source: Path of the folder, which may start with ``~``.
      find: Yield the paths of what a class folder holds: see :func:`picture_files`.
      missing: The words for what an empty class folder lacks, and the reason.

    Raises:
      ValueError: As for :func:`open_source`.
    """
    root = Path(os.path.expanduser(source))
    digest = hashlib.sha256()
    parts = _split_folders(root) or {"": ""}
    found = {
        split: _classes(root, folder, digest, find, missing) for split, folder in parts.items()
    }
    for part, classes in zip(parts.values(), found.values(), strict=True):
        _check_depth(root / part, classes)
    names = sort_class_names(set().union(*found.values()))
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
    return Undecoded(
        str(root),
        {split: len(files) for split, files in splits.items()},
        splits.__getitem__,
        names,
        folder=root,
        content=digest.hexdigest()[:16],
    )


def _split_folders(root: Path) -> dict[str, str]:
    """Return the folder of each split, or nothing where the folders are classes."""
    folders = [entry for entry in visible_entries(root) if entry.is_dir()]
    named = [entry for entry in folders if entry.name.lower() in NAMES]
    splits: dict[str, str] = {}
    for entry in filter(_holds_classes, named):
        split = NAMES[entry.name.lower()]
        if splits.setdefault(split, entry.name) != entry.name:
            raise ValueError(
                f"two folders in {str(root)!r} are the split {split!r}: "
                f"{splits[split]!r} and {entry.name!r}"
            )
    if "train" not in splits and len(named) < len(folders):
        return {}  # some classes have the names of splits
    if named and not splits:
        raise ValueError(
            "folders named as splits must hold a folder of pictures for each class. "
            f"Received: none in {arguments.shown([entry.name for entry in named])} in {str(root)!r}"
        )
    for entry in folders:
        if entry.name not in splits.values() and any(map(is_picture, visible_entries(entry.path))):
            warnings.warn(
                f"the pictures in {entry.path!r} belong to no class and are left out", stacklevel=2
            )
    return {split: splits[split] for split in dict.fromkeys(NAMES.values()) if split in splits}


def _classes(root: Path, part: str, digest: Any, find: Find, missing: str) -> dict[str, list[str]]:
    """Return the paths of each class below ``root / part``, and add their status to `digest`."""
    classes: dict[str, list[str]] = {}
    folder = root / part
    for entry in visible_entries(folder):
        if not entry.is_dir():
            continue
        # A name need not be UTF-8, but class names are written to text files.
        text = os.fsencode(entry.name).decode(errors="backslashreplace")
        name = unicodedata.normalize("NFC", text)
        if name in classes:
            raise ValueError(f"two folders in {str(folder)!r} have the name {name!r}")
        prefix = f"{part}/{entry.name}" if part else entry.name
        classes[name] = list(find(entry.path, prefix, digest))
        if not classes[name]:
            raise ValueError(
                f"the class folder {entry.path!r} has no {missing}{_hint(entry.path, find)}"
            )
    if not classes:
        files = sum(1 for entry in visible_entries(folder))
        raise ValueError(
            f"{str(folder)!r} must have a folder of pictures for each class. "
            f"Received: {files} files and no folder"
        )
    return classes


def _check_depth(folder: Path, classes: Collection[str]) -> None:
    """Check that the folders in `folder` are the classes, not what holds the splits or classes.

    Raises:
      ValueError: they are not; the message names the folder to use.
    """
    found = [entry for entry in visible_entries(folder) if entry.is_dir() and _holds_classes(entry)]
    for entry in found:
        inner = [each.name for each in visible_entries(entry.path) if each.is_dir()]
        if any(name.lower() in NAMES for name in inner):
            reason = f"the folders {inner[:5]} in it are named as splits"
        elif len(inner) > 1 and len(classes) == 1:
            reason = f"it alone holds the folders {inner[:5]}"
        else:
            continue
        raise ValueError(
            f"{str(folder)!r} must hold the folders of the classes. Received: {entry.name!r} as a "
            f"class, but {reason}. Use {entry.path!r}"
        )


def _hint(folder: str, find: Find) -> str:
    suffixes = {entry.name.rpartition(".")[2].lower() for entry in visible_entries(folder)}
    if find is picture_files and suffixes & {*VIDEOS}:
        return ". It holds videos: pass frames=16 to load clips of 16 frames"
    return ""


def picture_files(folder: str, prefix: str, digest: Any) -> Iterator[str]:
    """Yield the paths of the pictures in a folder and below, and add their status to `digest`.

    Args:
      folder: Path of the folder.
      prefix: The beginning of the paths in place of `folder`.
      digest: A hash of :mod:`hashlib`.
    """
    for entry in visible_entries(folder):
        path = f"{prefix}/{entry.name}"
        # A link to a folder may lead to a parent; links to class folders and to files are followed.
        if entry.is_dir(follow_symlinks=False):
            yield from picture_files(entry.path, path, digest)
        elif is_picture(entry):
            digest.update(status_line(entry, path))
            yield path


def status_line(entry: os.DirEntry[str], path: str) -> bytes:
    """Return a line that changes with the path, the size and the times of a file."""
    try:
        status = entry.stat()
        # A program can reset the modification time, but not the change time.
        known = f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
    except OSError:  # such as a broken link, which is an error when it is read
        known = ""
    return os.fsencode(f"{path}\0{known}\n")


def _holds_classes(folder: os.DirEntry[str]) -> bool:
    """Return whether a folder holds folders and no picture."""
    entries = visible_entries(folder.path)
    return not any(map(is_picture, entries)) and any(entry.is_dir() for entry in entries)


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Return whether the name of a file ends as that of a picture."""
    return entry.name.rpartition(".")[2].lower() in picture_suffixes()


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of pictures, in lower case and without the dot."""
    readable = {"avif"} if ".avif" in Image.registered_extensions() else set()
    return frozenset(readable.union(_SUFFIXES))


def visible_entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return the visible entries of a folder that a system has not added, sorted by name."""
    with os.scandir(folder) as entries:
        visible = [
            entry
            for entry in entries
            if not entry.name.startswith(".") and entry.name not in _ADDED
        ]
    return sorted(visible, key=lambda entry: entry.name)

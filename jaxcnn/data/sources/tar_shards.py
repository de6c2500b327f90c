"""Shards in the layout of WebDataset: tar files with a picture and a ``.cls`` of each example."""

import glob
import itertools
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.decoding import cache
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.labels import sort_class_names
from jaxcnn.data.slow_work import show_progress
from jaxcnn.data.sources.picture_folder import picture_suffixes

KIND = "shards"
_LABEL = "cls"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
# A tar is made of blocks of this many bytes; the name begins the block before the contents.
_BLOCK, _NAME = 512, 100


class _Place(NamedTuple):
    """The place of a picture in a shard, and its label."""

    offset: int
    size: int
    label: str


@dataclass(frozen=True)
class Members:
    """The pictures in tar files, as records.

    Attributes:
      paths: The tar files.
      places: ``(N, 3)`` number of the file, offset and size of each picture.
      labels: ``(N,)`` class numbers.
    """

    paths: Sequence[str]
    places: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the bytes, the class number and the name of a picture."""
        shard, offset, size = self.places[row].tolist()
        with open(self.paths[shard], "rb", buffering=0) as file:
            file.seek(offset - _BLOCK)
            read = file.read(_BLOCK + size)
        member = read[:_NAME].partition(b"\0")[0].decode(errors="replace")
        name = arguments.shown(f"{self.paths[shard]}:{member}")
        return {"image": read[_BLOCK:], "label": self.labels[row], "name": name}


def is_shards(source: str | Path) -> bool:
    """Return whether a path or a pattern of paths ends in ``.tar``."""
    return str(source).lower().endswith(".tar")


def open_source(source: str | Path, data_dir: str | Path | None) -> Undecoded:
    """Return the pictures in tar files, without decoding one; the headers are read.

    Members that share the part of their name before its first dot are an example: a picture, and
    its class as a number or a name in ``.cls``; others are ignored.

    Args:
      source: A path; in it, ``{000..127}`` stands for these numbers, and ``*`` for any characters.
      data_dir: Not used.

    Raises:
      ValueError: A file is missing, is no tar, or is incomplete, or a picture has no class.
    """
    del data_dir
    paths = _expand(os.path.expanduser(source))
    shown = show_progress(f"reading the headers of {source}", paths, len(paths))
    found = [list(_pictures(path)) for path in shown]
    if not any(found):
        raise ValueError(f"{str(source)!r} must hold pictures. Received: none in {paths}")
    labels = [place.label for places in found for place in places]
    names, numbers = _classes(labels)
    places = np.array(
        [(n, place.offset, place.size) for n, places in enumerate(found) for place in places]
    )
    members = Members(paths, places, numbers)
    known = (f"{path} {os.stat(path).st_size} {os.stat(path).st_mtime_ns}" for path in paths)
    return Undecoded(
        str(source),
        {"all": len(members)},
        lambda split: members,
        names,
        folder=Path(paths[0]),
        content=cache.digest(known),
    )


def _expand(pattern: str) -> list[str]:
    """Return the paths that a pattern stands for, all of which exist."""
    parts = _RANGE.split(pattern)
    ranges = [
        [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
        for first, last in zip(parts[1::3], parts[2::3], strict=True)
    ]
    fixed = parts[::3]
    paths = []
    for numbers in itertools.product(*ranges):
        path = "".join(itertools.chain(*zip(fixed, (*numbers, ""), strict=True)))
        paths += sorted(glob.glob(path)) if glob.has_magic(path) else [path]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing or not paths:
        folder = os.path.dirname(pattern) or "."
        near = sorted(glob.glob(os.path.join(glob.escape(folder), "*.tar")))
        hint = arguments.nearest(missing[0] if missing else pattern, near) if near else ""
        raise ValueError(
            f"every shard must exist. Received: {arguments.shown(pattern)}, and "
            f"{len(missing) or 'all'} missing: {arguments.shown(missing[:3] or [pattern])}. {hint}"
        )
    return paths


def _pictures(path: str) -> Iterator[_Place]:
    """Yield the pictures of a tar file with their classes.

    Raises:
      ValueError: The file is not a complete tar, or a picture has no class.
    """
    end, unlabeled = 0, ""
    try:
        with tarfile.open(path, "r:") as tar:
            files = (member for member in tar if member.isfile())
            for key, members in itertools.groupby(files, lambda member: _split(member.name)[0]):
                of_suffix = {_split(member.name)[1]: member for member in members}
                last = max(of_suffix.values(), key=lambda member: member.offset)
                end = last.offset_data + -(-last.size // _BLOCK) * _BLOCK
                picture = next(
                    (m for suffix, m in of_suffix.items() if suffix in picture_suffixes()), None
                )
                if picture is None:
                    continue
                file = tar.extractfile(of_suffix[_LABEL]) if _LABEL in of_suffix else None
                if file is None:
                    unlabeled = unlabeled or f"{key}.{_LABEL}"
                    continue
                label = file.read().decode(errors="replace").strip()
                yield _Place(picture.offset_data, picture.size, label)
    except tarfile.TarError as error:
        raise ValueError(f"{path!r} is not a complete tar file: {error}") from error
    if os.path.getsize(path) < end + _BLOCK:
        raise ValueError(f"{path!r} is not a complete tar file: it has no end marker")
    if unlabeled:
        raise ValueError(
            f"each picture must have a class, a member {unlabeled!r}. Received: none in {path!r}. "
            "Of a tar of class folders, unpack it and pass the folder"
        )


def _split(name: str) -> tuple[str, str]:
    """Return the name of an example and the suffix of its part, as WebDataset does."""
    folder, _, base = name.rpartition("/")
    key, _, suffix = base.partition(".")
    return f"{folder}/{key}" if folder else key, suffix.lower()


def _classes(labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes, and the number of each label: itself if all are numbers."""
    present = sort_class_names({*labels})
    if all(label.isascii() and label.isdecimal() for label in present):
        numbers = np.array([int(label) for label in labels])
        return tuple(map(str, range(int(numbers.max()) + 1))), numbers
    places = {name: number for number, name in enumerate(present)}
    return present, np.array([places[label] for label in labels])

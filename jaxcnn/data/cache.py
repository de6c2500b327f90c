"""Decoded images, kept as a memory-mapped array beside what they were decoded from.

A set is decoded block by block into a file, and that file is mapped: the operating system reads
what is used and forgets it when memory is short, so that sets larger than memory go the same way
as small ones. A kept set is safe to delete at any time.

One process at a time decodes into a place, under a lock that a killed process lets go. So what is
half-written and under no lock is left from such a process, and removed.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from filelock import FileLock

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding import Block, Records

# Part of every key: a new number makes everything that was kept be decoded anew.
_FORMAT = 1
_LOCK = ".lock"
_PARTIAL = ".partial"
_ARRAYS = ("images.npy", "labels.npy")
# The label of an image whose class is kept secret, as the test sets of competitions have it.
_SECRET = -1


class Kept(NamedTuple):
    """A decoded set.

    Attributes:
      images: Mapped from a file, so that they are read when they are used.
      labels: ``(N,)`` class numbers.
      class_names: One per class, of all splits.
      sizes: How many images each split has, one after the other.
      skipped: What was wrong with each record that was left out.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    skipped: list[str]

    def take(self, rows: slice | np.ndarray) -> Dataset:
        """Returns the images and labels of these rows; a slice is a view."""
        return Dataset(self.images[rows], self.labels[rows], self.class_names)


def places(source: Path, cache_dir: str | Path | None) -> list[Path]:
    """Returns where what was decoded from a folder may be kept, the first choice first.

    It is a hidden folder beside the source, not in it: other libraries take each folder in it for
    a class.

    Args:
      source: The folder.
      cache_dir: Where the user wants it; ``None`` means beside the source, or in
        ``$XDG_CACHE_HOME/jaxcnn/data`` where that cannot be written.
    """
    source = source.resolve()
    name = f"{source.name}-{digest([str(source)])}"
    if cache_dir is not None:
        return [Path(cache_dir) / name]
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [source.parent / f".{source.name}.jaxcnn-cache", user / "jaxcnn" / "data" / name]


def listing(folder: Path) -> Iterator[str]:
    """Yields name, size and times of change of each file in a folder."""
    for path in sorted(folder.iterdir()):
        status = path.stat()
        yield f"{path.name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def digest(parts: Iterable[str]) -> str:
    """Returns a short name for what the parts say."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def open_or_decode(
    records: Records,
    splits: Mapping[str, int],
    class_names: Sequence[str],
    *,
    content: str,
    places: Sequence[Path],
) -> Kept:
    """Returns the decoded records from where they are kept, or decodes them and keeps them.

    Args:
      records: The records and the form in which they are wanted.
      splits: How many records each split has, one after the other.
      class_names: One per class; none leaves them to the labels.
      content: Changes whenever the records do.
      places: As :func:`places` returns them.

    Raises:
      OSError: no place can be written, or the disk is full.
    """
    started = time.time()
    for place in places:
        kept = _find(place, records, splits, content)
        if kept is not None:
            _remove_abandoned(place)
            return kept
    with _alone_in(places) as place:
        _remove_partial(place)
        kept = _find(place, records, splits, content)
        if kept is None:  # else another process has decoded it meanwhile
            form = _form(records, splits)
            kept = _decode(place / f"{form}-{content}", records, splits, class_names)
            _remove_earlier(place, form, started)
        return kept


def decode_for_now(records: Records, splits: Mapping[str, int], class_names: Sequence[str]) -> Kept:
    """Returns the decoded records in a temporary file that is gone when the set is.

    The file has no name, so that a killed process leaves nothing.

    Args:
      records: The records and the form in which they are wanted.
      splits: How many records each split has, one after the other.
      class_names: One per class; none leaves them to the labels.

    Raises:
      OSError: the disk is full.
    """
    with tempfile.TemporaryFile() as file:
        return _write(file, records, splits, class_names)


def _form(records: Records, splits: Iterable[str]) -> str:
    return digest(map(str, [_FORMAT, records.image_size, records.channels, *splits]))


def _find(place: Path, records: Records, splits: Iterable[str], content: str) -> Kept | None:
    """Returns what is kept in a place in the form that is wanted, if it is there and whole."""
    kept = _open_whole(place / f"{_form(records, splits)}-{content}")
    if kept is None and records.channels is not None:
        # Pictures that have so many channels by themselves serve as well.
        kept = _find(place, replace(records, channels=None), splits, content)
        if kept is not None and kept.images.dtype == np.uint8:
            return kept if kept.images.shape[3:] == (records.channels,) else None
        return None
    return kept


def _open_whole(folder: Path) -> Kept | None:
    """Returns what is kept in a folder; ``None`` if nothing is, or it is damaged or not ours."""
    try:
        description = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        if description["files"] != _files(folder):
            return None  # something has written to them since
        names = tuple(description["class_names"])
        return Kept(images, labels, names, description["splits"], description["skipped"])
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None  # and so it is decoded anew


def _files(folder: Path) -> dict[str, list[int]]:
    """Returns size and time of change of the arrays: what wrote to them since, shows here."""
    statuses = {name: (folder / name).stat() for name in _ARRAYS}
    return {name: [status.st_size, status.st_mtime_ns] for name, status in statuses.items()}


def _decode(
    folder: Path, records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> Kept:
    """Decodes into a folder that appears whole or not at all, and returns what is in it."""
    staging = folder.with_name(folder.name + _PARTIAL)
    staging.mkdir()
    try:
        with (staging / "images.npy").open("w+b") as file:
            kept = _write(file, records, splits, class_names)
        np.save(staging / "labels.npy", kept.labels, allow_pickle=False)
        description = {
            "splits": kept.sizes,
            "class_names": kept.class_names,
            "skipped": kept.skipped,
            "files": _files(staging),
        }
        (staging / "info.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        _remove(folder)  # if there is one, it is damaged
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return kept


def _write(
    file: BinaryIO, records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> Kept:
    """Decodes into a file, and returns what is in it, checked."""
    images, labels, rows, skipped = records.decode(lambda blocks: _write_images(file, blocks))
    secret = np.zeros(len(labels), bool)
    if labels.dtype.kind == "i":
        secret = labels == _SECRET  # an error where such images are asked for, and only there
    shown = np.where(secret, 0, labels) if secret.any() else labels
    data = Dataset(images, shown, tuple(class_names))
    stops = np.searchsorted(rows, np.cumsum([0, *splits.values()]))
    sizes = dict(zip(splits, np.diff(stops).tolist(), strict=True))
    labels = np.where(secret, _SECRET, data.labels)
    return Kept(images, labels, data.class_names, sizes, skipped)


def _write_images(
    file: BinaryIO, blocks: Iterator[Block]
) -> tuple[np.ndarray, np.ndarray, list[int], list[str]]:
    """Writes all images as one ``.npy``; returns them mapped, with labels, rows and skips."""
    labels: list[Any] = []
    rows: list[int] = []
    skipped: list[str] = []
    file.seek(0)
    file.truncate()  # of what was written before color came up after gray
    for block in blocks:
        if not file.tell():
            header = np.lib.format.header_data_from_array_1_0(block.images)
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
        with _naming_a_full_disk(file):
            file.write(block.images.data)
        labels += block.labels
        rows += block.rows
        skipped += block.skipped
    # How many images there are is known now. NumPy leaves room for it in the header.
    file.seek(0)
    header["shape"] = (len(rows), *header["shape"][1:])
    np.lib.format.write_array_header_1_0(file, header)
    with _naming_a_full_disk(file):
        file.flush()
    images = np.memmap(file, header["descr"], "r", start, header["shape"])
    return images, np.asarray(labels), rows, skipped


@contextmanager
def _naming_a_full_disk(file: BinaryIO) -> Iterator[None]:
    """Has the error of a full disk say which, and what to do."""
    try:
        yield
    except OSError as error:
        path = file.name if isinstance(file.name, str) else tempfile.gettempdir()
        advice = f"{error.strerror}; make room, or name another place by cache_dir=…"
        raise OSError(error.errno, advice, path) from error


@contextmanager
def _alone_in(places: Sequence[Path]) -> Iterator[Path]:
    """Yields the first place that can be written, as soon as no other process writes there."""
    problem = None
    for place in places:
        lock = FileLock(place / _LOCK)
        try:
            place.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            problem = problem or error
            continue
        if problem is not None:
            warnings.warn(f"{problem}; what is decoded is kept in {place}", stacklevel=2)
        try:
            yield place
        finally:
            lock.release()
        return
    raise OSError(
        f"there is no place to keep decoded images: {problem}. Choose a folder by cache_dir=…"
    ) from problem


def _remove_abandoned(place: Path) -> None:
    """Removes what a killed process left half-written, unless another one is at work."""
    if any(place.glob(f"*{_PARTIAL}*")):
        with suppress(OSError), FileLock(place / _LOCK, timeout=0):
            _remove_partial(place)


def _remove_partial(place: Path) -> None:
    for folder in place.glob(f"*{_PARTIAL}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_earlier(place: Path, form: str, started: float) -> None:
    """Removes what was kept of contents in this form before they were looked at for this time."""
    for folder in place.glob(f"{form}-*"):
        with suppress(FileNotFoundError):  # whoever deletes what is kept may do so at any time
            if folder.stat().st_mtime < started:
                _remove(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

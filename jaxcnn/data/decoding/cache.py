"""The cache of decoded images: memory-mapped arrays beside the source.

A set is decoded block by block into a file, and that file is mapped: the operating system reads the
pages in use and drops them when memory is short, so that a set may be larger than memory. The
folder of a decoded set is safe to delete at any time.

One process at a time decodes into a folder, under a lock that the operating system releases when a
process is killed. A partial folder without a lock was left by a killed process, and is removed.
"""

import hashlib
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.record_decoding import Block, Records
from jaxcnn.data.resizing import Resizing
from jaxcnn.data.slow_work import show_progress
from jaxcnn.runtime import cache_folder

# Part of every key: increase it to invalidate all caches.
_FORMAT = 3
# Pictures of 16 bits whose values all stay below this (13 bits) hold data of fewer bits.
_DARK = 1 << 13
_LOCK = ".lock"
_PARTIAL = ".partial"
_ARRAYS = ("images.npy", "labels.npy")
# The label of an image whose class is not published, as in the test sets of competitions.
_SECRET = -1


@dataclass(frozen=True)
class Decoded:
    """A decoded set.

    Attributes:
      images: Images of all splits, mapped from a file.
      labels: ``(N,)`` class numbers.
      class_names: One per class, of all splits.
      sizes: Number of images of each split, in the order of the rows.
      skipped: Number and error of each record that was left out, by number.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    skipped: list[tuple[int, str]]

    def take(self, rows: slice | np.ndarray, resizing: Resizing) -> Dataset:
        """Return the images, resized so, and the labels of these rows; a slice is a view."""
        return Dataset(self.images[rows], self.labels[rows], self.class_names, resizing)


def places(source: Path, cache_dir: str | Path | None) -> list[Path]:
    """Return the folders in which the decoded images of `source` may be kept, best first.

    The best one is a hidden folder beside the source rather than in it, because other libraries
    take each folder in it for a class.

    Args:
      source: The folder that is decoded.
      cache_dir: Folder chosen by the user; ``None`` means beside the source, or in
        ``$XDG_CACHE_HOME/jaxcnn/data`` if that cannot be written.
    """
    source = source.resolve()
    name = f"{source.name}-{digest([str(source)])}"
    if cache_dir is not None:
        return [Path(cache_dir) / name]
    return [source.parent / f".{source.name}.jaxcnn-cache", cache_folder() / "data" / name]


def listing(folder: Path) -> Iterator[str]:
    """Yield name, size, modification and change time of each file in a folder."""
    for path in sorted(folder.iterdir()):
        status = path.stat()
        yield f"{path.name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def digest(parts: Iterable[str]) -> str:
    """Return a short hash of the parts."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def open_or_decode(
    records: Records,
    splits: Mapping[str, int],
    class_names: Sequence[str],
    *,
    content: str,
    places: Sequence[Path],
) -> Decoded:
    """Return the decoded records from the cache, or decode them into it.

    Args:
      records: The records and the form of their images.
      splits: Number of records of each split, in the order of the rows.
      class_names: One per class; empty if only the labels determine them.
      content: A digest that changes with the records.
      places: As :func:`places` returns them.

    Raises:
      OSError: No place can be written, or the disk is full.
    """
    started = time.time()
    for place in places:
        kept = _find(place, records, splits, content)
        if kept is not None:
            _remove_abandoned(place)
            return kept
    with _lock_first_writable(places) as place:
        _remove_partial(place)
        kept = _find(place, records, splits, content)
        if kept is None:  # otherwise another process has decoded it in the meantime
            form = _form(records, splits)
            kept = _decode(place / f"{form}-{content}", records, splits, class_names)
            _remove_earlier(place, form, started)
        return kept


def decode_temporarily(
    records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> Decoded:
    """Decode records into a temporary file that exists as long as the result.

    The file has no name, so that a killed process leaves nothing behind.

    Args:
      records: The records and the form of their images.
      splits: Number of records of each split, in the order of the rows.
      class_names: One per class; empty if only the labels determine them.

    Raises:
      OSError: The disk is full.
    """
    with tempfile.TemporaryFile() as file:
        return _write(file, records, splits, class_names)


def _form(records: Records, splits: Iterable[str]) -> str:
    form = records.image_size, records.resizing, records.channels, records.value_range
    variant = [records.variant] if records.variant else []
    return digest(map(str, [_FORMAT, *form, *variant, *splits]))


def _find(place: Path, records: Records, splits: Iterable[str], content: str) -> Decoded | None:
    """Return the decoded set in a place, in the requested form, if it is complete."""
    kept = _open_whole(place / f"{_form(records, splits)}-{content}")
    if kept is None and records.channels is not None:
        # A set decoded without conversion serves as well if it has this number of channels.
        kept = _find(place, replace(records, channels=None), splits, content)
        if kept is not None and kept.images.dtype == np.uint8:
            return kept if kept.images.shape[-1:] == (records.channels,) else None
        return None
    return kept


def _open_whole(folder: Path) -> Decoded | None:
    """Return the decoded set in a folder; ``None`` if there is none, or it is damaged."""
    try:
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        if info["files"] != _files(folder):
            return None  # a file has been written to since
        names = tuple(info["class_names"])
        skipped = [(row, error) for row, error in info["skipped"]]
        return Decoded(images, labels, names, info["splits"], skipped)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None  # the caller decodes it again


def _files(folder: Path) -> dict[str, list[int]]:
    """Return size and modification time of the arrays, which reveal a later write."""
    statuses = {name: (folder / name).stat() for name in _ARRAYS}
    return {name: [status.st_size, status.st_mtime_ns] for name, status in statuses.items()}


def _decode(
    folder: Path, records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> Decoded:
    """Decode into a folder that appears complete or not at all, and return the set."""
    staging = folder.with_name(folder.name + _PARTIAL)
    staging.mkdir()
    try:
        with (staging / "images.npy").open("w+b") as file:
            kept = _write(file, records, splits, class_names)
        np.save(staging / "labels.npy", kept.labels, allow_pickle=False)
        info = {
            "splits": kept.sizes,
            "class_names": kept.class_names,
            "skipped": kept.skipped,
            "files": _files(staging),
        }
        (staging / "info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")
        _remove(folder)  # an existing one is damaged
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return kept


def _write(
    file: BinaryIO, records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> Decoded:
    """Decode into a file, and return the checked set."""
    largest: list[int] = []
    images, labels, rows, skipped = records.decode(
        lambda blocks: _write_images(file, _shown(blocks, records), largest)
    )
    _warn_of_dark(largest, records.name)
    secret = np.zeros(len(labels), bool)
    if labels.dtype.kind == "i":
        secret = labels == _SECRET  # an error only where such images are requested
    shown = np.where(secret, 0, labels) if secret.any() else labels
    data = Dataset(images, shown, tuple(class_names))
    stops = np.searchsorted(rows, np.cumsum([0, *splits.values()]))
    sizes = dict(zip(splits, np.diff(stops).tolist(), strict=True))
    labels = np.where(secret, _SECRET, data.labels) if secret.any() else data.labels
    return Decoded(images, labels, data.class_names, sizes, skipped)


def _shown(blocks: Iterator[Block], records: Records) -> Iterator[Block]:
    """Yield blocks, and show how many of the records are decoded."""

    def done(block: Block) -> int:
        return max([*block.rows[-1:], *(row for row, _ in block.skipped[-1:])]) + 1

    return show_progress(f"decoding {records.name}", blocks, len(records.source), done=done)


def _warn_of_dark(largest: Sequence[int], name: str) -> None:
    """Warn if 16-bit pictures use a small part of their range, as 12-bit data does."""
    most = max(largest, default=_DARK)
    if most < _DARK:
        levels = most // 257 + 1
        warnings.warn(
            f"the values of the 16-bit pictures of {name} reach only {most}, which becomes "
            f"{levels} of 256 gray levels: give value_range=(0, {2 ** most.bit_length() - 1}), or "
            "data.value_range in a recipe",
            stacklevel=2,
        )


def _write_images(
    file: BinaryIO, blocks: Iterator[Block], largest: list[int]
) -> tuple[np.ndarray, np.ndarray, list[int], list[tuple[int, str]]]:
    """Write all images as one ``.npy``; return them mapped, with labels, rows and skips."""
    labels: list[Any] = []
    rows: list[int] = []
    skipped: list[tuple[int, str]] = []
    file.seek(0)
    file.truncate()  # a first attempt may have been stopped by a color picture after gray ones
    for block in blocks:
        if not file.tell():
            header = np.lib.format.header_data_from_array_1_0(block.images)
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
        with _explain_full_disk(file):
            file.write(block.images.data)
        labels += block.labels
        rows += block.rows
        skipped += block.skipped
        largest += block.largest
    # The number of images is known now; NumPy leaves room for it in the header.
    file.seek(0)
    header["shape"] = (len(rows), *header["shape"][1:])
    np.lib.format.write_array_header_1_0(file, header)
    with _explain_full_disk(file):
        file.flush()
    images = np.memmap(file, header["descr"], "r", start, header["shape"])
    return images, np.asarray(labels), rows, skipped


@contextmanager
def _explain_full_disk(file: BinaryIO) -> Iterator[None]:
    """Add the file and the fix to the error of a full disk."""
    try:
        yield
    except OSError as error:
        path = file.name if isinstance(file.name, str) else tempfile.gettempdir()
        advice = f"{error.strerror}; make room, or choose another folder with cache_dir=…"
        raise OSError(error.errno, advice, path) from error


@contextmanager
def _lock_first_writable(places: Sequence[Path]) -> Iterator[Path]:
    """Lock the first place that can be written, and yield it; wait for other processes."""
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
            warnings.warn(f"{problem}; decoded images are kept in {place}", stacklevel=2)
        try:
            yield place
        finally:
            lock.release()
        return
    raise OSError(
        f"decoded images cannot be kept: {problem}. Choose a folder with cache_dir=…"
    ) from problem


def _remove_abandoned(place: Path) -> None:
    """Remove partial folders of killed processes, unless another process is decoding."""
    if any(place.glob(f"*{_PARTIAL}*")):
        with suppress(OSError), FileLock(place / _LOCK, timeout=0):
            _remove_partial(place)


def _remove_partial(place: Path) -> None:
    for folder in place.glob(f"*{_PARTIAL}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_earlier(place: Path, form: str, started: float) -> None:
    """Remove older sets of the same form, written before this call started."""
    for folder in place.glob(f"{form}-*"):
        with suppress(FileNotFoundError):  # the user may delete it at any time
            if folder.stat().st_mtime < started:
                _remove(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Decoded images, kept as a memory-mapped array beside what they were decoded from.

A set is decoded block by block into a file, and that file is mapped: the operating system reads
what is used and forgets it when memory is short, so that sets larger than memory go the same way
as small ones. A kept set is safe to delete at any time.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding import Block, Records

# Part of every key: a new number makes everything that was kept be decoded anew.
_FORMAT = 1
_ARRAYS = ("images.npy", "labels.npy")
# What a killed process left is removed when nothing was written to it for so many seconds.
_ABANDONED = 3600.0


class Kept(NamedTuple):
    """A decoded set.

    Attributes:
      data: Its images mapped from the file, so that they are read when they are used.
      sizes: How many images each split has, one after the other.
      skipped: What was wrong with each record that was left out.
    """

    data: Dataset
    sizes: dict[str, int]
    skipped: list[str]


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
    form = digest(map(str, [_FORMAT, records.image_size, records.channels, *splits]))
    key = f"{form}-{content}"
    for place in places:
        kept = _open_whole(place / key)
        if kept is not None:
            return kept
    place, staging = _new_folder(places, key)
    try:
        _write(staging, records, splits, class_names)
        if _open_whole(place / key) is None:  # else another process was faster
            _replace(place / key, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _tidy(place, form, key)
    return _open(place / key)


def decode_for_now(records: Records, splits: Mapping[str, int], class_names: Sequence[str]) -> Kept:
    """Returns the decoded records in a temporary file that is gone when the set is.

    Args:
      records: The records and the form in which they are wanted.
      splits: How many records each split has, one after the other.
      class_names: One per class; none leaves them to the labels.

    Raises:
      OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="jaxcnn-", ignore_cleanup_errors=True) as folder:
        _write(Path(folder), records, splits, class_names)
        return _open(Path(folder))


def _open_whole(folder: Path) -> Kept | None:
    """Returns what is kept in a folder; ``None`` if nothing is, or it is damaged or not ours."""
    try:
        return _open(folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None  # and so it is decoded anew


def _open(folder: Path) -> Kept:
    description = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    if description["files"] != _files(folder):
        raise ValueError(f"the arrays in {str(folder)!r} are not those that info.json tells of")
    images, labels = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in _ARRAYS)
    data = Dataset(images, labels, tuple(description["class_names"]))
    return Kept(data, description["splits"], description["skipped"])


def _files(folder: Path) -> dict[str, list[int]]:
    """Returns size and time of change of the arrays: what wrote to them since, shows here."""
    statuses = {name: (folder / name).stat() for name in _ARRAYS}
    return {name: [status.st_size, status.st_mtime_ns] for name, status in statuses.items()}


def _write(
    folder: Path, records: Records, splits: Mapping[str, int], class_names: Sequence[str]
) -> None:
    def consume(blocks: Iterator[Block]) -> tuple[list[Any], list[int], list[str]]:
        with (folder / "images.npy").open("wb") as file:
            return _write_images(file, blocks)

    labels, rows, skipped = records.decode(consume)
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    data = Dataset(images, np.asarray(labels), tuple(class_names))
    np.save(folder / "labels.npy", data.labels, allow_pickle=False)
    stops = np.searchsorted(rows, np.cumsum([0, *splits.values()]))
    description = {
        "splits": dict(zip(splits, np.diff(stops).tolist(), strict=True)),
        "class_names": data.class_names,
        "skipped": skipped,
        "files": _files(folder),
    }
    (folder / "info.json").write_text(json.dumps(description, indent=1), encoding="utf-8")


def _write_images(
    file: BinaryIO, blocks: Iterator[Block]
) -> tuple[list[Any], list[int], list[str]]:
    """Writes the images of all blocks as one ``.npy``; returns their labels, rows and skips."""
    labels: list[Any] = []
    rows: list[int] = []
    skipped: list[str] = []
    for block in blocks:
        if not file.tell():
            header = np.lib.format.header_data_from_array_1_0(block.images)
            np.lib.format.write_array_header_1_0(file, header)
        try:
            file.write(block.images.data)
        except OSError as error:  # a full disk: the error alone does not say which
            error.filename = file.name
            raise
        labels += block.labels
        rows += block.rows
        skipped += block.skipped
    # How many images there are is known now. NumPy leaves room for it in the header.
    file.seek(0)
    header["shape"] = (len(rows), *header["shape"][1:])
    np.lib.format.write_array_header_1_0(file, header)
    return labels, rows, skipped


def _new_folder(places: Sequence[Path], key: str) -> tuple[Path, Path]:
    """Returns the first place that can be written, and an empty folder in it."""
    problem = None
    for place in places:
        staging = place / f"{key}.partial-{secrets.token_hex(4)}"
        try:
            staging.mkdir(parents=True)
        except OSError as error:
            problem = problem or error
            continue
        if problem is not None:
            warnings.warn(f"{problem}; what is decoded is kept in {place}", stacklevel=2)
        return place, staging
    raise OSError(
        f"there is no place to keep decoded images: {problem}. Choose a folder by cache_dir=…"
    ) from problem


def _replace(folder: Path, staging: Path) -> None:
    """Puts ``staging`` in the place of ``folder``, which is not there or damaged."""
    damaged = staging.with_name(f"{staging.name}-old")
    with suppress(FileNotFoundError):
        folder.rename(damaged)
        if damaged.is_dir():
            shutil.rmtree(damaged, ignore_errors=True)
        else:
            damaged.unlink()
    # It fails where another process has just put the same there: theirs will do.
    with suppress(FileExistsError, OSError):
        staging.rename(folder)


def _tidy(place: Path, form: str, key: str) -> None:
    """Removes what was kept of earlier contents in this form, and what was left half-written."""
    for folder in place.iterdir():
        with suppress(FileNotFoundError):  # another process may be tidying too
            if ".partial-" in folder.name:
                newest = max(path.stat().st_mtime for path in [folder, *folder.glob("*")])
                stale = time.time() - newest > _ABANDONED
            else:
                stale = folder.name.startswith(f"{form}-") and folder.name != key
            if stale:
                shutil.rmtree(folder, ignore_errors=True)

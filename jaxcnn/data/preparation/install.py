"""Bringing a data set onto this machine: found or downloaded, then written whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from jaxcnn import arguments
from jaxcnn.data.preparation import builders
from jaxcnn.data.preparation.catalog import CATALOG, Entry, command
from jaxcnn.data.preparation.display import Display
from jaxcnn.data.preparation.download import download, verify


def prepare(
    name: str,
    *,
    from_folder: str | Path | None = None,
    mirror: str | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Downloads a public data set and writes it where TensorFlow Datasets and ``load`` find it.

    TensorFlow is not needed. Every file is checked against the checksum that TensorFlow Datasets
    ships. A download that was interrupted goes on at the next call, and writing that was begins
    anew; neither is ever read as complete. Of several processes that prepare the same set, one
    does and the others wait. A set that is prepared already is left as it is; what has its place
    and cannot be read is moved aside. Memory holds the images of one split: some 0.5 GB in all,
    2 GB for ``svhn_cropped``.

    Args:
      name: One of :func:`available`.
      from_folder: Takes the files from this folder instead of the network.
      mirror: Downloads the files from this address, ``http://…`` or ``https://…``, to which
        their names are appended.
      data_dir: Where to put it; ``None`` means ``$TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.
        Downloads are kept in its folder ``downloads/jaxcnn``, which is safe to delete.
      progress: Whether to show what is done.

    Returns:
      The folder of the prepared data set.

    Raises:
      ConnectionError: a server cannot be reached, or has no such file.
      OSError: the disk is full, or the folder cannot be written to.
      ValueError: there is no such set, a file is missing, damaged or another one, or two sources
        are named.
    """
    arguments.check_known("data set", name, CATALOG)
    if from_folder is not None and mirror is not None:
        raise ValueError(
            "from_folder and mirror cannot be given together. "
            f"Received: from_folder={str(from_folder)!r}, mirror={mirror!r}"
        )
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise ValueError(f"mirror must start with http:// or https://. Received: {mirror!r}")
    builder = builders.stock_builder(name, data_dir)
    target, root = Path(builder.data_path), Path(builder.data_dir_root)
    with Display(enabled=progress) as display, _naming_a_full_disk(name, root):
        if builders.is_prepared(name, data_dir):
            display.line(f"{name} is prepared already, in {target}")
            return target
        work = root / ".jaxcnn"
        work.mkdir(parents=True, exist_ok=True)
        with _alone(work / f"{builder.name}.lock", name, display):
            if builders.is_prepared(name, data_dir):
                display.line(f"{name} has been prepared by another process, in {target}")
                return target
            entry = CATALOG[name]
            if from_folder is None:
                files = root / "downloads" / "jaxcnn" / builder.name
                _download(name, entry, files, mirror, display)
            else:
                files = Path(from_folder)
                _check_folder(entry, files)
            staging = work / name.replace("/", "-")
            shutil.rmtree(staging, ignore_errors=True)  # left by a process that was killed
            try:
                written = builders.write(name, entry, files, staging, report=display.report)
                target.parent.mkdir(parents=True, exist_ok=True)
                _clear(target, display)
                written.rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        display.line(f"{name} is prepared in {target}")
    return target


def _download(name: str, entry: Entry, folder: Path, mirror: str | None, display: Display) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in entry.files:
        url = file.url if mirror is None else f"{mirror.rstrip('/')}/{file.name}"
        try:
            download(file, folder / file.name, url=url, report=display.report)
        except ConnectionError as error:
            names = ", ".join(wanted.name for wanted in entry.files)
            raise ConnectionError(
                f"{error}. Without a network: bring {names} from elsewhere into a folder, and run "
                f"{command(name)} --from FOLDER"
            ) from error


def _check_folder(entry: Entry, folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}")
    missing = [file for file in entry.files if not (folder / file.name).is_file()]
    if missing:
        listed = ", ".join(f"{file.name} ({file.url})" for file in missing)
        raise ValueError(f"the folder {str(folder)!r} lacks {listed}")
    for file in entry.files:
        verify(folder / file.name, file)


@contextmanager
def _alone(path: Path, name: str, display: Display) -> Iterator[None]:
    """Waits until no other process works on the set; a killed process lets go by itself."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        display.line(f"another process prepares {name}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _clear(target: Path, display: Display) -> None:
    """Moves away what has the place of a set and is none, as it has lost what tells of it."""
    if target.exists():
        names = (f"{target.name}.old-{number}" for number in count(1))
        old = next(old for old in map(target.with_name, names) if not old.exists())
        target.rename(old)
        display.line(f"what was in {target} is no complete set, and is now in {old}")


@contextmanager
def _naming_a_full_disk(name: str, root: Path) -> Iterator[None]:
    """Raises a full disk as an ``OSError`` that names the folder and the set."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # The writer of ArrayRecord raises a RuntimeError with the system's words.
        if getattr(error, "errno", None) != errno.ENOSPC and (
            os.strerror(errno.ENOSPC) not in str(error)
        ):
            raise
        raise OSError(
            errno.ENOSPC, f"the disk is full; {name} is not prepared", str(root)
        ) from error

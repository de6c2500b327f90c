"""Installation of a public data set: download or find its files, then write all or nothing."""

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
from jaxcnn.data.preparation.downloading import download, verify


def prepare(
    name: str,
    *,
    from_folder: str | Path | None = None,
    mirror: str | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Download a public data set and write it where TensorFlow Datasets and ``load`` find it.

    TensorFlow is not needed. Every file is checked against the checksum in TensorFlow Datasets. An
    interrupted download resumes at the next call, and interrupted writing starts again; an
    incomplete set is never read. If several processes prepare the same set, one works and the
    others wait. A prepared set is not changed; a folder that has the path of the set and cannot be
    read is moved aside. Memory holds the images of one split: about 0.5 GB, and 2 GB for
    ``svhn_cropped``.

    Args:
      name: One of :func:`available`.
      from_folder: Folder from which to take the files instead of the network.
      mirror: URL, ``http://…`` or ``https://…``, from which to download the files; their names
        are appended to it.
      data_dir: Folder of the data sets; ``None`` means ``$TFDS_DATA_DIR`` or
        ``~/tensorflow_datasets``. Downloads are kept in its subfolder ``downloads/jaxcnn``, which
        is safe to delete.
      progress: Whether to show the progress.

    Returns:
      The folder of the prepared data set.

    Raises:
      ConnectionError: A server cannot be reached, or has no such file.
      OSError: The disk is full, or the folder cannot be written to.
      ValueError: There is no such set, a file is missing or has the wrong checksum, both
        ``from_folder`` and ``mirror`` are given, or the format cannot be written here.
    """
    arguments.check_known("data set", name, CATALOG)
    if from_folder is not None and mirror is not None:
        raise ValueError(
            "from_folder and mirror cannot be given together. "
            f"Received: from_folder={str(from_folder)!r}, mirror={arguments.shown(mirror)}"
        )
    if mirror is not None and not mirror.startswith(("http://", "https://")):
        raise ValueError(
            f"mirror must start with http:// or https://. Received: {arguments.shown(mirror)}"
        )
    builder = builders.stock_builder(name, data_dir)
    target, root = Path(builder.data_path), Path(builder.data_dir_root)
    with Display(enabled=progress) as display, _explain_full_disk(name, root):
        if builders.is_prepared(name, data_dir):
            display.line(f"{name} is prepared already, in {target}")
            return target
        builders.check_array_record()
        work = root / ".jaxcnn"
        work.mkdir(parents=True, exist_ok=True)
        with _lock(work / f"{builder.name}.lock", name, display):
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
            shutil.rmtree(staging, ignore_errors=True)  # left by a killed process
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
                f"{error}. Without a network: copy {names} into a folder, and run "
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
def _lock(path: Path, name: str, display: Display) -> Iterator[None]:
    """Hold the lock of a set; the operating system releases it when a process is killed."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        display.line(f"waiting for another process that prepares {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _clear(target: Path, display: Display) -> None:
    """Move aside a folder that has the data set's path but no metadata."""
    if target.exists():
        names = (f"{target.name}.old-{number}" for number in count(1))
        old = next(old for old in map(target.with_name, names) if not old.exists())
        target.rename(old)
        display.line(f"the incomplete data set in {target} was moved to {old}")


@contextmanager
def _explain_full_disk(name: str, root: Path) -> Iterator[None]:
    """Convert the errors of a full disk to an ``OSError`` with the folder and the set."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # The writer of ArrayRecord raises a RuntimeError with the message of the operating system.
        if getattr(error, "errno", None) != errno.ENOSPC and (
            os.strerror(errno.ENOSPC) not in str(error)
        ):
            raise
        raise OSError(
            errno.ENOSPC, f"the disk is full; {name} is not prepared", str(root)
        ) from error

"""A run's folder belongs to one process at a time."""

from pathlib import Path

from filelock import FileLock, Timeout


def locked(folder: Path) -> FileLock:
    """Returns the lock of a folder, held; a process that ends, however, lets go of it.

    Args:
      folder: An existing folder.

    Raises:
      OSError: it cannot be written to.
      ValueError: another process holds the lock.
    """
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{str(folder)!r} is in use: another process trains in it. Wait for it, or choose "
            "another folder"
        ) from None
    return lock

"""The lock by which a run's folder is held by one process at a time."""

from pathlib import Path

from filelock import FileLock, Timeout


def acquire_lock(folder: Path) -> FileLock:
    """Acquire and return the lock of a folder; it is released when the process ends.

    Args:
      folder: An existing folder.

    Raises:
      OSError: the folder cannot be written to.
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

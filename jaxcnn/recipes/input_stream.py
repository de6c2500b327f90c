"""Inputs of a model read in threads ahead of the network, a bounded number of them at a time."""

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

from jaxcnn.recipes.run_inputs import Input, InputReader, Source

# Files that a thread reads in turn: passing them on is cheap beside decoding small pictures.
_CHUNK = 32
# Files up to this many bytes are read by one thread at a time: most of their reading holds the
# interpreter's lock, for which threads would only wait. Digits of 28×28, two cores, the network
# running: 5,413 per second by one thread, 4,006 by two.
_SMALL_FILE = 1 << 13
# Bytes of the inputs of a batch, and its largest number of rows: the network starts early, and the
# answers of its last batch come soon after the last file.
_BATCH_BYTES, _MOST_ROWS = 1 << 26, 64


class Failure(NamedTuple):
    """A file that cannot be read.

    Attributes:
      name: Its name.
      reason: A sentence that names it.
    """

    name: str
    reason: str


_Result: TypeAlias = Input | Failure
Opener: TypeAlias = Callable[[Path], Iterator[Source]]


def batch_rows(input_bytes: int) -> int:
    """Return the number of inputs of a batch, a power of two from 1 to 64.

    >>> batch_rows(4 * 28 * 28), batch_rows(4 * 512 * 512 * 3), batch_rows(1 << 30)
    (64, 16, 1)

    Args:
      input_bytes: Bytes of one input, in the floating point that a network computes with.
    """
    rows = 1
    while rows < _MOST_ROWS and 2 * rows * input_bytes <= _BATCH_BYTES:
        rows *= 2
    return rows


def read_ahead(
    paths: Iterable[Path], open_path: Opener, read: InputReader, *, rows: int
) -> Iterator[_Result]:
    """Yield the inputs of files in their order, read by a thread per processor; small files by one.

    Args:
      paths: The files; they are taken one by one, as they are read.
      open_path: Returns what is read of a file: itself, or its frames.
      read: Reads one; errors for what is in a file become failures.
      rows: Inputs of a batch; about twice as many are read ahead.
    """
    workers = os.cpu_count() or 1
    chunk = max(1, min(_CHUNK, rows // workers))
    most = workers + -(-2 * rows // chunk)
    sources = _sources(paths, open_path, read)
    waiting: deque[Future[list[_Result]]] = deque()
    pool, turn = ThreadPoolExecutor(workers, "read"), threading.Lock()
    try:
        while True:
            while len(waiting) < most and (part := list(itertools.islice(sources, chunk))):
                waiting.append(pool.submit(_read_all, read, part, turn))
            if not waiting:
                return
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sources(
    paths: Iterable[Path], open_path: Opener, read: InputReader
) -> Iterator[Source | _Result]:
    """Yield what threads read; frames of videos, which are large, in the form of inputs."""
    for path in paths:
        try:
            for source in open_path(path):
                yield from [source] if isinstance(source.content, Path) else read(source)
        except (OSError, ValueError) as error:  # a video that cannot be read, or is cut
            yield _failure(str(path), error)


def _read_all(
    read: InputReader, sources: list[Source | _Result], turn: threading.Lock
) -> list[_Result]:
    results: list[_Result] = []
    with turn if _is_small(sources[0]) else contextlib.nullcontext():
        for source in sources:
            if not isinstance(source, Source):
                results.append(source)
                continue
            try:
                results += read(source)
            except (OSError, ValueError) as error:
                results.append(_failure(source.name, error))
    return results


def _is_small(source: Source | _Result) -> bool:
    """Return whether a file, which stands for those beside it, has few bytes."""
    path = source.content if isinstance(source, Source) else None
    try:
        return isinstance(path, Path) and path.is_file() and path.stat().st_size <= _SMALL_FILE
    except OSError:  # removed meanwhile: its reading says so
        return False


def _failure(name: str, error: Exception) -> Failure:
    if isinstance(error, OSError):
        return Failure(name, f"{name}: {error.strerror or error}")
    return Failure(name, " ".join(str(error).split()))

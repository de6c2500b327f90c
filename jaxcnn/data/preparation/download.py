"""Fetching a file over HTTP: resumed where it was cut, and checked before it gets its name."""

import hashlib
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from jaxcnn.data.preparation.catalog import File

# Told of work as it goes on: what is done, how much of it is done, how much there is.
Report = Callable[[str, int, int], None]

# A server that says nothing for so long counts as unreachable.
_SECONDS = 6.0
# So often in a row may a connection break before anything new has come through it.
_MOST_FAILURES = 3
_SECONDS_BETWEEN_TRIES = 0.5
_CHUNK = 1 << 18


class _Broken(Exception):
    """The connection failed; what has arrived stays."""


class _Unreachable(_Broken):
    """There was no connection."""


def download(file: File, target: Path, *, url: str, report: Report) -> None:
    """Brings ``file`` to ``target``, unless it is there already and as it should be.

    What has arrived waits in ``target.part``, and only a file with the right checksum gets the
    name. A connection that breaks is taken up where it broke, also by a later run.

    Args:
      file: What the file must be.
      target: Where it shall be; the folder must exist.
      url: Where it is fetched from: the file's own address or a mirror's.
      report: Told of the bytes that have arrived.

    Raises:
      ConnectionError: the server cannot be reached, refuses, or the connection broke for good.
      ValueError: what the server has is not that file.
    """
    if target.exists():
        try:
            return verify(target, file)
        except ValueError:
            target.unlink()  # damaged since it was downloaded
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    _complete(part, file, url, report)
    if resumed and not _is_right(part, file):
        part.unlink()  # what an earlier run left was no part of this file
        _complete(part, file, url, report)
    try:
        verify(part, file)
    except ValueError as error:
        part.unlink()
        raise ValueError(f"{url} does not give the file that was expected: {error}") from None
    part.rename(target)


def verify(path: Path, file: File) -> None:
    """Checks that what is at ``path`` is ``file``, byte for byte.

    Args:
      path: An existing file.
      file: What it must be.

    Raises:
      ValueError: its size or checksum is another.
    """
    size = path.stat().st_size
    if size != file.size:
        raise ValueError(f"{str(path)!r} must have {file.size:,} bytes. Received: {size:,}")
    with path.open("rb") as opened:
        received = hashlib.file_digest(opened, "sha256").hexdigest()
    if received != file.sha256:
        raise ValueError(
            f"{str(path)!r} must have the SHA-256 checksum {file.sha256}. Received: {received}"
        )


def _is_right(path: Path, file: File) -> bool:
    try:
        verify(path, file)
    except ValueError:
        return False
    return True


def _complete(part: Path, file: File, url: str, report: Report) -> None:
    """Fetches what ``part`` lacks."""
    failures, connected = 0, False
    while (before := _size(part)) < file.size:
        try:
            _fetch(part, file, url, report)
        except _Broken as error:
            connected |= not isinstance(error, _Unreachable)
            failures = 0 if _size(part) > before else failures + 1
            # A host that could not be reached at all is told at once.
            if not connected or failures == _MOST_FAILURES:
                raise ConnectionError(f"{url} cannot be downloaded: {error}") from error
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _fetch(part: Path, file: File, url: str, report: Report) -> None:
    """Asks once for what ``part`` lacks, and appends what comes."""
    start = _size(part)
    with _open(url, start) as response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        done = start if resumed else 0  # a server without ranges begins anew
        length = response.headers.get("Content-Length")
        if length is not None and done + int(length) != file.size:
            raise ValueError(
                f"{url} does not give the file that was expected: it must have {file.size:,} "
                f"bytes. Received: {done + int(length):,}"
            )
        with part.open("ab" if resumed else "wb") as opened:
            # One byte more than expected is enough to know that it is another file.
            while chunk := _read(response, min(_CHUNK, file.size + 1 - done)):
                opened.write(chunk)
                done += len(chunk)
                report(f"downloading {file.name} ({readable(file.size)})", done, file.size)
    if done < file.size:
        raise _Broken(f"the connection ended after {done:,} of {file.size:,} bytes")


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """Asks for ``url`` from the byte ``start`` on, and waits at most ``_SECONDS`` for an answer.

    A timeout of the socket covers neither the look-up of the host's name nor several addresses
    tried in turn; so the wait is for a thread.
    """
    headers = {"User-Agent": "jaxcnn"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=_SECONDS))
        except Exception as error:  # raised where it is waited for
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    silence = _Unreachable(f"no answer within {_SECONDS:.0f} s")
    try:
        answer = answers.get(timeout=_SECONDS)
    except queue.Empty:
        raise silence from None
    match answer:
        case http.client.HTTPResponse():
            return answer
        case urllib.error.HTTPError():
            answer.close()
            if answer.code >= 500 or answer.code == 429:
                raise _Unreachable(f"the server answers {answer.code} {answer.reason}") from answer
            raise ConnectionError(
                f"{url} cannot be downloaded: the server answers {answer.code} {answer.reason}"
            ) from answer
        case TimeoutError() | urllib.error.URLError(reason=TimeoutError()):
            raise silence from answer  # the socket was faster in finding it out
        case urllib.error.URLError(reason=reason):
            raise _Unreachable(str(reason)) from answer
        case OSError() | http.client.HTTPException():
            raise _Unreachable(str(answer)) from answer
    raise answer


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        return response.read1(most)  # what is there: `read` would lose it where the rest stalls
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def readable(size: int) -> str:
    """Returns a number of bytes as people read it.

    >>> readable(9_912_422), readable(28_881)
    ('9.9 MB', '29 kB')
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.0f} kB"

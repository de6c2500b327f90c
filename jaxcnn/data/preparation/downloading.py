"""Download of a file over HTTP: resumed after a broken connection, and checked at the end."""

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

# Called with the task, the amount done and the total amount.
Report = Callable[[str, int, int], None]

# Seconds without an answer after which a server counts as unreachable.
_SECONDS = 6.0
# Consecutive broken connections without a new byte after which a download fails.
_MOST_FAILURES = 3
_SECONDS_BETWEEN_TRIES = 0.5
_CHUNK = 1 << 18


class _Broken(Exception):
    """An error for a broken connection; the bytes received are kept."""


class _Unreachable(_Broken):
    """An error for a connection that could not be made."""


def download(file: File, target: Path, *, url: str, report: Report) -> None:
    """Download `file` to `target`, unless it exists there with the right checksum.

    Received bytes are kept in ``target.part``, which is renamed once its checksum is right. After a
    broken connection the download resumes at the first missing byte, also in a later run.

    Args:
      file: The expected size and checksum.
      target: Path of the downloaded file; its folder must exist.
      url: URL of the file or of a mirror's copy.
      report: Called with the number of bytes received.

    Raises:
      ConnectionError: The server cannot be reached, refuses, or the connection breaks repeatedly.
      ValueError: The server sends another file.
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
        part.unlink()  # the partial file of an earlier run was of another file
        _complete(part, file, url, report)
    try:
        verify(part, file)
    except ValueError as error:
        part.unlink()
        raise ValueError(f"{url} does not give the file that was expected: {error}") from None
    part.rename(target)


def verify(path: Path, file: File) -> None:
    """Check that `path` has the size and checksum of `file`.

    Args:
      path: An existing file.
      file: The expected size and checksum.

    Raises:
      ValueError: The size or the checksum differs.
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
    """Download the missing bytes of `part`."""
    failures, connected = 0, False
    while (before := _size(part)) < file.size:
        try:
            _fetch(part, file, url, report)
        except _Broken as error:
            connected |= not isinstance(error, _Unreachable)
            failures = 0 if _size(part) > before else failures + 1
            # A host that could not be reached at all is an error at once.
            if not connected or failures == _MOST_FAILURES:
                raise ConnectionError(f"{url} cannot be downloaded: {error}") from error
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _fetch(part: Path, file: File, url: str, report: Report) -> None:
    """Request the missing bytes of `part` once, and append the answer."""
    start = _size(part)
    with _open(url, start) as response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        done = start if resumed else 0  # a server without ranges sends the whole file
        length = response.headers.get("Content-Length")
        if length is not None and done + int(length) != file.size:
            raise ValueError(
                f"{url} does not give the file that was expected: it must have {file.size:,} "
                f"bytes. Received: {done + int(length):,}"
            )
        with part.open("ab" if resumed else "wb") as opened:
            # One byte more than expected shows that it is another file.
            while chunk := _read(response, min(_CHUNK, file.size + 1 - done)):
                opened.write(chunk)
                done += len(chunk)
                report(f"downloading {file.name} ({readable(file.size)})", done, file.size)
    if done < file.size:
        raise _Broken(f"the connection ended after {done:,} of {file.size:,} bytes")


def _open(url: str, start: int) -> http.client.HTTPResponse:
    """Request `url` from the byte `start` on, and wait at most ``_SECONDS`` for an answer.

    The request runs in a thread, because the timeout of a socket covers neither the name lookup nor
    several addresses tried one after another.
    """
    headers = {"User-Agent": "jaxcnn"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=_SECONDS))
        except Exception as error:  # raised by the waiting thread
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
            raise silence from answer  # the timeout of the socket came first
        case urllib.error.URLError(reason=reason):
            raise _Unreachable(str(reason)) from answer
        case OSError() | http.client.HTTPException():
            raise _Unreachable(str(answer)) from answer
    raise answer


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        return response.read1(most)  # `read` would lose the bytes received if the rest stalls
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def readable(size: int) -> str:
    """Return a number of bytes in kB or MB.

    >>> readable(9_912_422), readable(28_881)
    ('9.9 MB', '29 kB')
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.0f} kB"

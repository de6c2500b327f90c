"""The protocol of uvicorn with limits on a request's header: its size, and its time."""

import asyncio
import json
from typing import Any

# Bytes of a header, as nginx allows in all.
_MOST_HEADER_BYTES = 32_768


def http_protocol(timeout_s: float) -> type[Any]:
    """Return uvicorn's protocol with limits on the header of a request.

    uvicorn waits without limit for a header that arrives byte by byte, and keeps one of any size.

    Args:
      timeout_s: The longest time for a header to arrive, in seconds.

    Raises:
      ImportError: uvicorn or httptools is not installed.
    """
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class LimitedProtocol(HttpToolsProtocol):  # type: ignore[misc, unused-ignore]  # uvicorn may be missing
        _deadline: asyncio.TimerHandle | None = None
        _header_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_header()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._deadline is None and not self._is_in_request():
                self._expect_header()  # the next request of this connection
            if self._deadline is not None:
                self._header_bytes += len(data)
            super().data_received(data)
            if self._deadline is not None and self._header_bytes > _MOST_HEADER_BYTES:
                self._stop_waiting()
                if not self.transport.is_closing():
                    self.send_400_response("the header of the request is too long")

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def send_400_response(self, msg: str) -> None:
            text = json.dumps({"error": msg}).encode()
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)
            )
            self.transport.close()

        def _is_in_request(self) -> bool:
            return self.cycle is not None and (
                self.cycle.more_body or not self.cycle.response_complete
            )

        def _expect_header(self) -> None:
            self._header_bytes = 0
            self._deadline = self.loop.call_later(timeout_s, self._close_late)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _close_late(self) -> None:
            self._deadline = None
            if not self.transport.is_closing():
                self.transport.close()

    return LimitedProtocol

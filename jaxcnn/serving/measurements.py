"""The metrics of a server, as Prometheus reads them."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
# The status of a request whose client has gone, as nginx counts it.
GONE = 499


class Measurements:
    """Counts of requests, their seconds, the sizes of batches, and the pictures that wait."""

    def __init__(self, paths: tuple[str, ...], waiting: Callable[[], int]) -> None:
        """Start from zero.

        Args:
          paths: The paths that are counted one by one; all others together are ``other``.
          waiting: Returns the number of pictures that wait.

        Raises:
          ImportError: prometheus-client is not installed.
        """
        import prometheus_client

        self._registry = prometheus_client.CollectorRegistry()
        self._generate = prometheus_client.generate_latest
        self._paths = frozenset(paths)
        self._requests = prometheus_client.Counter(
            "jaxcnn_requests", "Requests by path and status.", ("path", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = prometheus_client.Histogram(
            "jaxcnn_request_seconds", "Seconds of a request to /predict.",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._batches = prometheus_client.Histogram(
            "jaxcnn_batch_size", "Pictures of a batch.", buckets=_SIZES, registry=self._registry
        )
        prometheus_client.Gauge(
            "jaxcnn_queue_length", "Pictures that wait for a batch.", registry=self._registry
        ).set_function(waiting)
        self._counts: dict[tuple[str, int], Any] = {}

    def batch(self, size: int) -> None:
        """Count a batch."""
        self._batches.observe(size)

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return bytes(self._generate(self._registry))

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        path = path if path in self._paths else "other"
        key = (path, status)
        if key not in self._counts:
            self._counts[key] = self._requests.labels(path, str(status))
        self._counts[key].inc()
        if path == "/predict":
            self._seconds.observe(seconds)


class CountRequests:
    """ASGI middleware that counts every request by the status of its answer."""

    def __init__(self, app: Callable[..., Awaitable[None]], measurements: Measurements) -> None:
        """Wrap an application.

        Args:
          app: The application.
          measurements: The counts.
        """
        self._app, self._measurements = app, measurements

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Call the application and count the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = GONE, time.perf_counter()

        async def note(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            status = 500
            raise
        finally:
            self._measurements.count(scope["path"], status, time.perf_counter() - start)

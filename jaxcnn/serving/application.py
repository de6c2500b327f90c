"""The ASGI application: routes, limits and errors."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jaxcnn.serving.answers import describe
from jaxcnn.serving.api_description import docs_page, openapi
from jaxcnn.serving.limits import Limits
from jaxcnn.serving.measurements import GONE, CountRequests, Measurements
from jaxcnn.serving.network import ServedNetwork
from jaxcnn.serving.pictures import decode, header_pixels
from jaxcnn.serving.refusals import Refusal
from jaxcnn.serving.request_batches import RequestBatches
from jaxcnn.serving.request_bodies import pictures_of, read_body
from jaxcnn.serving.request_options import wanted_by

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_LOG = logging.getLogger(__name__)
_PATHS = ("/", "/predict", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")
_AGAIN = {"Retry-After": "1"}
# So few pixels are decoded at once: 28×28 takes 0.07 ms, and a thread of the pool as long to reach.
_FEW_PIXELS = 4_096
# No answer is taken for another type, and no page loads anything from elsewhere.
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_OWN_ONLY = {
    "Content-Security-Policy": "default-src 'self' data: blob: 'unsafe-inline'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
}


def create_app(
    network: ServedNetwork,
    *,
    max_batch: int = Limits.max_batch,
    max_wait_ms: float = Limits.max_wait_ms,
    max_body_mb: float = Limits.max_body_mb,
    max_pixels: int = Limits.max_pixels,
    max_concurrency: int = Limits.max_concurrency,
    timeout_s: float = Limits.timeout_s,
    page: str | Callable[[], str | None] | None = None,
) -> "Starlette":
    """Return the ASGI application that serves a network.

    ``POST /predict`` takes one picture or several and answers JSON; see ``/docs`` of the server.
    Pictures that come at the same time are computed in one batch. A request that is refused gets a
    status from 400 and ``{"error": "…"}``, one line.

    Any ASGI server runs it, if it sends the lifespan events: on startup every batch size is
    computed once, and until then ``/readyz`` and ``/predict`` answer 503.

    >>> from jaxcnn.data.decoding.framing import Framing
    >>> framing = Framing((8, 8, 1))
    >>> network = ServedNetwork(lambda images: images.mean((1, 2)), (8, 8, 1), framing)
    >>> app = create_app(network, max_batch=16)  # uvicorn.run(app)

    Args:
      network: As :func:`open_network` returns it.
      max_batch: The most pictures of a batch, at least 1.
      max_wait_ms: The longest time that a picture waits for others, in milliseconds, at least 0;
        pictures that wait for the network anyway form a batch without it.
      max_body_mb: The largest body of a request, in millions of bytes.
      max_pixels: The most pixels of a picture, read from its header before it is decoded.
      max_concurrency: The most requests at a time, at least 1; others get 503.
      timeout_s: The longest time for a body to arrive, and for an answer, in seconds.
      page: HTML of the route ``/``, or a function that returns it, which is called once, in a
        thread, when the page is asked for; ``None`` shows the documentation there.

    Raises:
      ImportError: Starlette or prometheus-client is not installed.
      TypeError: a limit is not a number.
      ValueError: a limit is out of range.
    """
    limits = Limits(max_batch, max_wait_ms, max_body_mb, max_pixels, max_concurrency, timeout_s)
    try:
        return _Server(network, limits, page).application()
    except ImportError as error:
        raise ImportError(
            f"serving needs the package {error.name}: pip install 'jaxcnn[serve]'"
        ) from error


class _Server:
    """The state of an application, and its routes."""

    def __init__(
        self,
        network: ServedNetwork,
        limits: Limits,
        page: str | Callable[[], str | None] | None,
    ) -> None:
        from starlette.responses import Response

        self._network, self._limits = network, limits
        self._response: Callable[..., Response] = Response
        self._batches = RequestBatches(
            lambda images: network.predict(images, limits.max_batch),
            max_batch=limits.max_batch,
            max_wait_ms=limits.max_wait_ms,
            in_progress=lambda: self._in_progress,
            observe=lambda size: self._measurements.batch(size),
        )
        self._measurements = Measurements(_PATHS, self._batches.__len__)
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self._in_progress, self._is_ready = 0, False
        described = openapi(network, limits)
        self._openapi = json.dumps(described, ensure_ascii=False).encode()
        self._docs = docs_page(described)
        self._make_page = page if callable(page) else lambda: page
        self._page: asyncio.Task[str | None] | None = None

    def application(self) -> "Starlette":
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.middleware import Middleware
        from starlette.routing import Route

        routes = [Route("/predict", self._predict, methods=["POST"])]
        routes += [Route(path, getattr(self, name), methods=["GET"]) for path, name in _GET.items()]
        application = Starlette(
            routes=routes,
            middleware=[Middleware(CountRequests, measurements=self._measurements)],
            exception_handlers={HTTPException: self._wrong_route, Exception: self._failed},
            lifespan=self._lifespan,
        )
        application.router.redirect_slashes = False
        application.state.is_ready = lambda: self._is_ready
        return application

    @contextlib.asynccontextmanager
    async def _lifespan(self, application: "Starlette") -> AsyncIterator[None]:
        async def warm_up() -> None:
            try:
                await asyncio.to_thread(self._network.warm_up, self._limits.max_batch)
            except Exception:
                _LOG.exception("the network cannot be computed")
                return
            self._batches.start()
            self._is_ready = True

        starting = asyncio.create_task(warm_up())
        try:
            yield
        finally:
            await starting  # a compilation cannot be interrupted
            self._is_ready = False
            self._batches.stop()
            self._pool.shutdown(cancel_futures=True)

    # Answers

    def _json(
        self, values: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> "Response":
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return self._response(
            text, status, {**_SAFE, **(headers or {})}, media_type="application/json"
        )

    def _refused(self, refusal: Refusal) -> "Response":
        return self._json({"error": str(refusal)}, refusal.status, refusal.headers)

    def _html(self, text: str) -> "Response":
        return self._response(text, 200, _SAFE | _OWN_ONLY, media_type="text/html")

    async def _wrong_route(self, request: "Request", error: Exception) -> "Response":
        status, headers = getattr(error, "status_code", 400), getattr(error, "headers", None) or {}
        messages = {
            404: f"there is no such path: see {', '.join(_PATHS)}",
            405: f"the method must be {headers.get('Allow', 'GET')}",
        }
        message = messages.get(status, str(getattr(error, "detail", "the request is wrong")))
        return self._refused(Refusal(status, message, headers))

    async def _failed(self, request: "Request", error: Exception) -> "Response":
        return self._json({"error": "an error of the server, which its log tells"}, 500)

    # Routes

    async def _home(self, request: "Request") -> "Response":
        if self._page is None:
            self._page = asyncio.create_task(asyncio.to_thread(self._make_page))
        return self._html(await self._page or self._docs)

    async def _documentation(self, request: "Request") -> "Response":
        return self._html(self._docs)

    async def _describe_api(self, request: "Request") -> "Response":
        return self._response(self._openapi, 200, _SAFE, media_type="application/json")

    async def _health(self, request: "Request") -> "Response":
        return self._json({"status": "ok"})

    async def _ready(self, request: "Request") -> "Response":
        if self._is_ready:
            return self._json({"status": "ready"})
        return self._json({"error": "the network is not ready"}, 503, _AGAIN)

    async def _metrics(self, request: "Request") -> "Response":
        text = self._measurements.text()
        return self._response(text, 200, _SAFE, media_type="text/plain; version=0.0.4")

    async def _predict(self, request: "Request") -> "Response":
        if self._in_progress >= self._limits.max_concurrency:
            return self._refused(Refusal(503, "too many requests at a time: try again", _AGAIN))
        self._in_progress += 1
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return self._refused(refusal)
        except ConnectionResetError:  # the client has gone, and reads no answer
            return self._refused(Refusal(GONE, "the body has not arrived"))
        except Exception as error:
            _LOG.exception("a request failed")
            return await self._failed(request, error)
        finally:
            self._in_progress -= 1

    async def _answer(self, request: "Request") -> "Response":
        if not self._is_ready:
            raise Refusal(503, "the network is not ready: try again", _AGAIN)
        wanted = wanted_by(request.scope["query_string"], self._network)
        body = await read_body(request, self._limits)
        sent = pictures_of(body, request.headers.get("content-type", ""))
        names = ["the picture"] if len(sent) == 1 else [f"picture {n}" for n in range(len(sent))]
        pairs = list(zip(sent, names, strict=True))
        most = self._limits.max_pixels
        pixels = sum(header_pixels(data, most, name) for data, name in pairs)
        if pixels > most:
            raise Refusal(413, f"the pictures have more than {most:,} pixels, the most allowed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                if pixels <= _FEW_PIXELS:
                    pictures = [decode(self._network, *pair) for pair in pairs]
                else:
                    decoding = [
                        loop.run_in_executor(self._pool, decode, self._network, *pair)
                        for pair in pairs
                    ]
                    pictures = await asyncio.gather(*decoding)
                waiting = [self._batches.submit(picture.image) for picture in pictures]
                rows = await asyncio.gather(*waiting)
        except TimeoutError:
            raise Refusal(503, "the answer took too long: try again", _AGAIN) from None
        return self._json(
            {
                "predictions": [
                    describe(self._network, picture, row, wanted)
                    for picture, row in zip(pictures, rows, strict=True)
                ]
            }
        )


_GET = {
    "/": "_home",
    "/healthz": "_health",
    "/readyz": "_ready",
    "/metrics": "_metrics",
    "/openapi.json": "_describe_api",
    "/docs": "_documentation",
}

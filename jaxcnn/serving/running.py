"""The server process: the port, the start and the graceful stop."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxcnn.serving.http_protocol import http_protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette

_BACKLOG = 2048


def take_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port in use is seen before a model is loaded.

    Args:
      host: Name or address of an interface of this machine.
      port: Number of the port; 0 means any that is free.

    Raises:
      ValueError: the port is in use or not allowed, or there is no such interface.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ValueError(f"--host must be an address of this machine. Received: {host}") from error
    taken = socket.socket(family, kind, number)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(_BACKLOG)
    except OSError as error:
        taken.close()
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"port {port} of {host} cannot be used: {reason}. Choose another --port"
        ) from error
    return taken


def address_of(listening: socket.socket) -> str:
    """Return the URL of a socket that listens."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(
    application: "Starlette",
    listening: socket.socket,
    *,
    timeout_s: float,
    when_ready: Callable[[], Any],
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in progress are answered.

    Args:
      application: As :func:`jaxcnn.serving.create_app` returns it.
      listening: As :func:`take_port` returns it.
      timeout_s: The longest time for a header to arrive, and for requests to end at the stop.
      when_ready: Called once the server answers.

    Raises:
      ImportError: uvicorn or httptools is not installed.
      KeyboardInterrupt: it was stopped by Ctrl-C.
    """
    import uvicorn

    config = uvicorn.Config(
        application,
        http=http_protocol(timeout_s),
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(2 * timeout_s)),
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        is_ready = application.state.is_ready
        while not (serving.done() or (server.started and is_ready())):
            await asyncio.sleep(0.01)
        if not serving.done():
            # All that is loaded stays: a collection that walks through it stops requests for 75 ms.
            gc.freeze()
            when_ready()
        await serving

    # uvicorn raises the signal that stopped it again: after SIGTERM the process ends with code 0.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    # uvloop, where it is installed.
    make_loop = config.get_loop_factory() if hasattr(config, "get_loop_factory") else None
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(serve())

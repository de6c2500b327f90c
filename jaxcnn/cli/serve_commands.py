"""The command that puts a network behind HTTP: ``jaxcnn serve``."""

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def serve(
    network: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE.onnx", help="Folder of a run, or a file of `jaxcnn export`."
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The interface; 0.0.0.0 is open to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")
    ] = 8000,
    max_batch: Annotated[int, typer.Option(min=1, help="Most pictures of a batch.")] = 64,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that a picture waits for others.")
    ] = 5.0,
    max_body_mb: Annotated[float, typer.Option(help="Largest request, in megabytes.")] = 10.0,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Most pixels of a request, read from headers.")
    ] = 50_000_000,
    max_concurrency: Annotated[int, typer.Option(min=1, help="Most requests at a time.")] = 256,
    timeout_s: Annotated[
        float, typer.Option(help="Seconds for a request to arrive, and for its answer.")
    ] = 10.0,
    page: Annotated[
        bool,
        typer.Option(
            "--page/--no-page",
            help="Show the page of `jaxcnn page` at /; without it, the description of requests.",
        ),
    ] = True,
) -> None:
    """Serve a network over HTTP: pictures in, JSON out; / is a page to play with, /docs shows how.

    It is reached from this machine only, unless --host says otherwise. Stop it with Ctrl-C;
    requests in progress are answered.
    """
    from jaxcnn.serving import create_app, open_network
    from jaxcnn.serving.limits import Limits
    from jaxcnn.serving.running import address_of, run_server, take_port

    limits = Limits(max_batch, max_wait_ms, max_body_mb, max_pixels, max_concurrency, timeout_s)
    with take_port(host, port) as listening:  # first: a port in use is said at once
        opened = open_network(network)
        # The page takes longer than the server's start.
        shown = partial(_page, network, opened.input_shape) if page else None
        application = create_app(opened, **asdict(limits), page=shown)
        opened.warm_up(max_batch)  # an error ends the command
        address = address_of(listening)
        run_server(
            application,
            listening,
            timeout_s=timeout_s,
            when_ready=lambda: print(f"Serving {network} at {address}", flush=True),
        )


def _page(network: Path, input_shape: tuple[int, ...]) -> str:
    """Return the page of a run or a file; one that says why where its network cannot be shown."""
    from jaxcnn.serving import build_page
    from jaxcnn.serving.run_pages import page_of_file, page_of_run

    try:
        return page_of_file(network, input_shape) if network.is_file() else page_of_run(network)
    except (ImportError, ValueError) as error:
        print(f"the page is without the network: {error}", file=sys.stderr)
        return build_page(title=network.resolve().stem, absence=str(error))

"""The command ``jaxcnn page``: a page to play with, which holds the network of a run."""

from pathlib import Path
from typing import Annotated

import typer

from jaxcnn.cli.option_types import NetworkOfRun

_FILE = "index.html"


def page(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]", help="Folder of a run; without one the page has the kernel explorer."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page; it is created.")] = Path("site"),
    title: Annotated[
        str | None, typer.Option(help="Title of the page.", show_default="the name of the run")
    ] = None,
    mistakes: Annotated[int, typer.Option(min=1, help="Number of mistakes at the most.")] = 12,
    model: NetworkOfRun = None,
) -> None:
    """Write a page to play with: kernels, the network at work, its mistakes; one HTML file."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder. Received: {str(out)!r}, a file")
    if run is None and model is not None:
        raise ValueError("--model is the network of a run: give RUN")

    from jaxcnn.interchange.model_file import write_whole
    from jaxcnn.serving.page_building import DEFAULT_TITLE, build_page

    if run is None:
        text = build_page(title=title or DEFAULT_TITLE)
    else:
        from jaxcnn.cli.trained_models import load_trained
        from jaxcnn.serving.run_pages import page_of_run

        into = None if model is None else load_trained(run, model, None)[1]
        text = page_of_run(run, title=title, mistakes=mistakes, into=into)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / _FILE, text.encode())
    print(f"The page is in {out / _FILE} ({len(text.encode()):,} bytes)")

"""Compiled kernels of convolutions: ``jaxcnn native build | status | remove``."""

from typing import Annotated

import typer

app = typer.Typer(help="Compile faster convolutions for this machine's CPU.")


@app.callback(invoke_without_command=True)
def _top(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def build(
    compiler: Annotated[
        str | None,
        typer.Option(help="C++ compiler.", show_default="$CXX, c++, g++ or clang++"),
    ] = None,
) -> None:
    """Compile the kernels, try them, and use them from now on; takes some seconds."""
    from jaxcnn.data.slow_work import show_progress
    from jaxcnn.ops.native import kernel_build, kernel_library

    parts = kernel_build.build(compiler)
    for _ in show_progress("compiling", parts, kernel_build.count_parts()):
        pass
    print(kernel_library.describe())


@app.command()
def status() -> None:
    """Say whether compiled kernels are in use, and why not."""
    from jaxcnn.ops.native import kernel_library

    print(kernel_library.describe())


@app.command()
def remove() -> None:
    """Delete the compiled kernels; convolutions run as without them."""
    from jaxcnn.ops.native import kernel_library

    removed = kernel_library.remove()
    print("\n".join(f"removed {folder}" for folder in removed) or "nothing to remove")

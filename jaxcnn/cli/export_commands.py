"""The command ``jaxcnn export``: a trained network as a file for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxcnn.cli.option_types import Activation, ModelOfWeights, Weights
from jaxcnn.cli.tables import print_table

if TYPE_CHECKING:
    from jaxcnn.data import Dataset
    from jaxcnn.training.run_description import Run

# Enough to see a difference; the file and the model both compute them.
_MOST_IMAGES = 16


def export(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN] FILE…",
            help="Folder of a run, unless --weights are given; and files, such as pictures, for "
            "the check, by default some that were held out.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="onnx, stablehlo, safetensors or web.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file.", show_default="network.onnx, …, in the folder of the run"),
    ] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="Leave height, width and depth free.")
    ] = False,
    takes_float: Annotated[
        bool, typer.Option("--float", help="Take numbers in [0, 1] instead of pixels.")
    ] = False,
    activation: Activation = "auto",
    tolerance: Annotated[
        float,
        typer.Option(help="The largest difference from the model, relative to outputs above 1."),
    ] = 1e-4,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Also write NAME.int8.onnx, in 8-bit integers; not if larger or slower.",
        ),
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures whose values set the scales of --int8, at most 256.",
            show_default="those of the training",
        ),
    ] = None,
    model: ModelOfWeights = None,
    weights: Weights = None,
) -> None:
    """Write a trained network into a file that runs without jaxcnn, checked against the model."""
    from jaxcnn import arguments
    from jaxcnn.cli.trained_models import load_trained
    from jaxcnn.recipes import exporting

    given = list(paths or ())
    run, files = (None, given) if weights is not None or not given else (given[0], given[1:])
    arguments.check_choice("--format", form, exporting.FORMATS)
    if int8 and form != "onnx":
        raise ValueError(f"--int8 is for ONNX files. Received: --format {form}")
    if calibrate is not None and not int8:
        raise ValueError(f"--calibrate is for --int8. Received: --calibrate {calibrate}")
    described, trained = load_trained(run, model, weights)
    if int8 and described.task == "detect" and activation in ("auto", "boxes"):
        raise ValueError(
            "--int8 compares outputs, not boxes: of a detector, give --activation none as well. "
            f"Received: --activation {activation}"
        )
    if out is None:
        folder = Path() if run is None else run
        out = folder / f"network{exporting.FORMATS[form]}"
    held_out = None if files and not int8 else _held_out(described, run)
    images, checked_on = _images(described, files, held_out)
    made = exporting.export_run(
        described,
        trained,
        out,
        format=form,
        input_dtype="float32" if takes_float else None,
        activation=activation,
        any_size=any_size,
        images=images,
        tolerance=tolerance,
    )
    shape = ", ".join("any" if n is None else str(n) for n in made.signature.input_shape)
    rows = {
        "file": f"{made.path} ({made.path.stat().st_size:,} bytes)",
        "input": f"{made.signature.input_dtype} (batch, {shape})",
        "output": "outputs of the network"
        if made.signature.activation == "none"
        else made.signature.activation,
    }
    if made.operators:
        rows["operators"] = f"{made.operators:,}"
    rows["largest difference"] = f"{made.difference:.2g}, {made.images} {checked_on}"
    print_table(list(rows.items()))
    if int8:
        from jaxcnn.cli.quantized_export import print_quantized

        print_quantized(described, run, made, calibrate, held_out)


def _held_out(described: "Run", run: Path | None) -> "Dataset | None":
    """Return the held-out data of a run, or nothing where it cannot be read."""
    from jaxcnn.recipes.run_images import load_images

    if described.data is None or run is None:
        return None
    try:
        return load_images(described, run).data
    except (ImportError, OSError, ValueError):  # the data is not here
        return None


def _images(described: "Run", files: list[Path], held_out: "Dataset | None") -> tuple[Any, str]:
    """Return inputs for the check, and their description."""
    from jaxcnn.recipes.run_inputs import read_inputs

    if files:
        return read_inputs(described, files)[:_MOST_IMAGES], "files"
    if held_out is not None:
        return held_out.images[:_MOST_IMAGES], "held-out inputs"
    unread = "" if described.data is None else ", as the run's data cannot be read"
    return None, f"random inputs{unread}"

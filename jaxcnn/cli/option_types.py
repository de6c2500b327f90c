"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxcnn import arguments

MODEL_HELP = "A model of `jaxcnn models`, or one of your own as package.module:network."
ModelOfWeights = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="The model of the --weights; or package.module:network, the network of a run that "
        "does not describe it, because it holds functions of yours.",
    ),
]
NetworkOfRun = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="package.module:network, the network of a run that does not describe it.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="Trained weights of the model: a .safetensors or .pth of timm or torchvision, "
        "hf:timm/NAME on Hugging Face's hub, or the folder of a run to train on from.",
    ),
]
Activation = Annotated[
    str, typer.Option(help="softmax, sigmoid, none, or auto: that of the training's loss.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
RunOrModel = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="Folder of a run; none with --weights.")
]
RecipeName = Annotated[
    str | None,
    typer.Argument(metavar="RECIPE", help="A TOML file, or a name in `jaxcnn recipes`."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="OPTION=VALUE", help="Set an option of the recipe."),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder of TensorFlow Datasets, if not the default one.")
]
CacheDir = Annotated[
    Path | None, typer.Option(help="Folder for decoded pictures, if not beside their folder.")
]
DeviceCount = Annotated[
    int | None,
    typer.Option("--devices", metavar="N", help="Devices that share each batch, if not all."),
]
Coordinator = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Address of process 0, to train with several processes; SLURM, Open MPI and Cloud "
        "TPU need none of these options.",
    ),
]
Processes = Annotated[int | None, typer.Option(help="Number of processes, with --coordinator.")]
ProcessId = Annotated[
    int | None, typer.Option(help="Number of this process, from 0, with --coordinator.")
]
JoinTimeout = Annotated[
    int, typer.Option(metavar="SECONDS", help="Time to wait for the other processes.")
]
OnError = Annotated[
    str,
    typer.Option(
        help="raise: a picture that cannot be read is an error that names it; skip: it is left "
        "out, with a warning that counts them."
    ),
]
Plot = Annotated[Path, typer.Option("--plot", help="File of the plot, such as a PNG.")]


def parse_size(text: str) -> tuple[int, int]:
    """Return height and width of ``128``, ``96x128`` or ``96,128``.

    Raises:
      ValueError: the text is none of these.
    """
    parts = text.lower().replace("×", "x").replace(",", "x").split("x")
    if len(parts) > 2 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError(
            "--image-size must be one number, or height and width, such as 128 or 96x128. "
            f"Received: {arguments.shown(text)}"
        )
    return int(parts[0]), int(parts[-1])


def chosen_devices(number: int | None) -> Literal["all"] | int:
    """Return the devices of the option ``--devices``, as :func:`jaxcnn.fit` takes them."""
    return "all" if number is None else number

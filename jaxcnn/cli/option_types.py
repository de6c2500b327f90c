"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

MODEL_HELP = "A model of `jaxcnn models`, or one of your own as package.module:network."
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
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
OnError = Annotated[
    str, typer.Option(help="Whether to raise or to skip a picture that cannot be read.")
]
Plot = Annotated[Path, typer.Option("--plot", help="File of the plot, such as a PNG.")]

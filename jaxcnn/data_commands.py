"""The commands about data: ``jaxcnn data show``."""

from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import data as datasets
from jaxcnn import shapes
from jaxcnn.insight import plots

app = typer.Typer(help="Look at data sets.")


@app.callback(invoke_without_command=True)
def _top(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def show(
    data: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="digits, a .npz file, or a prepared TensorFlow data set."
        ),
    ],
    augment: Annotated[
        str, typer.Option(help="A recipe: " + ", ".join(datasets.recipe_names()) + ".")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The picture's file.", show_default="NAME-RECIPE.png")
    ] = None,
    images: Annotated[int, typer.Option(help="How many images, one to a row.")] = 6,
    image_size: Annotated[
        int | None,
        typer.Option(help="Resize to a square, as a model does.", show_default="as stored"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides all randomness.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where TensorFlow Datasets keeps its data, if elsewhere.")
    ] = None,
) -> None:
    """Draw what a recipe of augmentation makes of the first training images."""
    count = shapes.whole("images", images, least=1)
    recipe = datasets.recipe(augment)
    stored = datasets.load(data, split="train", image_size=image_size, data_dir=data_dir)
    file = Path(f"{Path(data).stem}-{augment}.png") if out is None else out
    plots.augmentations(stored.images[:count], recipe, seed=seed).savefig(file, dpi=120)
    print(f"The picture is {file}")

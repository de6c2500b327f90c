"""The command line for data sets: ``jaxcnn data list | info | prepare | show``."""

from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn.cli.option_types import DataDir, OnError

app = typer.Typer(help="List, describe, prepare and draw data sets.")


@app.callback(invoke_without_command=True)
def _top(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(name="list")
def list_data(data_dir: DataDir = None) -> None:
    """List the data sets that can be prepared, and which are."""
    from jaxcnn.cli.data_description import print_catalog

    print_catalog(data_dir)


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A folder, a file, or a name in `jaxcnn data list`.")],
    plot: Annotated[
        Path | None, typer.Option(help="Draw examples of each class into this file, such as a PNG.")
    ] = None,
    on_error: OnError = "raise",
    data_dir: DataDir = None,
) -> None:
    """Describe a data set: its splits, its classes, where it comes from."""
    from jaxcnn.cli.data_description import examples_of_classes, print_description

    if plot is not None:
        from jaxcnn.insight import plots

        shown = examples_of_classes(name, on_error, data_dir)
        plots.contact_sheet(shown.images, shown.labels, shown.class_names).savefig(plot, dpi=120)
    print_description(name, data_dir)
    if plot is not None:
        print(f"examples  {plot}")


@app.command()
def prepare(
    name: Annotated[
        str,
        typer.Argument(help="A name in `jaxcnn data list`; with --shards, a folder."),
    ],
    from_folder: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from this folder, without a network."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Download the files from this address instead.")
    ] = None,
    data_dir: DataDir = None,
    shards: Annotated[
        int | None,
        typer.Option(help="ArrayRecord files per split, as which a folder is written."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --shards: the folder to write, which must not exist.")
    ] = None,
) -> None:
    """Download a data set, check it and write it where training finds it.

    With --shards, write a folder of pictures as ArrayRecord files, which any host streams.
    """
    from jaxcnn.data import prepare as prepare_data
    from jaxcnn.data import write_shards

    if (shards is None) != (out is None):
        raise ValueError("--shards and --out go together: how many files per split, and where")
    if shards is not None and out is not None:
        print(write_shards(name, out, shards=shards))
        return
    prepare_data(name, from_folder=from_folder, mirror=mirror, data_dir=data_dir)


@app.command()
def show(
    data: Annotated[
        str, typer.Argument(metavar="NAME", help="A folder, a file, or a prepared data set.")
    ],
    augment: Annotated[str, typer.Option(help="A name in cnn.augment.names(), such as imagenet.")],
    out: Annotated[
        Path | None, typer.Option(help="File of the plot.", show_default="NAME-POLICY.png")
    ] = None,
    images: Annotated[int, typer.Option(help="Number of images, one per row.")] = 6,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Resize to a square, as a model does.",
            show_default="as stored; of pictures of several sizes, 64",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    on_error: OnError = "raise",
    data_dir: DataDir = None,
) -> None:
    """Draw the first training images under an augmentation policy."""
    from jaxcnn import augment as augmentations
    from jaxcnn.cli.data_description import first_examples
    from jaxcnn.insight import plots

    count = arguments.check_integer("images", images, minimum=1)
    policy = augmentations.named(augment)
    stored = first_examples(data, count, on_error, data_dir, image_size=image_size)
    file = Path(f"{Path(data).stem}-{augment}.png") if out is None else out
    plots.augmentations(stored.images, policy, seed=seed).savefig(file, dpi=120)
    print(f"The plot is in {file}")

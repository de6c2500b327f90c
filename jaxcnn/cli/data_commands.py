"""The command line for data sets: ``jaxcnn data list | info | prepare | show``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn import augment as augmentations
from jaxcnn import data as datasets
from jaxcnn.cli.option_types import DataDir, OnError
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.loading import examples
from jaxcnn.data.preparation import CATALOG
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalog import command
from jaxcnn.data.preparation.downloading import readable
from jaxcnn.data.sources import find_source
from jaxcnn.insight import plots

app = typer.Typer(help="List, describe, prepare and draw data sets.")
# Size at which pictures of several sizes are shown.
_SHOWN_SIZE = 64
# Classes are mixed in the order of a set, so this many images include some of each class.
_EXAMPLES, _EXAMPLES_OF_A_CLASS = 2_000, 100


@app.callback(invoke_without_command=True)
def _top(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(name="list")
def list_data(data_dir: DataDir = None) -> None:
    """List the data sets that can be prepared, and which are."""
    digits = datasets.load("digits", split="all")
    rows = [("digits", len(digits), len(digits.class_names), "", "comes with jaxcnn")]
    for name, entry in CATALOG.items():
        try:
            prepared = "yes" if is_prepared(name, data_dir) else "no"
        except ValueError:
            prepared = "needs TensorFlow"
        size = readable(entry.download_size)
        rows.append((name, entry.images, entry.classes, size, prepared))
    print(f"{'name':<14}  {'images':>7}  {'classes':>7}  {'download':>10}  prepared")
    for name, images, classes, size, prepared in rows:
        print(f"{name:<14}  {images:>7,}  {classes:>7}  {size:>10}  {prepared}")


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
    if plot is not None:
        classes = len(datasets.describe(name, data_dir=data_dir).class_names) or _EXAMPLES
        count = min(_EXAMPLES, _EXAMPLES_OF_A_CLASS * classes)
        shown = _examples(name, count, on_error, data_dir)
        plots.contact_sheet(shown.images, shown.labels, shown.class_names).savefig(plot, dpi=120)
    if name in CATALOG and find_source(name, data_dir).KIND == "tfds":
        _describe_entry(name, data_dir)
    else:
        _describe(name, data_dir)
    if plot is not None:
        print(f"examples  {plot}")


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A name in `jaxcnn data list`.")],
    from_folder: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from this folder, without a network."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Download the files from this address instead.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Download a data set, check it and write it where training finds it."""
    datasets.prepare(name, from_folder=from_folder, mirror=mirror, data_dir=data_dir)


@app.command()
def show(
    data: Annotated[
        str, typer.Argument(metavar="NAME", help="A folder, a file, or a prepared data set.")
    ],
    augment: Annotated[
        str, typer.Option(help="An augmentation policy: " + ", ".join(augmentations.names()) + ".")
    ],
    out: Annotated[
        Path | None, typer.Option(help="File of the plot.", show_default="NAME-POLICY.png")
    ] = None,
    images: Annotated[int, typer.Option(help="Number of images, one per row.")] = 6,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Resize to a square, as a model does.",
            show_default=f"as stored; of pictures of several sizes, {_SHOWN_SIZE}",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    on_error: OnError = "raise",
    data_dir: DataDir = None,
) -> None:
    """Draw the first training images under an augmentation policy."""
    count = arguments.check_integer("images", images, minimum=1)
    policy = augmentations.named(augment)
    stored = _examples(data, count, on_error, data_dir, image_size=image_size)
    file = Path(f"{Path(data).stem}-{augment}.png") if out is None else out
    plots.augmentations(stored.images, policy, seed=seed).savefig(file, dpi=120)
    print(f"The plot is in {file}")


def _examples(
    name: str, count: int, on_error: str, data_dir: Path | None, *, image_size: int | None = None
) -> Dataset:
    """Load the first training images, of one size."""
    if image_size is None and datasets.describe(name, data_dir=data_dir).image_shape is None:
        image_size = _SHOWN_SIZE
    return examples(name, count, image_size=image_size, on_error=on_error, data_dir=data_dir)


def _describe_entry(name: str, data_dir: Path | None) -> None:
    entry = CATALOG[name]
    prepared = is_prepared(name, data_dir)
    builder = stock_builder(name, data_dir)
    print(f"{name}: {entry.title}")
    for split, part in entry.splits.items():
        _describe_split(split, part.images, entry.image_shape)
    _describe_classes(builder.info.features["label"].names)
    print(f"download  {readable(entry.download_size)}")
    for file in entry.files:
        print(f"          {file.url}")
    print(f"source    {entry.homepage}")
    print(f"license   {entry.license}")
    place = builder.data_path if prepared else f"no: run {command(name, data_dir)}"
    print(f"prepared  {place}")


def _describe(name: str, data_dir: Path | None) -> None:
    described = datasets.describe(name, data_dir=data_dir)
    print(name)
    for split, images in described.splits.items():
        _describe_split(split, images, described.image_shape)
    _describe_classes(described.class_names)
    if not described.class_names and described.label_shape:
        print(f"labels    {'×'.join(map(str, described.label_shape))} numbers for each image")


def _describe_split(split: str, images: int, shape: tuple[int, ...] | None) -> None:
    what = "pictures" if shape is None else f"images of {'×'.join(map(str, shape))}"
    print(f"{split:<8}  {images:,} {what}")


def _describe_classes(names: Sequence[str]) -> None:
    if not names:
        return
    numbered = list(names) == [str(number) for number in range(len(names))]
    listed = f"{names[0]}…{names[-1]}" if numbered else ", ".join(names)
    print(f"classes   {len(names)}: {listed}")

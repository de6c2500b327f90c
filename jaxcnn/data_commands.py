"""The command line for data sets: ``jaxcnn data list | info | prepare | show``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import data as datasets
from jaxcnn import shapes
from jaxcnn.data import folders
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.preparation import CATALOGUE
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalogue import command
from jaxcnn.data.preparation.download import readable
from jaxcnn.insight import plots

app = typer.Typer(help="List, describe, prepare and draw data sets.")
DataDir = Annotated[
    Path | None, typer.Option(help="Where TensorFlow Datasets keeps its data, if elsewhere.")
]
# The pictures in a folder may have any size; so large they are shown.
_SHOWN_SIZE = 64
# TensorFlow Datasets shuffles what it prepares: so many examples have some of each class.
_EXAMPLES = 2_000


@app.callback(invoke_without_command=True)
def _top(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(name="list")
def list_data(data_dir: DataDir = None) -> None:
    """List the data sets that can be prepared, and which are."""
    digits = datasets.load("digits", split="all")
    rows = [("digits", len(digits), len(digits.class_names), "", "comes with jaxcnn")]
    for name, entry in CATALOGUE.items():
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
    picture: Annotated[
        Path | None, typer.Option(help="Draw examples of each class into this file, such as a PNG.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Describe a data set: its splits, its classes, where it comes from."""
    if picture is not None:
        shown = _examples(name, data_dir)
        plots.contact_sheet(shown.images, shown.labels, shown.class_names).savefig(picture, dpi=120)
    if _is_folder(name, data_dir):
        _describe_folder(Path(name))
    elif name in CATALOGUE:
        _describe_entry(name, data_dir)
    else:
        _describe_stored(name, data_dir)
    if picture is not None:
        print(f"examples  {picture}")


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
        str, typer.Option(help="A recipe: " + ", ".join(datasets.recipe_names()) + ".")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The picture's file.", show_default="NAME-RECIPE.png")
    ] = None,
    images: Annotated[int, typer.Option(help="How many images, one to a row.")] = 6,
    image_size: Annotated[
        int | None,
        typer.Option(
            help="Resize to a square, as a model does.",
            show_default=f"as stored; of pictures in a folder, {_SHOWN_SIZE}",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides all randomness.")] = 0,
    data_dir: DataDir = None,
) -> None:
    """Draw what a recipe of augmentation makes of the first training images."""
    count = shapes.whole("images", images, least=1)
    recipe = datasets.recipe(augment)
    stored = _examples(data, data_dir, image_size=image_size)
    file = Path(f"{Path(data).stem}-{augment}.png") if out is None else out
    plots.augmentations(stored.images[:count], recipe, seed=seed).savefig(file, dpi=120)
    print(f"The picture is {file}")


def _examples(name: str, data_dir: Path | None, *, image_size: int | None = None) -> Dataset:
    """Loads training images to show: of a large prepared set only some, in its own order."""
    split = "train"
    if _is_folder(name, data_dir):
        image_size = image_size or _SHOWN_SIZE
    elif name in CATALOGUE:
        split = f"train[:{min(_EXAMPLES, CATALOGUE[name].splits[split].images)}]"
    return datasets.load(name, split=split, image_size=image_size, data_dir=data_dir)


def _is_folder(name: str, data_dir: Path | None) -> bool:
    return data_dir is None and Path(name).is_dir()


def _describe_entry(name: str, data_dir: Path | None) -> None:
    entry = CATALOGUE[name]
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
    print(f"licence   {entry.licence}")
    place = builder.data_path if prepared else f"no: run {command(name, data_dir)}"
    print(f"prepared  {place}")


def _describe_folder(path: Path) -> None:
    found = folders.scan(path)
    print(path)
    for split, files in found.splits.items():
        print(f"{split:<8}  {len(files):,} pictures")
    _describe_classes(found.class_names)


def _describe_stored(name: str, data_dir: Path | None) -> None:
    splits = {
        split: datasets.load(name, split=split, data_dir=data_dir) for split in ("train", "test")
    }
    print(name)
    for split, data in splits.items():
        _describe_split(split, len(data), data.image_shape)
    train = splits["train"]
    if train.class_names:
        _describe_classes(train.class_names)
    else:
        print(f"labels    {'×'.join(map(str, train.labels.shape[1:]))} numbers for each image")


def _describe_split(split: str, images: int, shape: tuple[int, ...]) -> None:
    print(f"{split:<8}  {images:,} images of {'×'.join(map(str, shape))}")


def _describe_classes(names: Sequence[str]) -> None:
    numbered = list(names) == [str(number) for number in range(len(names))]
    listed = f"{names[0]}…{names[-1]}" if numbered else ", ".join(names)
    print(f"classes   {len(names)}: {listed}")

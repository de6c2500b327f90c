"""What the commands show of a data set."""

from collections.abc import Sequence
from pathlib import Path

from jaxcnn import data as datasets
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.loading import examples
from jaxcnn.data.preparation import CATALOG
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalog import command
from jaxcnn.data.preparation.downloading import readable
from jaxcnn.data.sources import find_source

# Size at which pictures of several sizes are shown.
_SHOWN_SIZE = 64
# Classes are mixed in the order of a set, so this many images include some of each class.
_EXAMPLES, _EXAMPLES_OF_A_CLASS = 2_000, 100


def print_catalog(data_dir: Path | None) -> None:
    """Print the data sets that can be prepared."""
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


def print_description(name: str, data_dir: Path | None) -> None:
    """Print what is known of a data set before it is loaded."""
    if name in CATALOG and find_source(name, data_dir).KIND == "tfds":
        _describe_entry(name, data_dir)
    else:
        _describe(name, data_dir)


def examples_of_classes(name: str, on_error: str, data_dir: Path | None) -> Dataset:
    """Load training images, some of each class."""
    classes = len(datasets.describe(name, data_dir=data_dir).class_names) or _EXAMPLES
    count = min(_EXAMPLES, _EXAMPLES_OF_A_CLASS * classes)
    return first_examples(name, count, on_error, data_dir)


def first_examples(
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

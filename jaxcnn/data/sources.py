"""Where data sets come from: the package itself, a NumPy archive, TensorFlow Datasets."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import checks
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalogue import CATALOGUE, command

_SPLITS = ("train", "test", "all")


def load(
    source: str | Path,
    *,
    split: str = "train",
    image_size: int | Sequence[int] | None = None,
    data_dir: str | Path | None = None,
) -> Dataset:
    """Loads a data set into memory.

    ``"digits"`` are the 1,797 handwritten digits that come with the package. A path that ends
    in ``.npz`` is an archive with ``images`` and ``labels``, and ``class_names`` if there are
    any. Every other name is a data set that TensorFlow Datasets has prepared; TensorFlow itself
    is not needed.

    >>> train, test = load("digits", image_size=28), load("digits", image_size=28, split="test")
    >>> len(train), len(test), test.image_shape
    (1442, 355, (28, 28, 1))

    Args:
      source: A name or a path.
      split: ``"train"``, ``"test"`` or ``"all"``. In the digits and in archives every fifth
        image of each class is for testing. For TensorFlow Datasets, any split that it knows,
        such as ``"train[:80%]"``.
      image_size: Resizes uint8 images to ``(H, W)``, or a square.
      data_dir: Where TensorFlow Datasets keeps its data; ``None`` means its own default.

    Raises:
      TypeError: images or labels are not of their type.
      ValueError: there is no such set, split or file, it is not prepared, or its contents do
        not make a data set; the message says what to do.
    """
    if str(source).endswith(".npz"):
        data = _split(_load_archive(Path(source)), split)
    elif source == "digits":
        data = _split(_load_digits(), split)
    else:
        data = _load_tfds(str(source), split, data_dir)
    return data if image_size is None else data.resize(image_size)


def _split(data: Dataset, split: str) -> Dataset:
    """Takes the part of ``data``: every fifth image of each class is for testing."""
    checks.known("split", split, _SPLITS)
    if split == "all":
        return data
    place_in_class = np.zeros(len(data), int)
    for label in np.unique(data.labels):
        members = data.labels == label
        place_in_class[members] = np.arange(members.sum())
    held_out = place_in_class % 5 == 4
    return data.take(np.flatnonzero(held_out if split == "test" else ~held_out))


def _load_digits() -> Dataset:
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        archive = np.load(file)
        sixteenths, labels = archive["images"], archive["labels"]
    return Dataset(np.round(sixteenths * (255 / 16)).astype(np.uint8)[..., None], labels)


def _load_archive(path: Path) -> Dataset:
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            contents = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file fails in as many ways as zip, deflate and npy have
        raise ValueError(f"{str(path)!r} is not a readable .npz archive: {error}") from error
    missing = {"images", "labels"} - contents.keys()
    if missing:
        raise ValueError(
            f"{str(path)!r} must hold 'images' and 'labels'. Received: {sorted(contents)}"
        )
    names = tuple(map(str, contents.get("class_names", ())))
    return Dataset(contents["images"], contents["labels"], names)


def _load_tfds(name: str, split: str, data_dir: str | Path | None) -> Dataset:
    import tensorflow_datasets as tfds

    available = ["digits", *tfds.list_builders(with_community_datasets=False)]
    if not name:
        checks.known("data set", name, available)
    try:
        prepared = is_prepared(name, data_dir)
    except tfds.core.DatasetNotFoundError:
        checks.known("data set", name, available)
        raise
    builder = stock_builder(name, data_dir)
    if not prepared:
        how = (
            command(name, data_dir)
            if name in CATALOGUE
            else f"where TensorFlow is installed: tfds.builder({name!r}, "
            "file_format='array_record').download_and_prepare()"
        )
        raise ValueError(
            f"the data set {name!r} is not prepared in {builder.data_path}. Prepare it once: {how}"
        )
    features: Any = builder.info.features
    if not {"image", "label"} <= features.keys():
        raise ValueError(
            f"the data set {name!r} must have the features 'image' and 'label'. "
            f"Received: {sorted(features)}"
        )
    records = list(builder.as_data_source(split=split))
    image_shapes = {record["image"].shape for record in records}
    if len(image_shapes) > 1:
        raise ValueError(f"the images of {name!r} must have one size. Received: {image_shapes}")
    images = np.stack([record["image"] for record in records])
    labels = np.array([record["label"] for record in records])
    return Dataset(images, labels, tuple(getattr(features["label"], "names", ())))

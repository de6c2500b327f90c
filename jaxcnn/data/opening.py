"""What is behind a source: arrays, or records whose pictures have still to be decoded."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.data import folders
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.names import expanded, kind_of_name
from jaxcnn.data.records import open_records
from jaxcnn.data.tfds import open_prepared
from jaxcnn.data.undecoded import Undecoded

_ARRAYS = ("images", "labels")


def open_source(source: Any, data_dir: str | Path | None) -> Dataset | Undecoded:
    """Returns the whole of a source, no picture decoded.

    Args:
      source: As :func:`jaxcnn.data.load` takes it.
      data_dir: Where TensorFlow Datasets keeps its data; ``None`` means its own default.

    Raises:
      TypeError: the source is none of what can be loaded.
      ValueError: there is no such set or file, or its contents do not make a data set.
    """
    if isinstance(source, str | Path):
        match kind_of_name(source, data_dir):
            case "digits":
                return _digits()
            case "archive":
                return _archive(expanded(source))
            case "folder":
                return _folder(expanded(source))
            case "tfds":
                return open_prepared(str(source), data_dir)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise ValueError(
                f"arrays must be the pair (images, labels). Received: a tuple of {len(source)}"
            )
        return Dataset(*source)
    if isinstance(source, Mapping):
        if source.keys() & {*_ARRAYS, "image", "label"}:
            return _from_mapping(source, "a mapping of arrays")
        return _splits(source)
    records, class_names = open_records(source)
    return Undecoded(
        type(source).__name__, {"all": len(records)}, lambda split: records, class_names
    )


def _digits() -> Dataset:
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        archive = np.load(file)
        sixteenths, labels = archive["images"], archive["labels"]
    return Dataset(np.round(sixteenths * (255 / 16)).astype(np.uint8)[..., None], labels)


def _archive(path: Path) -> Dataset:
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            contents = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file fails in as many ways as zip, deflate and npy have
        raise ValueError(f"{str(path)!r} is not a readable .npz archive: {error}") from error
    return _from_mapping(contents, repr(str(path)))


def _from_mapping(arrays: Mapping[str, Any], name: str) -> Dataset:
    if not arrays.keys() >= {*_ARRAYS}:
        raise ValueError(f"{name} must hold 'images' and 'labels'. Received: {sorted(arrays)}")
    names = tuple(map(str, arrays.get("class_names", ())))
    return Dataset(arrays["images"], arrays["labels"], names)


def _folder(path: Path) -> Undecoded:
    found = folders.scan(path)
    return Undecoded(
        str(path),
        {split: len(files) for split, files in found.splits.items()},
        found.splits.__getitem__,
        found.class_names,
        folder=path,
        content=found.digest,
        whole=True,
    )


def _splits(source: Mapping[str, Any]) -> Undecoded:
    opened = {split: open_records(records) for split, records in source.items()}
    names = {split: class_names for split, (_, class_names) in opened.items() if class_names}
    if len({*names.values()}) > 1:
        raise ValueError(f"all splits must have the same classes. Received: {names}")
    return Undecoded(
        type(source).__name__,
        {split: len(records) for split, (records, _) in opened.items()},
        lambda split: opened[split][0],
        next(iter(names.values()), ()),
    )

"""Writing of a data set in the form of TensorFlow Datasets, without TensorFlow."""

import contextlib
import functools
import importlib
import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from jaxcnn.data.preparation.catalog import Entry
from jaxcnn.data.preparation.downloading import Report
from jaxcnn.data.preparation.formats import Contents

# Raw bytes of the images in one file. All images of a file are in memory as Pillow images until it
# is written, because the writer of TensorFlow Datasets counts them first.
_SHARD_BYTES = 1 << 26
_IMAGES_BETWEEN_REPORTS = 500


def stock_builder(name: str, data_dir: str | Path | None) -> Any:
    """Return the builder of TensorFlow Datasets, with features, version and folder.

    Args:
      name: A data set, or ``name/config``.
      data_dir: Folder of the data sets; ``None`` means the default of TensorFlow Datasets.

    Raises:
      tensorflow_datasets.core.DatasetNotFoundError: There is no such set.
    """
    import tensorflow_datasets as tfds

    return tfds.builder(name, data_dir=data_dir)


def is_prepared(name: str, data_dir: str | Path | None) -> bool:
    """Return whether a data set is complete in its folder.

    Args:
      name: A data set, or ``name/config``.
      data_dir: Folder of the data sets; ``None`` means the default of TensorFlow Datasets.

    Raises:
      tensorflow_datasets.core.DatasetNotFoundError: There is no such set.
      ValueError: The set is stored in a format that only TensorFlow reads.
    """
    from tensorflow_datasets.core import FileFormat

    with _quiet("absl"):  # it logs a warning about a missing folder
        if not stock_builder(name, data_dir).is_prepared():
            return False
    builder = stock_builder(name, data_dir)  # a builder made before the folder is outdated
    if not builder.info.available_file_formats() & FileFormat.with_random_access():
        raise ValueError(
            f"the data set {name!r} is prepared in {builder.data_path} as "
            f"{builder.info.file_format.value}, which needs TensorFlow to be read. Remove that "
            "folder, or choose another data_dir."
        )
    return True


def check_array_record() -> None:
    """Check that the format of prepared data sets can be written and read here.

    Raises:
      ValueError: The package ``array_record`` is missing, which has no build for Windows.
    """
    try:
        importlib.import_module("array_record.python.array_record_module")
    except ImportError as error:
        raise ValueError(
            "prepared data sets are stored in the format ArrayRecord, whose package array_record "
            "has no build for Windows and cannot be imported here. Use a folder of pictures or an "
            f".npz archive, or install array_record on Linux or macOS: {error}"
        ) from error


def write(name: str, entry: Entry, files: Path, data_dir: Path, *, report: Report) -> Path:
    """Write a data set into `data_dir`, and return its folder.

    Name, version, features and the order of the examples are those of the stock builder. Images
    are encoded by Pillow. Examples are written in the order of their keys' hashes, so that memory
    holds the arrays of one split and the images of one file.

    Args:
      name: A data set of TensorFlow Datasets, or ``name/config``.
      entry: Its entry in the catalog.
      files: The folder that holds its files.
      data_dir: The folder to write into; it must not hold a set of that name.
      report: Called with the number of images written.

    Raises:
      ValueError: A file is damaged, or its contents do not match `entry`.
    """
    import tensorflow_datasets as tfds

    stock = stock_builder(name, data_dir)
    features: Any = stock.info.features
    for label, names in entry.class_names(files).items():
        features[label].names = names

    @functools.lru_cache(maxsize=1)
    def read(split: str) -> tuple[Contents, list[int]]:
        return _read(entry, split, files)

    def shard(split: str, rows: slice) -> Iterator[tuple[int, dict[str, Any]]]:
        contents, order = read(split)
        for done, row in enumerate(order[rows], start=rows.start + 1):
            yield row, _example(entry, split, contents, row)
            if done % _IMAGES_BETWEEN_REPORTS == 0 or done == len(order):
                report(f"writing {split} ({len(order):,} images)", done, len(order))

    def shards(split: str) -> list[Callable[[], Iterator[tuple[int, dict[str, Any]]]]]:
        images = entry.splits[split].images
        step = max(_SHARD_BYTES // math.prod(entry.image_shape), 1)
        starts = range(0, images, step)
        return [partial(shard, split, slice(start, start + step)) for start in starts]

    # TFDS is not typed: its base class is unknown, and so are the keywords of its subclasses.
    class Builder(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg, misc]  # TFDS has no types
        name = stock.name
        VERSION = stock.version
        BUILDER_CONFIGS = stock.BUILDER_CONFIGS

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=stock.info.description,
                features=features,
                supervised_keys=stock.info.supervised_keys,
                homepage=stock.info.homepage,
                citation=stock.info.citation,
            )

        def _shard_iterators_per_split(self, manager: Any) -> Mapping[str, Any]:
            return {split: shards(split) for split in entry.splits}

    config = stock.builder_config
    builder = Builder(data_dir=data_dir, config=config and config.name, file_format="array_record")
    # TensorFlow Datasets prints its progress to both streams; `report` shows ours.
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        builder.download_and_prepare()
    return Path(builder.data_path)


def _read(entry: Entry, split: str, files: Path) -> tuple[Contents, list[int]]:
    """Return the images and labels of a split, and the order in which they are written."""
    from tensorflow_datasets.core import hashing

    count = entry.splits[split].images
    contents = entry.splits[split].read(files, count)
    lengths = {len(contents.images), *map(len, contents.labels.values())}
    if lengths != {count} or contents.images.shape[1:] != entry.image_shape:
        raise ValueError(
            f"the split {split!r} must have {count:,} images of {entry.image_shape} with labels. "
            f"Received: {contents.images.shape}, labels {lengths}"
        )
    hasher = hashing.Hasher(split)
    return contents, sorted(range(count), key=hasher.hash_key)


def _example(entry: Entry, split: str, contents: Contents, row: int) -> dict[str, Any]:
    image = contents.images[row]
    # TensorFlow Datasets uses TensorFlow to encode an array, but not to encode a Pillow image.
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    labels = {name: int(numbers[row]) for name, numbers in contents.labels.items()}
    identity = {"id": f"{split}_{row:0{entry.id_digits}d}"} if entry.id_digits else {}
    return {"image": picture, **labels, **identity}


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

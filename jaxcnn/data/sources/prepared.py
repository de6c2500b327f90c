"""Data sets that TensorFlow Datasets has prepared, read without TensorFlow."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.data.decoding import cache
from jaxcnn.data.decoding.record_decoding import RecordSequence
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.preparation.builders import check_array_record, is_prepared, stock_builder
from jaxcnn.data.preparation.catalog import CATALOG, command

KIND = "tfds"
# NAME, NAME/CONFIG or NAME:VERSION. TensorFlow Datasets looks for other forms on the network.
_NAME = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?", re.ASCII)


def is_known(name: str, data_dir: str | Path | None) -> bool:
    """Return whether TensorFlow Datasets has this name, configuration and version.

    Args:
      name: A data set, ``name/config`` or ``name:version``; prepared or not.
      data_dir: Folder of TensorFlow Datasets; ``None`` means its default.
    """
    if not _NAME.fullmatch(name):
        return False
    try:
        stock_builder(name, data_dir)
    except (ValueError, AssertionError):  # no such set or configuration; no such version
        return False
    return True


def open_source(source: str, data_dir: str | Path | None) -> Undecoded:
    """Return a prepared data set, without decoding a picture.

    Args:
      source: A data set for which :func:`is_known` is true.
      data_dir: Folder of TensorFlow Datasets; ``None`` means its default.

    Raises:
      ValueError: The set is not prepared, only TensorFlow reads it, or it has no labeled images; or
        its format cannot be read here.
    """
    import tensorflow_datasets as tfds

    prepared = is_prepared(source, data_dir)
    builder = stock_builder(source, data_dir)
    folder = Path(builder.data_path)
    how = (
        command(source, data_dir)
        if source in CATALOG
        else f"where TensorFlow is installed: tfds.builder({source!r}, "
        "file_format='array_record').download_and_prepare()"
    )
    if not prepared:
        raise ValueError(
            f"the data set {source!r} is not prepared in {folder}. Prepare it once: {how}"
        )
    check_array_record()
    features: Any = builder.info.features
    if not {"image", "label"} <= features.keys():
        raise ValueError(
            f"the data set {source!r} must have the features 'image' and 'label'. "
            f"Received: {sorted(features)}"
        )
    image = features["image"]
    pictures = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
    pictures = pictures and image.shape[-1] in (None, 1, 3)
    # The bytes are decoded by `Records` in several threads; TFDS would use one.
    decoders = {"image": tfds.decode.SkipDecoding()} if pictures else None
    advice = f"The data set {source!r} is damaged: remove {folder}, and prepare it again: {how}"
    return Undecoded(
        repr(source),
        {split: info.num_examples for split, info in builder.info.splits.items()},
        lambda split: _Shards(
            lambda: builder.as_data_source(split=split, decoders=decoders), advice
        ),
        tuple(getattr(features["label"], "names", None) or ()),
        channels=image.shape[-1] if pictures else None,
        image_shape=None if None in image.shape else tuple(image.shape),
        folder=folder,
        content=cache.digest(cache.listing(folder)),
    )


class _Shards:
    """The records of a split; the error for a damaged file gives the fix."""

    def __init__(self, open_split: Callable[[], RecordSequence], advice: str) -> None:
        self._advice = advice
        self._source: RecordSequence = self._read(open_split)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Any:
        return self._read(lambda: self._source[row])

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except RuntimeError as error:  # from ArrayRecord
            raise ValueError(f"{error}. {self._advice}") from error

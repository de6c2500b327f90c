"""Data sets that TensorFlow Datasets has prepared, read without TensorFlow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.data import cache
from jaxcnn.data.decoding import Source
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalog import CATALOG, command
from jaxcnn.data.undecoded import Undecoded


def open_prepared(name: str, data_dir: str | Path | None) -> Undecoded:
    """Returns a data set of TensorFlow Datasets, none of its pictures decoded.

    Args:
      name: A set that the library knows, or ``name/config``.
      data_dir: Where it keeps its data; ``None`` means its own default.

    Raises:
      ValueError: the set is not prepared, only TensorFlow reads it, or it has no labeled images.
    """
    import tensorflow_datasets as tfds

    prepared = is_prepared(name, data_dir)
    builder = stock_builder(name, data_dir)
    folder = Path(builder.data_path)
    how = (
        command(name, data_dir)
        if name in CATALOG
        else f"where TensorFlow is installed: tfds.builder({name!r}, "
        "file_format='array_record').download_and_prepare()"
    )
    if not prepared:
        raise ValueError(
            f"the data set {name!r} is not prepared in {folder}. Prepare it once: {how}"
        )
    features: Any = builder.info.features
    if not {"image", "label"} <= features.keys():
        raise ValueError(
            f"the data set {name!r} must have the features 'image' and 'label'. "
            f"Received: {sorted(features)}"
        )
    image = features["image"]
    pictures = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
    pictures = pictures and image.shape[-1] in (None, 1, 3)
    # Our threads decode the bytes; TFDS would do it one by one, and without resizing.
    decoders = {"image": tfds.decode.SkipDecoding()} if pictures else None
    advice = f"The data set {name!r} is damaged: remove {folder}, and prepare it again: {how}"
    return Undecoded(
        repr(name),
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
    """A split; where one of its files is damaged, the error says what to do."""

    def __init__(self, open_split: Callable[[], Source], advice: str) -> None:
        self._advice = advice
        self._source: Source = self._read(open_split)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Any:
        return self._read(lambda: self._source[row])

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except RuntimeError as error:  # of ArrayRecord
            raise ValueError(f"{error}. {self._advice}") from error

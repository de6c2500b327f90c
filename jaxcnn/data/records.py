"""Records of other libraries: Hugging Face, Grain, and whatever has a length and numbers."""

import sys
from collections.abc import Mapping
from typing import Any

from jaxcnn.data.decoding import Source


def open_records(source: Any) -> tuple[Source, tuple[str, ...]]:
    """Returns records with ``image`` and ``label``, and the names of their classes if known.

    Args:
      source: As :func:`jaxcnn.data.load` takes it.

    Raises:
      TypeError: these are no records that can be read by number.
      ValueError: there is no end of them, or a table has not the columns.
    """
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise TypeError(
            "source must be a name, a path, (images, labels), or records that have a length and "
            "are read by number. Of a Grain IterDataset give the MapDataset before "
            "to_iter_dataset(), and load a Hugging Face set without streaming=True. "
            f"Received: {type(source).__name__}"
        )
    if len(source) >= sys.maxsize:
        raise ValueError(f"records must end. Received: an endless {type(source).__name__}")
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        return _hugging_face(source, features)
    described = getattr(source, "dataset_info", None)  # a data source of TensorFlow Datasets
    label = {} if described is None else described.features["label"]
    return source, tuple(getattr(label, "names", None) or ())


def _hugging_face(table: Any, features: Mapping[str, Any]) -> tuple[Source, tuple[str, ...]]:
    """Returns a Hugging Face ``Dataset`` as records whose pictures are not decoded yet.

    The features are known by the names of their types, so that nothing needs to be imported.
    """
    columns = []
    for name, kind in (("image", "Image"), ("label", "ClassLabel")):
        fitting = [each for each, feature in features.items() if type(feature).__name__ == kind]
        if name not in features and len(fitting) != 1:
            raise ValueError(
                f"the table must have a column {name!r}, or one column of type {kind}: use "
                f"rename_column(…, {name!r}). Received: {dict(features)}"
            )
        columns.append(name if name in features else fitting[0])
    image, label = columns
    dtype = _array_dtype(features[image])
    table = table.select_columns(columns)
    table = table.with_format("numpy", dtype=dtype) if dtype else table.with_format(None)
    if type(features[image]).__name__ == "Image":
        table = table.cast_column(image, type(features[image])(decode=False))
    table = table.rename_columns({image: "image", label: "label"})
    return table, tuple(getattr(features[label], "names", None) or ())


def _array_dtype(feature: Any) -> str | None:
    """Returns the dtype of a column of arrays or of lists of numbers; ``None`` of any other."""
    nested = hasattr(feature, "shape")
    while hasattr(feature, "feature"):
        feature, nested = feature.feature, True
    return feature.dtype if nested else None

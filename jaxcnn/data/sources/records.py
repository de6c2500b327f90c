"""Records of other libraries: Hugging Face, Grain, and any sequence of mappings."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.data.decoding.record_decoding import RecordSequence, read_record
from jaxcnn.data.decoding.undecoded import Undecoded

KIND = "records"


def open_source(source: Any, data_dir: str | Path | None) -> Undecoded:
    """Return records, or a mapping of splits to records, without reading one.

    Args:
      source: As :func:`jaxcnn.data.load` takes it.
      data_dir: Not used.

    Raises:
      TypeError: The records cannot be read by number.
      ValueError: The records are endless, a table lacks a column, or splits have different classes.
    """
    del data_dir
    name = type(source).__name__
    if not isinstance(source, Mapping):
        records, class_names = _open_records(source)
        return Undecoded(name, {"all": len(records)}, lambda split: records, class_names)
    opened = {split: _open_records(records) for split, records in source.items()}
    names = {split: class_names for split, (_, class_names) in opened.items() if class_names}
    if len({*names.values()}) > 1:
        raise ValueError(f"all splits must have the same classes. Received: {names}")
    return Undecoded(
        name,
        {split: len(records) for split, (records, _) in opened.items()},
        lambda split: opened[split][0],
        next(iter(names.values()), ()),
    )


def _open_records(source: Any) -> tuple[RecordSequence, tuple[str, ...]]:
    """Return records with ``image`` and ``label``, and the class names if known."""
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise TypeError(
            "source must be a name, a path, (images, labels), or records that have a length and "
            "are read by number, or a Grain IterDataset or streamed Hugging Face set. Of a PyTorch "
            "DataLoader pass its dataset. "
            f"Received: {type(source).__name__}"
        )
    if len(source) >= sys.maxsize:
        raise ValueError(f"records must end. Received: an endless {type(source).__name__}")
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        return _open_table(source, features)
    info = getattr(source, "dataset_info", None)  # a data source of TensorFlow Datasets
    label = {} if info is None else info.features["label"]
    return source, tuple(getattr(label, "names", None) or ())


def _open_table(table: Any, features: Mapping[str, Any]) -> tuple[RecordSequence, tuple[str, ...]]:
    """Return a Hugging Face ``Dataset`` as records with undecoded pictures.

    The features are recognized by the names of their types, so that nothing is imported. Its
    format is honored: a transform is applied, and columns that it leaves out are not read; numpy,
    torch and others only choose the container of the same values.
    """
    form = getattr(table, "format", None) or {}
    if not form.get("output_all_columns"):
        features = {name: features[name] for name in form.get("columns", features)}
    columns = image, label = find_columns(features)
    class_names = tuple(getattr(features[label], "names", None) or ())
    if form.get("type") == "custom":
        return Renamed(table, image, label), class_names
    if form.get("format_kwargs"):
        raise ValueError(
            "the options of a table's format would be lost, because pixels are decoded here: use "
            f"with_format(None), or with_transform. Received: {arguments.shown(form)}"
        )
    dtype = _array_dtype(features[image])
    mode = getattr(features[image], "mode", None)
    table = table.select_columns([*columns])
    table = table.with_format("numpy", dtype=dtype) if dtype else table.with_format(None)
    if type(features[image]).__name__ == "Image":
        table = table.cast_column(image, type(features[image])(decode=False))
    return Renamed(table, image, label, check_mode(mode)), class_names


def find_columns(features: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the columns of images and labels in a Hugging Face table.

    Raises:
      ValueError: There is no such column.
    """
    columns = []
    for name, kind in (("image", "Image"), ("label", "ClassLabel")):
        fitting = [each for each, feature in features.items() if type(feature).__name__ == kind]
        if name not in features and len(fitting) != 1:
            raise ValueError(
                f"the table must have a column {name!r}, or one column of type {kind}: use "
                f"rename_column(…, {name!r}). Received: {arguments.shown(features)}"
            )
        columns.append(name if name in features else fitting[0])
    image, label = columns
    return image, label


class Renamed(Sequence[Any]):
    """Records of a table whose columns have other names."""

    def __init__(self, table: Any, image: str, label: str, mode: str | None = None) -> None:
        """Keep the table, the names of its columns, and the mode that its pictures get."""
        self._table, self._names, self._mode = table, {image: "image", label: "label"}, mode

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._table)

    def __getitem__(self, row: Any) -> Any:
        """Return the record with this number; a picture in the mode that the table asks for."""
        record = self._table[row]
        if not isinstance(record, Mapping):
            return record
        record = {self._names.get(name, name): value for name, value in record.items()}
        if self._mode is not None:
            picture = read_record(record["image"], f"record {row} of {type(self._table).__name__}")
            record["image"] = picture.convert(self._mode)
        return record


def check_mode(mode: str | None) -> str | None:
    """Return the mode of the pictures of a Hugging Face table, which must be gray or RGB.

    Raises:
      ValueError: It is another.
    """
    if mode not in (None, "L", "RGB"):
        raise ValueError(
            "the pictures of a table become gray or RGB: its feature must be Image(mode='L'), "
            f"Image(mode='RGB') or Image(). Received: Image(mode={arguments.shown(mode)})"
        )
    return mode


def _array_dtype(feature: Any) -> str | None:
    """Return the dtype of a column of arrays or nested lists; ``None`` for any other column."""
    nested = hasattr(feature, "shape")
    while hasattr(feature, "feature"):
        feature, nested = feature.feature, True
    return feature.dtype if nested else None

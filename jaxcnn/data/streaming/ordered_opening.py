"""Opening of records that can only be read in order: streamed tables, and Grain's iterators."""

import itertools
from collections.abc import Mapping
from typing import Any

from jaxcnn import arguments
from jaxcnn.data.decoding.record_decoding import Records
from jaxcnn.data.decoding.undecoded import Form
from jaxcnn.data.sources.records import check_mode, find_columns
from jaxcnn.data.streaming.decoder import Decoder
from jaxcnn.data.streaming.opening import SAMPLE, decode_sample
from jaxcnn.data.streaming.ordered_stream import OrderedStream

# Records of which one at random comes next. They are encoded: 110 MB of ImageNet's pictures.
_WINDOW = 1_000
_KINDS = ("grain.IterDataset", "datasets.IterableDataset")


def is_ordered(source: Any) -> bool:
    """Return whether records are a ``grain.IterDataset`` or a ``datasets.IterableDataset``.

    They, or a mapping of splits to them, are recognized by their names: nothing is imported.
    """
    if isinstance(source, Mapping):
        return bool(source) and all(map(is_ordered, source.values()))
    kinds = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(source).__mro__}
    return not kinds.isdisjoint(_KINDS)


def open_ordered(source: Any, split: str | None, form: Form) -> OrderedStream:
    """Return records for which :func:`is_ordered` is true as a stream; only its sample is decoded.

    Args:
      source: The records, or a mapping of splits to them.
      split: A split of a mapping; ``None`` means ``"train"``.
      form: The form of the images.

    Raises:
      TypeError: A record of the sample has the wrong type.
      ValueError: There is no such split or column, the classes are not known, there is no record,
        or a picture of the sample cannot be read.
    """
    if isinstance(source, Mapping):
        split = split or "train"
        arguments.check_known("split", split, source)
        source = source[split]
    elif split not in (None, "all"):
        raise ValueError(
            "records that are read in order have no splits and no slices. "
            f"Received: split={arguments.shown(split)}"
        )
    name, class_names, records = type(source).__name__, form.class_names, source
    channels = form.channels
    if hasattr(source, "state_dict"):
        from jaxcnn.data.streaming.table_records import TableRecords

        if source.features is not None:
            channels = channels or _channels(source.features)
            source, known = _undecoded(source)
            class_names = class_names or known
        records = TableRecords(source)
    first = list(itertools.islice(records, SAMPLE))
    if not first:
        raise ValueError(f"{name} must have a record. Received: none")
    options = form.image_size, form.resizing, channels, form.skip, form.value_range, True
    sample = decode_sample(Records(first, name, *options), class_names)
    return OrderedStream(Decoder(Records((), name, *options), sample, form.crop), records, _WINDOW)


def _channels(features: Mapping[str, Any]) -> int | None:
    """Return the channels of the pictures of a table, where it tells them."""
    mode = check_mode(getattr(features[find_columns(features)[0]], "mode", None))
    return None if mode is None else {"L": 1, "RGB": 3}[mode]


def _undecoded(table: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a table with the columns ``image`` and ``label`` alone, and its class names."""
    image, label = find_columns(table.features)
    feature = table.features[image]
    names = tuple(getattr(table.features[label], "names", None) or ())
    table = table.select_columns([image, label])
    if type(feature).__name__ == "Image":
        table = table.cast_column(image, type(feature)(decode=False))
    renamed = {old: new for old, new in ((image, "image"), (label, "label")) if old != new}
    return table.rename_columns(renamed) if renamed else table, names

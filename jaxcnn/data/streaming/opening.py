"""Opening of sets of records as streams."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxcnn import arguments
from jaxcnn.data import splits
from jaxcnn.data.dataset import Dataset, storage_bytes
from jaxcnn.data.decoding import cache
from jaxcnn.data.decoding.record_decoding import Records, RecordSequence
from jaxcnn.data.decoding.record_sequences import Joined, Picked
from jaxcnn.data.decoding.undecoded import Form, Undecoded
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.data.resizing import Resizing
from jaxcnn.data.streaming.decoder import Decoder
from jaxcnn.data.streaming.reading_ahead import import_grain
from jaxcnn.data.streaming.stream import Stream

# Examples that are decoded at opening: they tell the form of all, and identify the set.
SAMPLE = 32
# A set is decoded once where its images take at most this share of the free space.
_MOST_OF_DISK = 0.5


def open_stream(opened: Undecoded, split: str | None, form: Form) -> Stream:
    """Return a split as a stream; only its sample is decoded.

    Args:
      opened: The records.
      split: As for :func:`jaxcnn.data.load`; of records without splits ``"all"`` or ``None``.
      form: The form of the images.

    Raises:
      ImportError: Grain is not installed.
      TypeError: A record of the sample has the wrong type.
      ValueError: There is no such split, the labels are not one class per image, the classes are
        not known, or a picture of the sample cannot be read.
    """
    import_grain()
    if opened.task != "classify":
        raise ValueError(
            "a stream has one class per image; decode this set once with stream=False. "
            f"Received: {opened.name}, whose labels are to {opened.task}"
        )
    parts = splits.parse(split or _first(opened), opened.sizes)
    if "all" in opened.sizes and any(part.start or part.stop for part in parts):
        raise ValueError(
            "records without splits are streamed whole, because slices have their share of every "
            f"class, and labels are not read before. Received: split={arguments.shown(split)}"
        )
    sources = [opened.open_split(name) for name in opened.sizes]
    joined = Joined(sources)
    stored = splits.stored_rows(parts, opened.sizes)
    rows = np.arange(len(joined))[stored]
    if not len(rows):
        raise ValueError(f"the split holds none of the {len(joined)} images of {opened.name}")
    records = Records(
        joined,
        opened.name,
        form.image_size,
        form.resizing,
        form.channels or opened.channels,
        form.skip,
        form.value_range,
        draft=opened.image_shape is None or form.crop is not None,
        variant=opened.variant,
    )
    some = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int))]
    few = replace(records, source=Picked(joined, some))
    decoder = Decoder(records, decode_sample(few, opened.class_names), form.crop)
    return Stream(decoder, rows, _known_labels(sources, rows))


def is_too_large(opened: Undecoded, form: Form) -> str | None:
    """Return why a set should be streamed rather than decoded once, or ``None``.

    It is where the decoded images would take more than half of the free space of their disk.
    """
    shape = opened.image_shape
    if form.image_size is not None:
        shape = (*form.image_size, form.channels or opened.channels or 3)
    if shape is None or opened.task != "classify":
        return None
    needed = sum(opened.sizes.values()) * storage_bytes(shape)
    place, kept = Path(form.cache_dir or tempfile.gettempdir()), 0
    if opened.folder is not None:
        place = cache.places(opened.folder, form.cache_dir)[0]
        # What an earlier call has decoded there counts as free, as it would be used again.
        kept = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    parent = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(parent).free + kept
    if needed <= _MOST_OF_DISK * free:
        return None
    return (
        f"{opened.name} is decoded as it comes: decoded once, it would take {_gigabytes(needed)} "
        f"of {_gigabytes(free)} in {str(place)!r}"
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


def _first(opened: Undecoded) -> str:
    return "train" if "train" in opened.sizes else next(iter(opened.sizes))


def _known_labels(sources: Sequence[RecordSequence], rows: np.ndarray) -> np.ndarray | None:
    """Return the class numbers of records, where the sources know them."""
    known = [getattr(source, "labels", None) for source in sources]
    if any(labels is None for labels in known):
        return None
    return np.concatenate([np.asarray(labels) for labels in known])[rows]


def decode_sample(records: Records, class_names: tuple[str, ...]) -> Dataset:
    """Return decoded records in memory; they tell the form of all.

    Args:
      records: The first records, or some of all.
      class_names: One per class.

    Raises:
      TypeError: A record has the wrong type.
      ValueError: The classes are not known, the labels are not one class per image, or a picture
        cannot be read.
    """
    if not class_names:
        raise ValueError(
            "a stream needs class_names, the name of each class, because its labels are not read "
            f"before. Received: none for {records.name}"
        )
    decoded = cache.decode_temporarily(records, {"sample": len(records.source)}, class_names)
    check_class_per_image(decoded.labels, "a stream")
    images = np.array(decoded.images)
    assert isinstance(records.resizing, Resizing)
    return Dataset(images, decoded.labels, decoded.class_names, records.resizing)

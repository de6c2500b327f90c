"""Data sets of undecoded records in splits, and their decoding or reading from the cache."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from jaxcnn import shapes
from jaxcnn.data import splits
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding import cache
from jaxcnn.data.decoding.clips import ClipSampling
from jaxcnn.data.decoding.pictures import ValueRange
from jaxcnn.data.decoding.record_decoding import Records, RecordSequence, unreadable
from jaxcnn.data.decoding.record_sequences import Joined, Picked
from jaxcnn.data.labels import LabelTask
from jaxcnn.data.random_crop import RandomCrop
from jaxcnn.data.resizing import SQUASH, Resizing

# The file name of an image by its row.
FileNames: TypeAlias = Callable[[int], str]
# Records without a folder are recognized by their number and this many of them.
_SAMPLE = 16


@dataclass(frozen=True)
class Form:
    """The form in which the user wants a data set.

    Attributes:
      image_size: ``(H, W)`` to which images are resized; ``None`` keeps the size.
      resizing: The way in which pictures get that size.
      channels: 1 or 3, to which pictures are converted; ``None`` means color if any has color.
      skip: Whether a picture that cannot be read is left out.
      value_range: Values of pictures of more than 8 bits that become black and white.
      cache_dir: Folder for decoded images; ``None`` means beside their source.
      sampling: The frames that are taken of each video; ``None`` where pictures are meant.
      sample_rate: Steps per second to which sounds are resampled; ``None`` means as the first.
      length: Steps to which series are cut or padded; ``None`` means the longest.
      class_names: One per class, where the source does not tell them.
      crop: The random part that a stream takes of each picture; ``None`` takes the whole.
    """

    image_size: tuple[int, int] | None = None
    resizing: Resizing = SQUASH
    channels: int | None = None
    skip: bool = False
    value_range: ValueRange = None
    cache_dir: str | Path | None = None
    sampling: ClipSampling | None = None
    sample_rate: int | None = None
    length: int | None = None
    crop: RandomCrop | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undecoded:
    """A data set of records whose pictures have not been decoded.

    Attributes:
      name: Name of the set in errors.
      sizes: Number of records of each split.
      open_split: Return the records of a split.
      class_names: One per class, if known without reading labels.
      channels: 1 or 3, if known to be the same for all pictures.
      image_shape: ``(H, W, C)`` of every image, if known.
      folder: The folder beside which decoded images are kept, if there is one.
      content: A digest that changes with the records, if known.
      whole: Whether all splits must be decoded together.
      task: What a network learns from the labels, as :attr:`jaxcnn.Dataset.task`.
      variant: Options of the source that change the images; each variant is cached apart.
    """

    name: str
    sizes: Mapping[str, int]
    open_split: Callable[[str], RecordSequence]
    class_names: tuple[str, ...] = ()
    channels: int | None = None
    image_shape: shapes.Shape | None = None
    folder: Path | None = None
    content: str | None = None
    whole: bool = False
    task: LabelTask = "classify"
    variant: str = ""

    def decode(self, split: str | None, form: Form) -> Dataset:
        """Return a split, decoded now or read from the cache.

        All splits are decoded together where only all of them determine the classes and whether
        any picture has color; otherwise only the requested ones.

        Args:
          split: As for :func:`jaxcnn.data.load`.
          form: The form of the images.

        Raises:
          OSError: The decoded images cannot be written.
          TypeError: A record, an image or a label has the wrong type.
          ValueError: There is no such split, it is empty, or a picture cannot be read.
        """
        if self.sizes.keys() == {"all"}:  # records without splits
            return splits.cut(self._decode([splits.Part("all")], form)[0], split or "all")
        return self._decode(splits.parse(split or "train", self.sizes), form)[0]

    def decode_named(self, split: str, form: Form) -> tuple[Dataset, FileNames]:
        """Return a split as :meth:`decode`, and the function from its rows to their file names."""
        return self._decode(splits.parse(split, self.sizes), form)

    def decode_first(self, count: int, form: Form) -> Dataset:
        """Return the first images of ``"train"``, or else of the first split, without a cache.

        Args:
          count: Number of images at most.
          form: The form of the images.

        Raises:
          TypeError: A record, an image or a label has the wrong type.
          ValueError: The split is empty, or a picture cannot be read.
        """
        split = "train" if "train" in self.sizes else next(iter(self.sizes))
        records = self.open_split(split)
        first = Picked(records, range(min(len(records), count)))
        few = Undecoded(self.name, {split: len(first)}, lambda split: first, self.class_names)
        return few._decode([splits.Part(split)], form)[0]

    def _decode(self, parts: Sequence[splits.Part], form: Form) -> tuple[Dataset, FileNames]:
        channels = form.channels or self.channels
        requested = dict.fromkeys(part.name for part in parts)
        separate = self.class_names and channels and not self.whole
        sizes = {split: self.sizes[split] for split in (requested if separate else self.sizes)}
        if not sum(sizes[split] for split in requested):
            raise ValueError(f"{self.name} has no image in {' + '.join(requested)}")
        joined = Joined([self.open_split(split) for split in sizes])
        records = Records(
            joined,
            self.name,
            form.image_size,
            form.resizing,
            channels,
            form.skip,
            form.value_range,
            # Images of one size may also be resized after they are kept, to the same pixels.
            draft=self.image_shape is None,
            variant=self.variant,
        )
        decoded = self._decode_or_find(records, sizes, form.cache_dir)
        if decoded.skipped and not form.skip:
            raise unreadable(decoded.skipped[0][1])
        if decoded.skipped:
            errors = [error for _, error in decoded.skipped]
            warnings.warn(records.describe_left_out(errors, len(joined)), stacklevel=5)
        rows = splits.stored_rows(parts, decoded.sizes)
        if not len(decoded.labels[rows]):
            raise ValueError(
                f"the split holds none of the {len(decoded.labels)} images of {self.name}"
            )

        def file_name(row: int) -> str:
            left_out = [number for number, _ in decoded.skipped]
            kept = np.delete(np.arange(len(joined)), left_out)
            return records.file_name(int(kept[rows][row]))

        resizing = SQUASH if form.image_size is None else form.resizing
        return decoded.take(rows, resizing), file_name

    def _decode_or_find(
        self, records: Records, sizes: dict[str, int], cache_dir: str | Path | None
    ) -> cache.Decoded:
        content, places = self.content, []
        if self.folder is not None:
            places = cache.places(self.folder, cache_dir)
        elif cache_dir is not None:
            content = cache.digest([*records.sample(_SAMPLE), *self.class_names])
            places = [Path(cache_dir) / f"records-{content}"]
        if content is None:
            return cache.decode_temporarily(records, sizes, self.class_names)
        return cache.open_or_decode(
            records, sizes, self.class_names, content=content, places=places
        )

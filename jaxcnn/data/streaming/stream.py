"""The stream of pictures that are read by number, and decoded for each batch."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.record_decoding import usable_cores
from jaxcnn.data.drawing import Batch, Draw, Drawn
from jaxcnn.data.streaming.decoder import Decoder, Example
from jaxcnn.data.streaming.reading_ahead import ReadAhead, import_grain
from jaxcnn.other_names import Explained

# Images that a thread decodes at a time: Grain takes 0.1 ms for each element.
_PIECE = 8


@dataclass(frozen=True, eq=False, repr=False)
class Stream(Explained):
    """Labeled images that are decoded as they come; :func:`jaxcnn.data.load` makes it.

    It takes the place of a :class:`jaxcnn.Dataset` in :func:`jaxcnn.fit`,
    :func:`jaxcnn.evaluate` and :func:`jaxcnn.data.batches`, with the same batches in the same order
    for the same seed. The shuffle is over all images. Grain's threads read and decode ahead of the
    steps; a batch is a function of the seed, the epoch and its number alone.

    Attributes:
      decoder: The records, and the way from one to an image and a class number.
      rows: ``(N,)`` numbers of the records that belong to the stream.
      labels: ``(N,)`` class numbers, where they are known without reading the records.
    """

    decoder: Decoder
    rows: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return what the stream holds."""
        sample, records = self.sample, self.decoder.records
        names = len(sample.class_names)
        crop, cropped = self.decoder.crop, ""
        if crop is not None:
            cropped = ", random crops of {:g} to {:g} of the area".format(*crop.scale)
        return (
            f"Stream({len(self):,} images {sample.image_shape} {sample.images.dtype.name} of "
            f"{records.name}, {names} classes{cropped}, decoded as they come)"
        )

    @property
    def sample(self) -> Dataset:
        """Some of the examples, in memory and without random crops."""
        return self.decoder.sample

    @property
    def fixed_batch_size(self) -> None:
        """``None``: batches have any size."""

    @property
    def num_examples(self) -> int:
        """Number of images, as ``len``."""
        return len(self)

    def fingerprint(self) -> str:
        """Return a short hash of the number of images, the classes, the crops and the sample.

        It is the same on another machine, and where the files were copied.
        """
        parts = [self.sample.fingerprint(), self.sample.class_names, self.decoder.crop]
        digest = hashlib.sha256(repr(parts).encode())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, np.int32).data)
        return f"{len(self):,} streamed images {self.sample.image_shape} {digest.hexdigest()[:16]}"

    def draw(self, draw: Draw) -> Drawn:
        """Return batches, as :func:`jaxcnn.data.batches` does.

        A picture that is left out is masked, and another image of its batch is in its place.

        Raises:
          ValueError: There are fewer batches than the number of the first.
        """
        rows, masks = draw.rows(len(self), self.labels)
        return Drawn(self._batches(self._decoded(rows, draw), masks))

    def _decoded(self, rows: np.ndarray, draw: Draw) -> Iterable[Any]:
        """Return images, labels and errors of each batch, decoded ahead by threads."""
        steps, size = rows.shape
        if not steps:
            return ()
        grain, cores, pieces = import_grain(), usable_cores(), -(-size // _PIECE)

        def decode(number: int) -> list[Example]:
            step, piece = divmod(number, pieces)
            return [
                self._example(place, draw)
                for place in rows[step, piece * _PIECE : (piece + 1) * _PIECE].tolist()
            ]

        def stack(decoded: Sequence[list[Example]]) -> Any:
            return self.decoder.stack([example for piece in decoded for example in piece])

        # Two decoded batches and a few images per thread are in memory. Threads, because Pillow
        # releases the interpreter's lock: 571 pictures/s on two cores (JPEGs of 500×375, crops of
        # 224×224), the first batch after 0.1 s; Grain's processes 523 and 1.5 s.
        options = grain.ReadOptions(cores, pieces + 2 * cores)
        decoded = grain.MapDataset.range(steps * pieces).map(decode).to_iter_dataset(options)
        return ReadAhead(decoded.batch(pieces, batch_fn=stack), ahead=1)

    def _example(self, place: int, draw: Draw) -> Example:
        row, seed = int(self.rows[place]), draw.seed or 0
        record = self.decoder.records.source[row]
        return self.decoder.decode(record, row, place=place, seed=seed, epoch=draw.epoch)

    def _batches(self, decoded: Iterable[Any], masks: np.ndarray) -> Iterator[Batch]:
        left_out: list[str] = []
        for number, (mask, (images, labels, errors)) in enumerate(
            zip(masks, decoded, strict=True), 1
        ):
            read = np.array([not error for error in errors])
            left_out += [errors[row] for row in np.flatnonzero(mask & ~read)]
            if left_out and number == len(masks):
                records, count = self.decoder.records, int(masks.sum())
                warnings.warn(records.describe_left_out(left_out, count), stacklevel=2)
            yield Batch(images, labels, mask & read)

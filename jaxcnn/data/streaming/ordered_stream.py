"""The stream of records that can only be read in order, shuffled within a window."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.record_decoding import usable_cores
from jaxcnn.data.drawing import Batch, Draw, Drawn
from jaxcnn.data.streaming.decoder import Decoder
from jaxcnn.data.streaming.reading_ahead import ReadAhead, import_grain
from jaxcnn.other_names import Explained


@dataclass(frozen=True, eq=False, repr=False)
class OrderedStream(Explained):
    """Labeled images that come in order; :func:`jaxcnn.data.load` makes it.

    With a seed they are shuffled within a window, which may reach beyond their end, where they
    begin anew: an epoch is ``steps_per_epoch`` batches, and the next one goes on after it. Without
    a seed, as in an evaluation, they keep their order and end. The number of the epoch has no
    effect. The position is the state of Grain's iterator, which goes into checkpoints. Each of
    several processes reads all records and decodes its part, so that the state is the same in all.

    Attributes:
      decoder: The way from a record to an image and a class number.
      records: A ``grain.IterDataset`` of records.
      window: Number of records of which one at random comes next.
    """

    decoder: Decoder
    records: Any
    window: int
    _live: list[Any] = field(default_factory=list)

    def __repr__(self) -> str:
        """Return what the stream holds."""
        sample = self.sample
        return (
            f"OrderedStream(images {sample.image_shape} {sample.images.dtype.name} of "
            f"{self.decoder.records.name}, {len(sample.class_names)} classes, decoded as they "
            f"come, shuffled within {self.window:,})"
        )

    @property
    def num_examples(self) -> None:
        """``None``: only reading them all would tell."""

    @property
    def sample(self) -> Dataset:
        """The first examples, in memory and without random crops."""
        return self.decoder.sample

    @property
    def fixed_batch_size(self) -> None:
        """``None``: batches have any size."""

    def fingerprint(self) -> str:
        """Return a short hash of the classes, the crops, the window and the sample."""
        parts = [self.sample.fingerprint(), self.sample.class_names, self.decoder.crop, self.window]
        digest = hashlib.sha256(repr(parts).encode())
        return f"images {self.sample.image_shape} in order {digest.hexdigest()[:16]}"

    def draw(self, draw: Draw) -> Drawn:
        """Return batches from a state on, or from the beginning."""
        if draw.seed is not None and self._live:
            iterator = self._live.pop()
            if draw.state is not None and iterator.get_state() == draw.state:
                return self._drawn(iterator, draw)
            iterator.close()
        iterator = ReadAhead(self._pipeline(draw), ahead=2)
        if draw.state is not None:
            iterator.set_state(draw.state)
        else:
            for _ in range(draw.start):
                next(iterator, None)
        return self._drawn(iterator, draw)

    def _drawn(self, iterator: Any, draw: Draw) -> Drawn:
        if draw.seed is not None:
            self._live.append(iterator)
        return Drawn(iterator, iterator.get_state)

    def _pipeline(self, draw: Draw) -> Any:
        experimental = import_grain().experimental
        records, seed = self.records, draw.seed
        if seed is not None:
            records = experimental.RepeatIterDataset(records)
            records = experimental.WindowShuffleIterDataset(
                records, window_size=self.window, seed=seed % 2**32
            )
        numbered = records.map_with_index(lambda number, record: (number, record))
        pool = ThreadPoolExecutor(usable_cores(), "decode")

        def decode(numbered: tuple[int, Any]) -> Any:
            number, record = numbered
            return self.decoder.decode(record, number, place=number, seed=seed or 0, epoch=0)

        def batch(records: Sequence[Any]) -> Batch:
            rows = np.resize(np.arange(len(records)), draw.batch_size)[draw.part]
            counts = (np.arange(draw.batch_size) < len(records))[draw.part]
            examples = list(pool.map(decode, [records[row] for row in rows]))
            images, labels, errors = self.decoder.stack(examples)
            return Batch(images, labels, counts & np.array([not error for error in errors]))

        return numbered.batch(draw.batch_size, batch_fn=list).map(batch)

"""Decoding of single records into examples of one form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.pictures import UnreadablePicture
from jaxcnn.data.decoding.record_decoding import Record, Records, unreadable
from jaxcnn.data.random_crop import RandomCrop


class Example(NamedTuple):
    """The image and the class number of a record; or the error of one that is left out."""

    image: np.ndarray | None
    label: int = 0
    error: str = ""


@dataclass(frozen=True)
class Decoder:
    """The way from a record to an example.

    Attributes:
      records: The records, and the form of their images.
      sample: Some examples, which have the shape, the dtype and the classes of all.
      crop: The random part of each picture that is taken; ``None`` takes the whole.
    """

    records: Records
    sample: Dataset
    crop: RandomCrop | None = None

    def decode(self, record: Any, row: int, *, place: int, seed: int, epoch: int) -> Example:
        """Return the example of a record.

        Args:
          record: The record, as :class:`~jaxcnn.data.decoding.record_decoding.Records` parses it.
          row: The number of the record, for errors.
          place: The number that decides the crop, together with the next two.
          seed: Seed of the crops.
          epoch: Number of the pass over the data.

        Raises:
          TypeError: The record or its image has the wrong type.
          ValueError: The picture cannot be read and is not left out, its form is not that of the
            sample, or there is no such class.
        """
        records = self.records
        if self.crop is not None:
            records = replace(records, resizing=self.crop.at(seed, epoch, place))
        try:
            parsed = records.parse(record, row)
        except UnreadablePicture as error:
            if records.skip:
                return Example(None, error=str(error))
            raise unreadable(str(error)) from error
        self._check_color(parsed)
        image = records.pixels(parsed, self._channels)
        first = np.asarray(self.sample.images[0])
        records.check_form(image, parsed.name, like=first, named="the first ones")
        return Example(image, self._number(parsed))

    def stack(self, examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return images, labels, and the error of each example; ``""`` for those that were read.

        Another one is in the place of one that was not, so that statistics over the batch are
        those of real images.

        Raises:
          ValueError: None was read.
        """
        errors = [example.error for example in examples]
        read = [example for example in examples if example.image is not None]
        if not read:
            raise ValueError(f"a batch must have a picture that can be read. Received: {errors[0]}")
        whole = [read[0] if example.image is None else example for example in examples]
        images = np.stack([example.image for example in whole if example.image is not None])
        return images, np.array([example.label for example in whole], np.int32), errors

    @property
    def _channels(self) -> int | None:
        is_picture = self.sample.images.dtype == np.uint8
        return self.sample.image_shape[-1] if is_picture else None

    def _check_color(self, record: Record) -> None:
        """Raise an error for a picture of color where the sample alone made the images gray."""
        picture = record.image
        decided = self.records.channels is None and self._channels == 1
        if decided and isinstance(picture, Image.Image) and picture.mode == "RGB":
            raise ValueError(
                "the first pictures are gray, so that channels=1 was chosen. Received: color in "
                f"{record.name}. Use channels=3, or channels=1 to make it gray"
            )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.sample.class_names)}

    def _number(self, record: Record) -> int:
        label: Any = record.label
        if isinstance(label, str | np.str_):
            number = self._numbers.get(str(label), -1)
        elif isinstance(label, int | np.integer) or np.asarray(label).dtype.kind in "iu":
            number = int(label)
        else:
            number = -1
        if not 0 <= number < len(self.sample.class_names):
            raise ValueError(
                f"labels must be among the {len(self.sample.class_names)} classes "
                f"{arguments.shown(list(self.sample.class_names))}. "
                f"Received: {arguments.shown(label)} in {record.name}"
            )
        return number

"""Records with pictures in them, decoded on all cores into blocks of one shape."""

import hashlib
import io
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from PIL import Image

from jaxcnn.data.dataset import resize_images
from jaxcnn.data.pictures import UnreadablePicture, read_picture

# A block has so many bytes or a single image, and at most so many images: large enough that handing
# it over costs nothing beside decoding it, small enough that those in flight need little memory.
_BLOCK_BYTES, _BLOCK_IMAGES = 1 << 22, 128

_Result = TypeVar("_Result")


class Source(Protocol):
    """Records by number, read by several threads: each a mapping with ``image`` and ``label``.

    An image is an array, a Pillow image, the path of a picture file, or its bytes.
    """

    def __len__(self) -> int:
        """Returns the number of records."""

    def __getitem__(self, row: int, /) -> Any:
        """Returns the record of this number."""


class Record(NamedTuple):
    """A record that could be read; ``name`` is how errors call it."""

    image: Image.Image | np.ndarray
    label: Any
    name: str


class Block(NamedTuple):
    """What became of some neighboring records.

    Attributes:
      images: ``(n, *shape)``.
      labels: One per image.
      rows: The number of the record that each image is from.
      skipped: What was wrong with each record that could not be read.
    """

    images: np.ndarray
    labels: list[Any]
    rows: list[int]
    skipped: list[str]


class MixedChannels(Exception):
    """A picture in color came after gray ones."""


@dataclass(frozen=True)
class Records:
    """Records, and the form in which their images are wanted.

    Attributes:
      source: The records.
      name: What errors call them.
      image_size: ``(H, W)`` to which each picture is resized (bilinear); ``None`` keeps the size.
      channels: 1 or 3, to which pictures are converted; ``None`` means color if any has color.
      skip: Whether a picture that cannot be read is left out.
    """

    source: Source
    name: str
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    skip: bool = False

    def decode(self, consume: Callable[[Iterator[Block]], _Result]) -> _Result:
        """Returns ``consume(blocks)``; it starts again where color comes up after gray.

        To look at every file before would take a good part of the time of decoding them all, and
        sets that mix both are rare and show it early.
        """
        try:
            return consume(self.blocks())
        except MixedChannels:
            return consume(replace(self, channels=3).blocks())

    def blocks(self) -> Iterator[Block]:
        """Yields all records in their order, decoded; few blocks are in flight at any time.

        Pillow releases the interpreter's lock while it decodes, so that threads keep all cores
        busy.

        Raises:
          MixedChannels: a picture in color came after gray ones.
          TypeError: a record or an image is not of its type.
          ValueError: a picture cannot be read, the shapes differ, or there is nothing to read.
        """
        example, named = self._example()
        size = min(max(_BLOCK_BYTES // max(example.nbytes, 1), 1), _BLOCK_IMAGES)
        workers = _cores()
        waiting: deque[Future[Block]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(self.source), size):
                rows = range(start, min(start + size, len(self.source)))
                waiting.append(pool.submit(self._decode, rows, example, named))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def sample(self, most: int) -> Iterator[str]:
        """Yields what tells these records from others: their number, and what some hold."""
        yield str(len(self.source))
        for row in np.unique(np.linspace(0, len(self.source) - 1, most).astype(int)).tolist():
            try:
                image, label, _ = self.read(row)
            except UnreadablePicture as error:
                yield str(error)
            else:
                array = np.ascontiguousarray(image)
                yield f"{label} {array.shape} {hashlib.sha256(array.data).hexdigest()}"

    def read(self, row: int) -> Record:
        """Returns the record of this number.

        Raises:
          TypeError: it is not a mapping with ``image`` and ``label``.
          UnreadablePicture: its picture cannot be read.
          ValueError: its label is not one number or name.
        """
        record = self.source[row]
        if not isinstance(record, Mapping) or not {"image", "label"} <= record.keys():
            received = sorted(record) if isinstance(record, Mapping) else repr(record)[:200]
            raise TypeError(
                f"each record of {self.name} must be a mapping with 'image' and 'label'. "
                f"Received: {received} as record {row}"
            )
        image, label = record["image"], record["label"]
        if isinstance(image, Mapping):  # a picture that Hugging Face has not decoded
            image = image["path"] if image["bytes"] is None else image["bytes"]
        files = isinstance(image, str | Path)
        name = repr(str(image)) if files else f"record {row} of {self.name}"
        if (scalar := np.asarray(label)).ndim or scalar.dtype == object:
            raise ValueError(
                f"a label must be one class number or name. Received: {label!r} in {name}"
            )
        if isinstance(image, bytes):
            image = io.BytesIO(image)
        if files or isinstance(image, io.BytesIO | Image.Image):
            return Record(read_picture(image, name=name), label, name)
        try:
            array = np.asarray(image)
        except ValueError as error:  # rows of several lengths
            raise UnreadablePicture(f"{name} has no array as its image: {error}") from error
        if array.dtype == object:
            raise UnreadablePicture(f"{name} has no image. Received: {image!r:.80}")
        return Record(array, label, name)

    def _read_or_skip(self, row: int) -> Record | str:
        """Returns a record, or what is wrong with its picture where such are left out."""
        try:
            return self.read(row)
        except UnreadablePicture as error:
            if self.skip:
                return str(error)
            raise refusal(str(error)) from error

    def _example(self) -> tuple[np.ndarray, str]:
        """Returns the first image that can be read, and its name; the others are like it."""
        for row in range(len(self.source)):
            record = self._read_or_skip(row)
            if isinstance(record, Record):
                channels = self.channels or _channels(record.image)
                return self._pixels(record, channels), record.name
        raise ValueError(f"{self.name} must have an image that can be read. Received: none")

    def _decode(self, rows: range, example: np.ndarray, named: str) -> Block:
        channels = _channels(example)
        images = np.empty((len(rows), *example.shape), example.dtype)
        block = Block(images, [], [], [])
        for row in rows:
            record = self._read_or_skip(row)
            if isinstance(record, str):
                block.skipped.append(record)
                continue
            if (self.channels, channels, _channels(record.image)) == (None, 1, 3):
                raise MixedChannels
            image = self._pixels(record, channels)
            if image.shape != example.shape or image.dtype != example.dtype:
                raise ValueError(
                    f"the images of {self.name} must have one size, or be resized to one by "
                    f"image_size=(height, width). Received: {example.dtype} {example.shape} in "
                    f"{named} and {image.dtype} {image.shape} in {record.name}"
                )
            images[len(block.rows)] = image
            block.rows.append(row)
            block.labels.append(record.label)
        return block._replace(images=images[: len(block.rows)])

    def _pixels(self, record: Record, channels: int | None) -> np.ndarray:
        """Returns the image as an array in the form that is wanted."""
        image, size = record.image, self.image_size
        if isinstance(image, np.ndarray):
            if _channels(image) is None:
                if channels is not None:
                    raise TypeError(
                        f"only uint8 arrays (height, width, 1 or 3) can be pictures of {channels} "
                        f"channels. Received: {image.dtype} {image.shape} in {record.name}"
                    )
                return image if size is None else resize_images(image[None], size)[0]
            if image.shape == (*(size or image.shape[:2]), channels):
                return image
            image = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        # As np.asarray(image) does, in half the time.
        return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, -1)


class Joined(Sequence[Any]):
    """Sources one after the other, as one."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Keeps the sources."""
        self._sources = sources
        self._stops = list(accumulate(map(len, sources)))

    def __len__(self) -> int:
        """Returns the number of records in all of them."""
        return self._stops[-1]

    def __getitem__(self, row: Any) -> Any:
        """Returns the record of this number."""
        place = bisect_right(self._stops, row)
        return self._sources[place][row - self._stops[place] + len(self._sources[place])]


class First(Sequence[Any]):
    """The first records of a source, as a source."""

    def __init__(self, source: Source, most: int) -> None:
        """Keeps the source."""
        self._source, self._size = source, min(len(source), most)

    def __len__(self) -> int:
        """Returns how many they are."""
        return self._size

    def __getitem__(self, row: Any) -> Any:
        """Returns the record of this number."""
        return self._source[row]


def refusal(problem: str) -> UnreadablePicture:
    """Returns the error for a picture that cannot be read, which says how to do without it."""
    return UnreadablePicture(f"{problem}. Leave such pictures out by on_error='skip'")


def _channels(image: Image.Image | np.ndarray) -> int | None:
    """Returns the channels of a picture, 1 or 3; ``None`` for an array that is not a picture."""
    if isinstance(image, Image.Image):
        return 1 if image.mode == "L" else 3
    picture = image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] in (1, 3)
    return image.shape[-1] if picture else None


def _cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Decoding of records with pictures, on all cores, into blocks of one shape."""

import functools
import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from PIL import Image

from jaxcnn import arguments
from jaxcnn.data.decoding.clips import Clip, read_clip
from jaxcnn.data.decoding.picture_boxes import as_picture_boxes
from jaxcnn.data.decoding.picture_masks import PictureMask
from jaxcnn.data.decoding.pictures import Least, UnreadablePicture, ValueRange, read_picture
from jaxcnn.data.random_crop import Crop
from jaxcnn.data.resizing import SQUASH, Resizing

# Largest size of a block in bytes, unless it is a single image, and in images: large enough that
# passing it between threads is cheap beside decoding, small enough to need little memory.
_BLOCK_BYTES, _BLOCK_IMAGES = 1 << 22, 128

_Result = TypeVar("_Result")


class RecordSequence(Protocol):
    """Records by number, read by several threads: mappings with ``image`` and ``label``.

    An image is an array, a Pillow image, the path of a picture file, or its bytes.
    """

    def __len__(self) -> int:
        """Return the number of records."""

    def __getitem__(self, row: int, /) -> Any:
        """Return the record with this number."""


class Record(NamedTuple):
    """A record that could be read; ``name`` is its name in errors, ``fits`` if it has its size."""

    image: Image.Image | np.ndarray
    label: Any
    name: str
    fits: bool = False


@dataclass(frozen=True)
class Block:
    """The decoded images of consecutive records.

    Attributes:
      images: ``(n, *shape)``.
      labels: One per image.
      rows: Record number of each image.
      skipped: Number and error of each record that could not be read.
      largest: The largest value of each 16-bit picture without a known range.
    """

    images: np.ndarray
    labels: list[Any]
    rows: list[int]
    skipped: list[tuple[int, str]]
    largest: list[int]


class MixedChannels(Exception):
    """An error for a color picture after gray ones."""


@dataclass(frozen=True)
class Records:
    """Records and the form of their decoded images.

    Attributes:
      source: The records.
      name: Their name in errors.
      image_size: ``(H, W)`` to which each picture is resized; ``None`` keeps the size.
      resizing: The way in which pictures get that size.
      channels: 1 or 3, to which pictures are converted; ``None`` means color if any has color.
      skip: Whether a picture that cannot be read is left out.
      value_range: Values of pictures of more than 8 bits that become black and white.
      draft: Whether a large JPEG is decoded at a part of its size, where it is resized.
      variant: Options of the source that change the images, for the cache.
    """

    source: RecordSequence
    name: str
    image_size: tuple[int, int] | None = None
    resizing: Resizing | Crop = SQUASH
    channels: int | None = None
    skip: bool = False
    value_range: ValueRange = None
    draft: bool = False
    variant: str = ""

    def decode(self, consume: Callable[[Iterator[Block]], _Result]) -> _Result:
        """Return ``consume(blocks)``; start again if a color picture follows gray ones.

        Reading the mode of every file first would take a large part of the time of decoding, and
        sets that mix both are rare and usually show it early.
        """
        try:
            return consume(self.blocks())
        except MixedChannels:
            return consume(replace(self, channels=3).blocks())

    def blocks(self) -> Iterator[Block]:
        """Yield all records in order, decoded; few blocks are in memory at any time.

        Pillow releases the interpreter's lock while it decodes, so that threads use all cores.

        Raises:
          MixedChannels: A color picture follows gray ones.
          TypeError: A record or an image has the wrong type.
          ValueError: A picture cannot be read, the shapes differ, or there is nothing to read.
        """
        example, named = self._example()
        size = min(max(_BLOCK_BYTES // max(example.nbytes, 1), 1), _BLOCK_IMAGES)
        workers = usable_cores()
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
        """Yield the number of records and digests of `most` of them, to recognize the records."""
        yield str(len(self.source))
        for row in np.unique(np.linspace(0, len(self.source) - 1, most).astype(int)).tolist():
            try:
                image, label, *_ = self.read(row)
            except UnreadablePicture as error:
                yield str(error)
            else:
                array = np.ascontiguousarray(image)
                yield f"{label} {array.shape} {hashlib.sha256(array.data).hexdigest()}"

    def read(self, row: int) -> Record:
        """Return the record with this number, as :meth:`parse`."""
        return self.parse(self.source[row], row)

    def parse(self, record: Any, row: int) -> Record:
        """Return a record of the source, which has this number, with its picture read.

        Raises:
          TypeError: It is not a mapping with ``image`` and ``label``, or a pair of both.
          UnreadablePicture: Its picture cannot be read.
          ValueError: Its label is not one number or name.
        """
        if record is None:  # as Grain's filter leaves
            raise UnreadablePicture(f"record {row} of {self.name} is None, as a filter leaves")
        if isinstance(record, tuple | list) and len(record) == 2:  # as PyTorch's data sets return
            record = dict(zip(("image", "label"), record, strict=True))
        if not isinstance(record, Mapping) or not {"image", "label"} <= record.keys():
            received = sorted(record) if isinstance(record, Mapping) else record
            raise TypeError(
                f"each record of {self.name} must be a mapping with 'image' and 'label', or such a "
                f"pair. Received: {arguments.shown(received)} as record {row}"
            )
        image, label = record["image"], record["label"]
        path = _path_of(image)
        name = f"record {row} of {self.name}" if path is None else arguments.shown(path)
        name = record.get("name", name)
        marks = label if isinstance(label, PictureMask) else as_picture_boxes(label)
        if marks is None and ((scalar := np.asarray(label)).ndim or scalar.dtype == object):
            raise ValueError(
                "a label must be one class number or name. "
                f"Received: {arguments.shown(label)} in {name}"
            )
        if isinstance(image, Clip):
            return Record(read_clip(image, self._fit, self.value_range), label, name, fits=True)
        least = None
        # Boxes and masks are of the whole picture's pixels.
        if self.draft and marks is None and self.image_size is not None:
            least = functools.partial(self.resizing.least, size=self.image_size)
        read = read_record(image, name, self.value_range, least)
        if marks is not None:
            assert isinstance(self.resizing, Resizing)  # random crops are of images of one class
            label = marks.placed(read, self.image_size, self.resizing, name)
        return Record(read, label, name)

    def file_name(self, row: int) -> str:
        """Return the path of the picture with this number, or else that number in words."""
        record = self.source[row]
        image = record.get("image") if isinstance(record, Mapping) else record[0]
        return _path_of(image) or f"record {row} of {self.name}"

    def _fit(self, picture: Image.Image) -> Image.Image:
        """Return a picture at the requested size."""
        return (
            picture if self.image_size is None else self.resizing.picture(picture, self.image_size)
        )

    def _read_or_skip(self, row: int) -> Record | str:
        """Return a record, or the error of its picture if unreadable pictures are left out."""
        try:
            return self.read(row)
        except UnreadablePicture as error:
            if self.skip:
                return str(error)
            raise unreadable(str(error)) from error

    def _example(self) -> tuple[np.ndarray, str]:
        """Return the first image that can be read, and its name; it sets the shape of all."""
        for row in range(len(self.source)):
            record = self._read_or_skip(row)
            if isinstance(record, Record):
                channels = self.channels or _channels(record.image)
                return self.pixels(record, channels), record.name
        raise ValueError(f"{self.name} must have an image that can be read. Received: none")

    def _decode(self, rows: range, example: np.ndarray, named: str) -> Block:
        channels = _channels(example)
        images = np.empty((len(rows), *example.shape), example.dtype)
        block = Block(images, [], [], [], [])
        for row in rows:
            record = self._read_or_skip(row)
            if isinstance(record, str):
                block.skipped.append((row, record))
                continue
            if (self.channels, channels, _channels(record.image)) == (None, 1, 3):
                raise MixedChannels
            image = self.pixels(record, channels)
            self.check_form(image, record.name, like=example, named=named)
            images[len(block.rows)] = image
            block.rows.append(row)
            block.labels.append(record.label)
            if isinstance(record.image, Image.Image) and "largest" in record.image.info:
                block.largest.append(record.image.info["largest"])
        return replace(block, images=images[: len(block.rows)])

    def check_form(self, image: np.ndarray, name: str, *, like: np.ndarray, named: str) -> None:
        """Raise a ValueError unless an image has the shape and the dtype of the first one."""
        if image.shape != like.shape or image.dtype != like.dtype:
            raise ValueError(
                f"the images of {self.name} must have one size, or be resized to one by "
                f"image_size=(height, width). Received: {like.dtype} {like.shape} in {named} and "
                f"{image.dtype} {image.shape} in {name}"
            )

    def describe_left_out(self, errors: Sequence[str], count: int) -> str:
        """Return the warning of pictures that are left out, of `count` in all."""
        listed = "; ".join(errors[:3]) + "; …" * (len(errors) > 3)
        return f"{len(errors)} of {count} images in {self.name} are left out: {listed}"

    def pixels(self, record: Record, channels: int | None) -> np.ndarray:
        """Return the image as an array in the requested form."""
        image, size = record.image, None if record.fits else self.image_size
        if isinstance(image, np.ndarray) and image.ndim == 4 and _channels(image) is not None:
            if size is None and image.shape[-1] == channels:
                return image
            frames = [self.pixels(record._replace(image=frame), channels) for frame in image]
            return np.stack(frames)
        if isinstance(image, np.ndarray):
            if _channels(image) is None:
                if channels is not None:
                    raise TypeError(
                        f"only uint8 arrays (height, width, 1 or 3) can be pictures of {channels} "
                        f"channels. Received: {image.dtype} {image.shape} in {record.name}"
                    )
                if size is None:
                    return image
                return self.resizing.images(image[None], size)[0]
            stays = size is None or self.resizing.keeps(image.shape[:2], size)
            if stays and image.shape[-1] == channels:
                return image
            image = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if size is not None:
            image = self.resizing.picture(image, size)
        # As np.asarray(image) does, in half the time.
        return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, -1)


def _path_of(image: Any) -> str | None:
    """Return the path of a file that a record names as its image."""
    if isinstance(image, Clip):
        return image.path
    return str(image) if isinstance(image, str | Path) else None


def read_record(
    image: Any,
    name: str,
    value_range: ValueRange = None,
    least: Least | None = None,
) -> Any:
    """Return the image of a record: a picture of mode L or RGB, or an array.

    Args:
      image: An array, a Pillow image, the path of a picture file, its bytes, or what Hugging Face
        has not decoded.
      name: Name of the record in errors.
      value_range: As for :func:`read_picture`.
      least: As for :func:`read_picture`.

    Raises:
      UnreadablePicture: It is none of these, or cannot be read.
    """
    if isinstance(image, Mapping) and image.keys() >= {"path", "bytes"}:  # of Hugging Face
        image = image["path"] if image["bytes"] is None else image["bytes"]
    if isinstance(image, bytes):
        image = io.BytesIO(image)
    if isinstance(image, str | Path | io.BytesIO | Image.Image):
        return read_picture(image, name=name, value_range=value_range, least=least)
    try:
        array = np.asarray(image)
    except ValueError as error:  # rows of several lengths
        raise UnreadablePicture(f"{name} has no array as its image: {error}") from error
    if array.dtype == object:
        raise UnreadablePicture(f"{name} has no image. Received: {arguments.shown(image)}")
    gray = array.dtype == np.uint8 and array.ndim == 2
    return array[..., None] if gray else array


def unreadable(problem: str) -> UnreadablePicture:
    """Return the error for a picture that cannot be read; the message gives the fix."""
    return UnreadablePicture(f"{problem}. Leave such pictures out with on_error='skip'")


def _channels(image: Image.Image | np.ndarray) -> int | None:
    """Return the channels of a picture, 1 or 3; ``None`` for an array that is none."""
    if isinstance(image, Image.Image):
        return 1 if image.mode == "L" else 3
    # Or a video (time, height, width, channels), whose frames are pictures.
    picture = image.dtype == np.uint8 and image.ndim in (3, 4) and image.shape[-1] in (1, 3)
    return image.shape[-1] if picture else None


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

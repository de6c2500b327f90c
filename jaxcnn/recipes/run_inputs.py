"""Files of pictures, clips and series in the form of the inputs of a finished run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from jaxcnn.data.decoding.clips import Clip, ClipSampling, read_clip
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.decoding.series_files import SOUNDS, read_sounds, read_tables
from jaxcnn.data.decoding.series_text import READERS, pad_series, read_series
from jaxcnn.shapes import Shape
from jaxcnn.training.run_description import Run

# Orientations of EXIF from this one on turn a picture by 90°.
_FIRST_TURNED = 5


class Source(NamedTuple):
    """A place from which inputs are read.

    Attributes:
      name: Its name in answers and errors.
      content: A file, or a frame of a video that is decoded already.
    """

    name: str
    content: Path | Image.Image


class Input(NamedTuple):
    """An input of a model that was read from a file.

    Attributes:
      values: The input, without the axis of the batch.
      name: The file, with a number where a file holds several.
      note: A line about how it was read, or ``None``.
      size: Height and width of a picture in its file, where positions in it are asked for.
    """

    values: np.ndarray
    name: str
    note: str | None = None
    size: tuple[int, int] | None = None


InputReader: TypeAlias = Callable[[Source], list[Input]]


def input_reader(described: Run, *, guess: bool = True) -> InputReader:
    """Return the function that reads a file as the model of a run takes it.

    It may be called in several threads. It raises an ``UnreadablePicture``, a ``ValueError`` or an
    ``OSError`` for a file that cannot be read, and an ``ImportError`` where the package that reads
    sounds or videos is not installed.

    Args:
      described: Description of the run.
      guess: Whether a picture that cannot be of the data set of a classifier is inverted, cropped
        and centered.

    Raises:
      ValueError: the model takes nothing that files hold.
    """
    axes = len(described.input_shape)
    if axes == 4:
        return lambda source: _read_clip(described, source)
    if axes == 2:
        return lambda source: _read_series(described, source)
    described.framing.check_pictures()
    if described.task in ("segment", "detect"):
        return lambda source: _read_whole(described, source)
    return lambda source: _read_framed(described, source, guess=guess)


def stack_inputs(described: Run, rows: Sequence[Input]) -> np.ndarray:
    """Return inputs as one batch, series filled up to one length.

    Args:
      described: Description of the run.
      rows: The inputs, at least one.
    """
    axes, values = len(described.input_shape), [row.values for row in rows]
    if axes == 2:
        return pad_series(values, (described.data or {}).get("length"))
    images = np.stack(values)
    if axes == 3 and described.task not in ("segment", "detect") and not described.framing.any_size:
        # They have the size of the set's images, not of the model's.
        height, width, *_ = described.input_shape
        return described.framing.resizing.images(images, (height, width))
    return images


def read_inputs(described: Run, files: Sequence[Path], *, guess: bool = True) -> np.ndarray:
    """Read files as the model of a run takes them, one row per input.

    Args:
      described: Description of the run.
      files: Pictures of any size; videos, or folders of frames, for a model of clips; series or
        sounds for a model of those.
      guess: As for :func:`input_reader`.

    Raises:
      ImportError: the package that reads sounds or videos is not installed.
      ValueError: a file cannot be read, or the model takes nothing that files hold.
    """
    read = input_reader(described, guess=guess)
    return stack_inputs(described, [row for f in files for row in read(Source(str(f), f))])


def fit_picture(
    picture: Image.Image, framing: Framing, input_shape: Shape, *, whole: bool, guess: bool = True
) -> tuple[np.ndarray, str | None]:
    """Return a picture in the form of an input, and a line about a guess, or ``None``.

    Args:
      picture: A picture as `framing` has read it.
      framing: Framing of the images that the model was trained on.
      input_shape: ``(H, W, C)`` of the model.
      whole: Whether positions in the picture are asked for, so that nothing is guessed.
      guess: As for :func:`read_inputs`.

    Raises:
      ValueError: no picture has the form of the inputs.
    """
    height, width, channels = input_shape
    if whole:
        framing.check_pictures()
        converted = picture.convert("L" if channels == 1 else "RGB")
        resized = framing.resizing.picture(converted, (height, width))
        return np.asarray(resized).reshape(input_shape), None
    image, note = _framed(picture, framing, guess=guess)
    if not framing.any_size:  # it has the size of the set's images, not of the model's
        image = framing.resizing.images(image[None], (height, width))[0]
    return image, note


def _framed(
    picture: Image.Image, framing: Framing, *, guess: bool
) -> tuple[np.ndarray, str | None]:
    misfit = framing.misfit(picture) if guess else None
    note = misfit and f"framed as the data set is: {misfit}"
    return framing.apply(picture, guess=misfit is not None), note


def _read_framed(described: Run, source: Source, *, guess: bool) -> list[Input]:
    framing = described.framing
    image, note = _framed(framing.read(source.content), framing, guess=guess)
    return [Input(image, source.name, note)]


def _read_whole(described: Run, source: Source) -> list[Input]:
    """Return a picture without a guess about its subject: positions in it are asked for."""
    framing, content = described.framing, source.content
    values, _ = fit_picture(framing.read(content), framing, described.input_shape, whole=True)
    size = (
        (content.height, content.width)
        if isinstance(content, Image.Image)
        else picture_size(content)
    )
    return [Input(values, source.name, size=size)]


def _read_clip(described: Run, source: Source) -> list[Input]:
    frames, height, width, channels = described.input_shape
    data = described.data or {}
    sampling = ClipSampling(frames, data.get("frame_step"), described.clips)
    mode = "L" if channels == 1 else "RGB"

    def fit(frame: Image.Image) -> Image.Image:
        return described.framing.resizing.picture(frame.convert(mode), (height, width))

    return [Input(read_clip(Clip(str(source.content), sampling), fit), source.name)]


def _read_series(described: Run, source: Source) -> list[Input]:
    """Return the series of a file: one of a sound or table, several of a file of an archive."""
    assert isinstance(source.content, Path)
    data, channels, path = described.data or {}, described.input_shape[-1], source.content
    suffix = path.suffix.lower()
    if suffix in READERS:
        series = read_series(path).series
    elif suffix in SOUNDS:
        rate = data.get("sample_rate")
        series = read_sounds([path], sample_rate=rate, channels=1 if channels == 1 else None)
    else:
        series = read_tables([path])
    numbered = [f"{source.name}[{number}]" for number in range(len(series))]
    names = numbered if len(series) > 1 else [source.name]
    for name, values in zip(names, series, strict=True):
        if values.shape[-1] != channels:
            raise ValueError(
                f"a series must have {channels} channels, as those of the run have. "
                f"Received: {values.shape[-1]} in {name}"
            )
    return [Input(values, name) for name, values in zip(names, series, strict=True)]


def picture_size(file: Path | BinaryIO) -> tuple[int, int]:
    """Return height and width of a picture, upright, from its header."""
    with Image.open(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_TURNED
    return (width, height) if turned else (height, width)

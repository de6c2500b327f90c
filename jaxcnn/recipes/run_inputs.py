"""Files of pictures, clips and series in the form of the inputs of a finished run."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

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


class Inputs(NamedTuple):
    """Inputs of a model that were read from files.

    Attributes:
      images: One row per input.
      names: For each the file, with a number where a file holds several.
      notes: For each a line about how it was read, or ``None``.
      sizes: Height and width of each picture in its file; nothing for clips and series.
    """

    images: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str | None, ...]
    sizes: tuple[tuple[int, int], ...] = ()


def read_inputs(described: Run, files: Sequence[Path], *, guess: bool = True) -> Inputs:
    """Read files as the model of a run takes them.

    Args:
      described: Description of the run.
      files: Pictures of any size; videos, or folders of frames, for a model of clips; series or
        sounds for a model of those.
      guess: Whether a picture that cannot be of the data set of a classifier is inverted, cropped
        and centered.

    Raises:
      ImportError: the package that reads sounds or videos is not installed.
      ValueError: a file cannot be read, or the model takes nothing that files hold.
    """
    axes = len(described.input_shape)
    if axes == 4:
        return _read_clips(described, files)
    if axes == 2:
        return _read_series(described, files)
    whole = described.task in ("segment", "detect")
    return _read_pictures(described, files, whole=whole, guess=guess)


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
    misfit = framing.misfit(picture) if guess else None
    image = framing.apply(picture, guess=guess)
    if not framing.any_size:  # it has the size of the set's images, not of the model's
        image = framing.resizing.images(image[None], (height, width))[0]
    return image, misfit and f"framed as the data set is: {misfit}"


def _read_pictures(described: Run, files: Sequence[Path], *, whole: bool, guess: bool) -> Inputs:
    framing, shape = described.framing, described.input_shape
    images, notes = [], []
    for path in files:
        image, note = fit_picture(framing.read(path), framing, shape, whole=whole, guess=guess)
        images.append(image)
        notes.append(note)
    names, sizes = tuple(map(str, files)), tuple(map(picture_size, files))
    return Inputs(np.stack(images), names, tuple(notes), sizes)


def _read_clips(described: Run, files: Sequence[Path]) -> Inputs:
    frames, height, width, channels = described.input_shape
    data = described.data or {}
    sampling = ClipSampling(frames, data.get("frame_step"), described.clips)
    mode = "L" if channels == 1 else "RGB"

    def fit(frame: Image.Image) -> Image.Image:
        return described.framing.resizing.picture(frame.convert(mode), (height, width))

    clips = [read_clip(Clip(str(path), sampling), fit) for path in files]
    return Inputs(np.stack(clips), tuple(map(str, files)), (None,) * len(clips))


def _read_series(described: Run, files: Sequence[Path]) -> Inputs:
    """Return the series of files: one of a sound or table, several of a file of an archive."""
    data, channels = described.data or {}, described.input_shape[-1]
    series, names = [], []
    for path in files:
        suffix = path.suffix.lower()
        if suffix in READERS:
            found = read_series(path).series
        elif suffix in SOUNDS:
            rate = data.get("sample_rate")
            found = read_sounds([path], sample_rate=rate, channels=1 if channels == 1 else None)
        else:
            found = read_tables([path])
        series += found
        numbered = [f"{path}[{number}]" for number in range(len(found))]
        names += numbered if len(found) > 1 else [str(path)]
    for name, values in zip(names, series, strict=True):
        if values.shape[-1] != channels:
            raise ValueError(
                f"a series must have {channels} channels, as those of the run have. "
                f"Received: {values.shape[-1]} in {name}"
            )
    padded = pad_series(series, data.get("length"))
    return Inputs(padded, tuple(names), (None,) * len(names))


def picture_size(file: Path | BinaryIO) -> tuple[int, int]:
    """Return height and width of a picture, upright, from its header."""
    with Image.open(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_TURNED
    return (width, height) if turned else (height, width)

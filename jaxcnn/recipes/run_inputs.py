"""Files of pictures, clips and series in the form of the inputs of a finished run."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from jaxcnn.data.decoding.clips import Clip, ClipSampling, read_clip
from jaxcnn.data.decoding.series_files import SOUNDS, read_sounds, read_tables
from jaxcnn.data.decoding.series_text import READERS, pad_series, read_series
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
    if described.task in ("segment", "detect"):
        return _read_whole(described, files)
    return _read_framed(described, files, guess=guess)


def _read_framed(described: Run, files: Sequence[Path], *, guess: bool) -> Inputs:
    framing = described.framing
    read = [framing.read(path) for path in files]
    misfits = tuple(framing.misfit(picture) if guess else None for picture in read)
    images = np.stack([framing.apply(picture, guess=guess) for picture in read])
    if not framing.any_size:  # they have the size of the set's images, not of the model's
        height, width, *_ = described.input_shape
        images = framing.resizing.images(images, (height, width))
    notes = tuple(why and f"framed as the data set is: {why}" for why in misfits)
    return Inputs(images, tuple(map(str, files)), notes, tuple(map(_size, files)))


def _read_whole(described: Run, files: Sequence[Path]) -> Inputs:
    """Return pictures without a guess about their subject: positions in them are asked for."""
    height, width, channels = described.input_shape
    framing = described.framing
    framing.check_pictures()
    images = []
    for path in files:
        picture = framing.read(path).convert("L" if channels == 1 else "RGB")
        resized = framing.resizing.picture(picture, (height, width))
        images.append(np.asarray(resized).reshape(described.input_shape))
    names, sizes = tuple(map(str, files)), tuple(map(_size, files))
    return Inputs(np.stack(images), names, (None,) * len(names), sizes)


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


def _size(file: Path) -> tuple[int, int]:
    """Return height and width of a picture, upright."""
    with Image.open(file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_TURNED
    return (width, height) if turned else (height, width)

"""Descriptions of data sets: splits, classes and shapes, read without decoding a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import arguments, shapes
from jaxcnn.data.decoding.clips import ClipSampling
from jaxcnn.data.decoding.pictures import UnreadablePicture, picture_shape
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.labels import LabelTask
from jaxcnn.data.sources.clip_folder import open_clips
from jaxcnn.data.sources.series_folder import SeriesFiles
from jaxcnn.data.sources.switch import find_source
from jaxcnn.data.splits import Divided, members

# Pictures whose sizes are read to tell those of a set.
_SAMPLE = 32
# Names of splits for testing, in order of preference.
_HELD_OUT = ("test", "val", "valid", "validation")


@dataclass(frozen=True)
class Description:
    """A description of a data set, returned by :func:`describe`.

    Attributes:
      kind: The source: ``"digits"``, ``"archive"``, ``"series"``, ``"clips"``, ``"folder"``,
        ``"tfds"``, ``"arrays"``, ``"records"`` and others.
      splits: Number of images of each split.
      class_names: One per class; empty where only the labels determine them.
      image_shape: ``(H, W, C)`` of every image; ``None`` if pictures may have several sizes,
        so that ``load`` needs an ``image_size``.
      label_shape: Shape of the label of one image; ``()`` for a class.
      task: What a network learns from the labels, as :attr:`jaxcnn.Dataset.task`.
      sample_rate: Steps per second of sounds, those of the first file.
    """

    kind: str
    splits: Mapping[str, int]
    class_names: tuple[str, ...]
    image_shape: shapes.Shape | None
    label_shape: shapes.Shape = ()
    task: LabelTask = "classify"
    sample_rate: int | None = None

    @property
    def train(self) -> str:
        """The split for training, ``"train"`` or, if no split is for testing, 80 % of it."""
        return "train" if self.test in self.splits else "train[:80%]"

    @property
    def test(self) -> str:
        """The split for testing, the first of test, val, valid and validation with images.

        Without one, it is the last fifth of ``"train"``, whose order mixes the classes.
        """
        present = [name for name in _HELD_OUT if self.splits.get(name)]
        return present[0] if present else "train[80%:]"


def describe(
    source: Any, *, data_dir: str | Path | None = None, frames: int | None = None
) -> Description:
    """Return a description of a data set, without decoding pictures.

    >>> digits = describe("digits")
    >>> digits.splits, digits.test, len(digits.class_names), digits.image_shape
    ({'train': 1442, 'test': 355}, 'test', 10, (8, 8, 1))

    Args:
      source: As for :func:`jaxcnn.data.load`: a name, a path, arrays or records.
      data_dir: Folder of TensorFlow Datasets; ``None`` means its default.
      frames: Frames of a clip, where the source is a folder of videos; ``None`` otherwise.

    Raises:
      TypeError: As for :func:`jaxcnn.data.load`.
      ValueError: As for :func:`jaxcnn.data.load`.
    """
    if frames is not None:
        clips = open_clips(source, ClipSampling(frames))
        return Description("clips", clips.sizes, clips.class_names, None)
    kind = find_source(source, data_dir)
    opened = kind.open_source(source, data_dir)
    rate = None
    if isinstance(opened, SeriesFiles):
        rate, opened = opened.sample_rate, opened.read(sample_rate=None, channels=None)
    if not isinstance(opened, Undecoded):
        sizes = {split: len(rows) for split, rows in members(opened).items()}
        data = opened.data if isinstance(opened, Divided) else opened
        shape = data.labels.shape[1:]
        names = data.class_names
        return Description(kind.KIND, sizes, names, data.image_shape, shape, data.task, rate)
    names = opened.class_names
    return Description(kind.KIND, opened.sizes, names, opened.image_shape, task=opened.task)


def typical_shape(source: str | Path, *, data_dir: str | Path | None = None) -> shapes.Shape:
    """Return the median ``(H, W)`` of some pictures of several sizes, and their channels.

    Only the headers of the files are read. The channels are 3 if any picture has color.

    Args:
      source: A name or a path whose description has no ``image_shape``.
      data_dir: As for :func:`describe`.

    Raises:
      ValueError: None of these pictures can be read.
    """
    opened = find_source(source, data_dir).open_source(source, data_dir)
    assert isinstance(opened, Undecoded)
    records = opened.open_split(next(iter(opened.sizes)))
    rows = np.unique(np.linspace(0, len(records) - 1, _SAMPLE).astype(int)).tolist()
    shapes_found, problem = [], "no record has a file"
    for row in rows:
        try:
            shapes_found.append(picture_shape(records[row]["image"]))
        except UnreadablePicture as error:
            problem = str(error)
    if not shapes_found:
        raise ValueError(f"no picture of {arguments.shown(str(source))} can be read: {problem}")
    heights, widths, channels = zip(*shapes_found, strict=True)
    return int(np.median(heights)), int(np.median(widths)), max(channels)

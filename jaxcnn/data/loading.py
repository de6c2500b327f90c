"""Loading of a data set from its name, path or contents."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.data import splits
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.undecoded import FileNames, Form, Undecoded
from jaxcnn.data.load_options import form_of
from jaxcnn.data.series_length import with_length
from jaxcnn.data.sources.clip_folder import open_clips
from jaxcnn.data.sources.series_folder import SeriesFiles
from jaxcnn.data.sources.switch import find_source
from jaxcnn.data.streaming.opening import is_too_large, open_stream
from jaxcnn.data.streaming.ordered_opening import is_ordered, open_ordered
from jaxcnn.other_names import explained


@explained
def load(
    source: Any,
    *,
    split: str | None = None,
    image_size: int | Sequence[int] | None = None,
    aspect: str = "squash",
    interpolation: str = "bilinear",
    crop_share: float = 1.0,
    channels: int | None = None,
    on_error: str = "raise",
    value_range: Sequence[float] | None = None,
    sample_rate: int | None = None,
    length: int | None = None,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    frames: int | None = None,
    frame_step: int | None = None,
    clips: int = 1,
    stream: bool | None = None,
    random_crop: Sequence[float] | None = None,
    class_names: Sequence[str] = (),
) -> Dataset | Any:
    """Load a data set.

    >>> train, test = load("digits", image_size=28), load("digits", image_size=28, split="test")
    >>> len(train), len(test), test.image_shape
    (1442, 355, (28, 28, 1))
    >>> import numpy as np
    >>> images, labels = np.zeros((10, 8, 8, 1), np.uint8), ["cat"] * 5 + ["dog"] * 5
    >>> load((images, labels)).class_names, len(load((images, labels), split="test"))
    (('cat', 'dog'), 2)

    Pictures are decoded once, on all cores, into an array on the disk; later calls map that array
    at once. Because only the pages in use are in memory, a set may be larger than memory; the
    process itself needs memory for names and labels, and while decoding about 10 MB, or four
    decoded pictures, per core. Slices of a split and sums of adjacent splits are views; other sums
    are copied into memory. Decoded images are kept in a hidden folder beside the source
    (``.NAME.jaxcnn-cache``), or in ``$XDG_CACHE_HOME/jaxcnn/data`` if that cannot be written, until
    the name, size or modification time of a file changes. The folder is safe to delete.

    All splits are decoded together, because only all of them determine the classes and whether any
    picture has color, unless the source names the classes, as a folder does, and ``channels`` is
    given or known.

    Args:
      source: One of

        - ``"digits"``, the 1,797 handwritten digits that come with the package (``"./digits"`` is
          a folder); a path may start with ``~``;
        - a path that ends in ``.npz``: an archive with ``images``, ``labels`` and, optionally,
          ``class_names``; with these two for each split, as in Keras's ``x_train``, ``y_train``,
          ``x_test`` and ``y_test``, or ``train_images`` and ``train_labels``; or with one array of
          images and one of labels under any names;
        - a path that ends in ``.npy``, or a folder of such files: arrays whose files have the
          names of an archive's, such as ``images.npy`` and ``labels.npy``, mapped from the disk;
        - the path of a folder of pictures: one folder per class, named as the class, or such
          folders inside ``train``, ``test`` and ``val``. Files with the usual suffixes count (png,
          jpg, jpeg, webp, bmp, gif, tif, avif and their variants); other and hidden files are
          ignored. The EXIF orientation is applied, transparency becomes white, 16 bits are scaled
          to 8, a palette becomes color, and the first frame of an animation is taken;
        - with ``frames``, the path of a folder of clips in such class folders: video files (mp4,
          avi, mov, mkv, webm and others, decoded by PyAV, the extra ``video``), GIF animations, or
          a folder of numbered pictures for each clip;
        - the path of a folder of pictures with boxes, in COCO's JSON, YOLO's text or Pascal VOC's
          XML, for detection; boxes move with the pixels where pictures are resized;
        - the path of a folder of pictures and masks, ``images`` and ``masks``, for segmentation: a
          class number at each pixel, as gray or as the index of a palette, 255 for void. Names,
          and the colors of masks of colors, are read from ``classes.txt``; masks that all have
          the values 0 and 255 alone are of the classes 0 and 1; see ``docs/segmentation.md``;
        - a folder, a file or the start ``folder/NAME`` of ``NAME_TRAIN.ts`` and ``NAME_TEST.ts``
          (or ``.arff``, ``.tsv``): series of the UCR and UEA archives with their published splits,
          float32 ``(time, channels)``; with ``@targetLabel`` or a numeric last attribute their
          labels are numbers;
        - the path of a folder like that of pictures, of series: ``.csv`` tables with a row per step
          and a column per channel, or sounds (wav, flac, ogg, mp3, aiff), which need the extra
          ``audio``;
        - any other name: a data set that TensorFlow Datasets has prepared; TensorFlow itself is
          not needed. If a folder has the same name, pass ``data_dir`` to read the data set;
        - ``(images, labels)``, or a mapping with the arrays of an archive; or such pairs for
          training and testing, as ``keras.datasets.mnist.load_data()`` returns, or by split;
        - a :class:`jaxcnn.Dataset`;
        - records: any object that has a length and returns ``{"image": …, "label": …}`` or
          ``(image, label)`` by number, such as a PyTorch or Hugging Face ``Dataset``, a Grain
          source or a Grain ``MapDataset``. An image is an array, a Pillow image, the path of a
          picture or its bytes. Several threads read records at the same time. A transform of a
          Hugging Face set is applied once, before the images are kept;
        - records that are read in order, a ``grain.IterDataset`` or a Hugging Face
          ``IterableDataset``: a stream, shuffled within a window of 1,000 records;
        - tar files in the layout of WebDataset, ``"shards/train-{000..127}.tar"`` or
          ``"shards/*.tar"``: a picture and its class in ``.cls``;
        - a mapping of splits to records, such as a Hugging Face ``DatasetDict``.

        Labels are class numbers, or class names, which are then sorted; in arrays and archives
        they are of any kind that :class:`jaxcnn.Dataset` supports.
      split: A split, a slice of one, or a sum: ``"train"``, ``"test"``, ``"all"``,
        ``"train[:80%]"``, ``"train[100:]+test"``. A set without splits is divided into ``"train"``
        and ``"test"``, which has every fifth image of each class, or of all images where they do
        not have one class each; slices take their share of every class. ``None`` means
        ``"train"`` for names, paths and sources with splits, and ``"all"`` for other arrays and
        records.
      image_size: Resize uint8 images to ``(H, W)``, or to a square. Required if pictures have
        several sizes.
      aspect: What becomes of pictures whose ratio of width to height is not that of `image_size`:
        ``"squash"`` changes it, ``"crop"`` takes a centered part that has it, ``"pad"`` adds black
        on two sides.
      interpolation: ``"bilinear"``, ``"bicubic"``, ``"lanczos"`` or ``"nearest"``.
      crop_share: Share of the shorter side that ``"crop"`` keeps, in (0, 1]; what timm calls
        ``crop_pct``.
      channels: Decode pictures to 1 (gray) or 3 (RGB) channels; ``None`` means gray if all are.
        1 takes the mean of the channels of sounds.
        Arrays are not converted, and must have this number of channels.
      value_range: The values ``(low, high)`` that become 0 and 255, of gray pictures of 16 or 32
        bits, such as ``(0, 4095)`` for 12-bit data in 16-bit PNG, or the limits of a depth map in a
        floating-point TIFF. ``None`` scales 16 bits by their whole range, with a warning if the
        values use little of it, and refuses 32 bits. Arrays are not converted.
      sample_rate: Steps per second of sounds, to which others are resampled; ``None`` means the
        rate of the first file, with a warning if others differ.
      length: Steps to which sequences ``(time, channels)`` are cut, or padded by NaN; ``None`` pads
        those of several lengths to the longest. See :func:`jaxcnn.masked`.
      on_error: ``"raise"`` raises an error for a picture that cannot be read; ``"skip"`` leaves
        it out, and warns with a count.
      data_dir: Folder of TensorFlow Datasets; ``None`` means its default.
      cache_dir: Folder for decoded images. Records have no folder: without ``cache_dir`` they are
        decoded into a temporary file; with it they are recognized by their number and a sample of
        16, so delete the folder when other records change.
      frames: Load clips of this many frames, ``(N, frames, H, W, C)``, from a folder of videos. A
        video of fewer frames is an error, or left out by ``on_error="skip"``.
      frame_step: Distance between neighboring frames of a clip: 2 takes every other frame of the
        video, by number, whatever its frame rate. ``None`` spreads the clip evenly over the whole
        video.
      clips: Clips of each video, evenly spaced, one after the other along the time of an image,
        ``(N, clips · frames, H, W, C)``: evaluate them by :func:`jaxcnn.training.over_clips`, or
        train on them with :func:`jaxcnn.augment.random_clip`. A single one is the center.
      stream: Whether to decode pictures as they come, each time they are needed, instead of once:
        the result is a :class:`Stream`, or an :class:`OrderedStream` of records that are read in
        order. ``None`` does so, with a warning, where the decoded images would take more than half
        of the free space of their disk, and with `random_crop`.
      random_crop: Least and largest share of its area of a random part that is taken of each
        picture, anew in each epoch, and resized to `image_size`: ImageNet's is ``(0.08, 1)``
        (:class:`jaxcnn.data.RandomCrop`). Only of a stream.
      class_names: One per class, where the source does not tell them; a stream needs them, because
        its labels are not read before.

    Returns:
      A :class:`jaxcnn.Dataset`, or a stream.

    Raises:
      ImportError: The package that reads videos, sounds or streams, PyAV, soundfile or Grain, is
        not installed.
      OSError: The decoded images cannot be written.
      TypeError: The source is none of these, or images or labels have the wrong type.
      ValueError: There is no such set, split or file, it is not prepared, or its contents do
        not make a data set; the message gives the fix.
    """
    form = form_of(
        image_size=image_size,
        aspect=aspect,
        interpolation=interpolation,
        crop_share=crop_share,
        channels=channels,
        on_error=on_error,
        value_range=value_range,
        sample_rate=sample_rate,
        length=length,
        frames=frames,
        frame_step=frame_step,
        clips=clips,
        cache_dir=cache_dir,
        random_crop=random_crop,
        class_names=class_names,
    )
    _check_stream(stream, form)
    if is_ordered(source):
        if stream is False:
            raise ValueError(
                "records that are read in order are streamed, not decoded once. "
                f"Received: stream=False for {type(source).__name__}"
            )
        return open_ordered(source, split, form)
    opened = _open(source, data_dir, form)
    if isinstance(opened, Undecoded):
        if stream is None and form.crop is None and (reason := is_too_large(opened, form)):
            warnings.warn(f"{reason}. Choose by stream=True or stream=False", stacklevel=3)
            stream = True
        if stream or form.crop is not None:
            return open_stream(opened, split, form)
        return opened.decode(split, form)
    if stream or form.crop is not None:
        raise ValueError(
            "only pictures and records are streamed, and arrays are in memory or mapped. "
            f"Received: {arguments.shown(source)}"
        )
    divided = isinstance(source, str | Path) or isinstance(opened, splits.Divided)
    default = "train" if divided else "all"
    return _convert(splits.cut(opened, split or default), form)


def load_named(
    source: str | Path, *, split: str, data_dir: str | Path | None, **options: Any
) -> tuple[Dataset, FileNames]:
    """Return a split as :func:`load`, and the function from a row of it to the image's name.

    The name of a picture in a folder is its path; another image is named by its number.

    Args:
      source: As for :func:`load`.
      split: As for :func:`load`.
      data_dir: As for :func:`load`.
      **options: The other options of :func:`load`.
    """
    form = form_of(**options)
    opened = _open(source, data_dir, form)
    if isinstance(opened, Undecoded):
        return opened.decode_named(split, form)
    return _convert(splits.cut(opened, split), form), lambda row: f"image {row} of {split}"


def examples(
    source: str | Path,
    count: int,
    *,
    image_size: int | Sequence[int] | None = None,
    on_error: str = "raise",
    data_dir: str | Path | None = None,
) -> Dataset:
    """Load the first images of a set for display; only they are decoded, without a cache.

    Args:
      source: A name or a path, as for :func:`load`.
      count: Number of images at most: the first of ``"train"``, or else of the first split.
      image_size: As for :func:`load`.
      on_error: As for :func:`load`.
      data_dir: As for :func:`load`.

    Raises:
      TypeError: As for :func:`load`.
      ValueError: As for :func:`load`.
    """
    form = form_of(image_size=image_size, on_error=on_error)
    opened = _open(source, data_dir, form)
    if isinstance(opened, Undecoded):
        return opened.decode_first(count, form)
    names = splits.members(opened)
    first = "train" if "train" in names else next(iter(names))
    return _convert(splits.cut(opened, f"{first}[:{count}]"), form)


def _open(
    source: Any, data_dir: str | Path | None, form: Form
) -> Dataset | splits.Divided | Undecoded:
    """Return the whole data set, without decoding a picture or a clip; series are read."""
    if form.sampling is not None:
        return open_clips(source, form.sampling)
    opened = _name_classes(find_source(source, data_dir).open_source(source, data_dir), form)
    if isinstance(opened, SeriesFiles):
        return opened.read(sample_rate=form.sample_rate, channels=form.channels)
    if form.sample_rate is not None:
        raise ValueError(
            "sample_rate belongs to folders of sounds. "
            f"Received: sample_rate={form.sample_rate} for {arguments.shown(source)}"
        )
    return opened


def _check_stream(stream: Any, form: Form) -> None:
    if stream is not None:
        arguments.check_flag("stream", stream)
    if stream is False and form.crop is not None:
        raise ValueError(
            "random_crop needs pictures that are decoded as they come. "
            f"Received: random_crop={form.crop.scale}, stream=False"
        )


def _name_classes(opened: Any, form: Form) -> Any:
    """Return a set whose classes have the names that the user gives."""
    if not form.class_names:
        return opened
    if isinstance(opened, Undecoded) and opened.class_names in ((), form.class_names):
        return dataclasses.replace(opened, class_names=form.class_names)
    if isinstance(opened, Dataset):
        return dataclasses.replace(opened, class_names=form.class_names)
    raise ValueError(
        "class_names are those of a source that does not tell them. "
        f"Received: class_names={arguments.shown(list(form.class_names))} for "
        f"{type(opened).__name__}"
    )


def _convert(data: Dataset, form: Form) -> Dataset:
    """Return arrays in a form: they are resized, but their channels are not converted."""
    if form.channels not in (None, data.image_shape[-1]):
        raise ValueError(
            "channels must be the number of channels of arrays, because only pictures are "
            f"converted. Received: channels={form.channels} for images {data.images.shape}"
        )
    if form.length is not None:
        data = with_length(data, form.length)
    if form.image_size is None:
        return data
    return data.resize(form.image_size, **dataclasses.asdict(form.resizing))

"""Data sets by their name, path or contents, decoded and ready to be drawn from."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxcnn import arguments, shapes
from jaxcnn.data import cache, splits
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding import First, Joined, Records, refusal
from jaxcnn.data.opening import open_source
from jaxcnn.data.undecoded import Undecoded

# Records without a place of their own are known by their number and so many of them.
_SAMPLE = 16


def load(
    source: Any,
    *,
    split: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
    on_error: str = "raise",
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """Loads a data set.

    >>> train, test = load("digits", image_size=28), load("digits", image_size=28, split="test")
    >>> len(train), len(test), test.image_shape
    (1442, 355, (28, 28, 1))
    >>> import numpy as np
    >>> images, labels = np.zeros((10, 8, 8, 1), np.uint8), ["cat"] * 5 + ["dog"] * 5
    >>> load((images, labels)).class_names, len(load((images, labels), split="test"))
    (('cat', 'dog'), 2)

    What has to be decoded is decoded once, on all cores, into an array on the disk, and mapped
    from there: the next time the set is there at once. Only what is used is read, and the
    operating system forgets it when memory is short, so that a set may be larger than memory.
    Memory of the process's own is needed for names and labels, and while decoding for some 10 MB
    a core, or for each core four pictures as they are decoded, if that is more. Slices and sums of
    neighboring splits are views; other sums are copied into memory. A set is kept in a hidden
    folder beside its source (``.NAME.jaxcnn-cache``), or in ``$XDG_CACHE_HOME/jaxcnn/data`` where
    that cannot be written, until the name, size or a time of change of any of its files changes.
    It is safe to delete.

    All splits of a folder are decoded together, whichever is asked for, because only all of them
    tell which classes there are and whether any picture has color; so are those of other sets,
    but where they name their classes and ``channels`` is given or known.

    Args:
      source: One of

        - ``"digits"``, the 1,797 handwritten digits that come with the package (``"./digits"`` is
          a folder); a path may start with ``~``;
        - a path that ends in ``.npz``: an archive with ``images`` and ``labels``, and
          ``class_names`` if there are any;
        - the path of a folder of pictures: a folder per class, whose name is the class's, or such
          folders in ``train``, ``test`` and ``val``. Files with the usual suffixes count (png,
          jpg, jpeg, webp, bmp, gif, tif, avif and their kin); others and hidden ones are ignored.
          Pictures are turned as EXIF says, transparency is laid on white, 16 bits are scaled to
          8, a palette is color, and of an animation the first frame counts;
        - any other name: a data set that TensorFlow Datasets has prepared; TensorFlow itself is
          not needed. Where a folder has the same name, ``data_dir`` says that it is not meant;
        - ``(images, labels)``, or a mapping with what an archive holds;
        - records: whatever has a length and gives ``{"image": …, "label": …}`` by number, such
          as a Hugging Face ``Dataset``, a Grain source or a Grain ``MapDataset``. An image is an
          array, a Pillow image, the path of a picture or its bytes. Several threads read records
          at once;
        - a mapping of splits to records, such as a Hugging Face ``DatasetDict``.

        Labels are class numbers, or names of classes, which are then sorted; in arrays and
        archives they are of any kind that :class:`~jaxcnn.data.Dataset` knows.
      split: A split, a slice of one, or a sum: ``"train"``, ``"test"``, ``"all"``,
        ``"train[:80%]"``, ``"train[100:]+test"``. A set without splits of its own has ``"train"``
        and ``"test"``, every fifth image of each class, or of all where they have no one class;
        its slices take their share of every class. ``None`` means ``"train"`` for names, paths
        and mappings of splits, and ``"all"`` for arrays and records, which are one split as they
        are.
      image_size: Resizes images of uint8 (bilinear, without cropping) to ``(H, W)``, or a square.
        It is needed where pictures have several sizes.
      channels: Decodes pictures to 1 (gray) or 3 (RGB) channels; ``None`` means gray if all are.
        Arrays are not converted, and must have so many.
      on_error: ``"raise"`` raises an error for a picture that cannot be read; ``"skip"`` leaves
        it out, and warns with a count.
      data_dir: Where TensorFlow Datasets keeps its data; ``None`` means its own default.
      cache_dir: Where to keep what was decoded. Records have no place of their own: without it
        they are decoded into a temporary file; with it they are known again by their number and
        a sample of 16, so delete the folder when others change.

    Raises:
      OSError: what was decoded cannot be written.
      TypeError: the source is none of these, or images or labels are not of their type.
      ValueError: there is no such set, split or file, it is not prepared, or its contents do
        not make a data set; the message says what to do.
    """
    form = _Form.check(image_size, channels, on_error, cache_dir)
    found = open_source(source, data_dir)
    if isinstance(found, Dataset):
        default = "train" if isinstance(source, str | Path) else "all"
        return form.apply(splits.cut(found, split or default))
    if found.sizes.keys() == {"all"}:  # records, which have no splits of their own
        return splits.cut(_decode(found, [splits.Part("all")], form), split or "all")
    return _decode(found, splits.parse(split or "train", found.sizes), form)


def examples(
    source: str | Path,
    count: int,
    *,
    image_size: int | Sequence[int] | None = None,
    on_error: str = "raise",
    data_dir: str | Path | None = None,
) -> Dataset:
    """Loads some images of a set to look at; only they are decoded, and nothing is kept.

    Args:
      source: A name or a path, as for :func:`load`.
      count: How many at most, the first of ``"train"`` or of the first split there is.
      image_size: As for :func:`load`.
      on_error: As for :func:`load`.
      data_dir: As for :func:`load`.

    Raises:
      TypeError: as :func:`load`.
      ValueError: as :func:`load`.
    """
    form = _Form.check(image_size, None, on_error, None)
    found = open_source(source, data_dir)
    if isinstance(found, Dataset):
        return form.apply(splits.cut(found, f"train[:{count}]"))
    split = "train" if "train" in found.sizes else next(iter(found.sizes))
    first = First(found.open(split), count)
    few = Undecoded(found.name, {split: len(first)}, lambda split: first, found.class_names)
    return _decode(few, [splits.Part(split)], form)


@dataclass(frozen=True)
class _Form:
    """How the user wants images, and what was decoded to be kept."""

    image_size: tuple[int, int] | None
    channels: int | None
    skip: bool
    cache_dir: str | Path | None

    @classmethod
    def check(
        cls,
        image_size: int | Sequence[int] | None,
        channels: int | None,
        on_error: str,
        cache_dir: str | Path | None,
    ) -> "_Form":
        size = None
        if image_size is not None:
            height, width = shapes.per_axis("image_size", image_size, 2)
            size = (height, width)
        if channels not in (None, 1, 3):
            raise ValueError(f"channels must be 1, 3 or None. Received: channels={channels!r}")
        arguments.check_known("choice for on_error", on_error, ("raise", "skip"))
        return cls(size, channels, on_error == "skip", cache_dir)

    def apply(self, data: Dataset) -> Dataset:
        """Returns arrays, which are resized but not converted."""
        if self.channels not in (None, data.image_shape[-1]):
            raise ValueError(
                "channels must be what arrays have, as only pictures are converted. "
                f"Received: channels={self.channels} for images {data.images.shape}"
            )
        return data if self.image_size is None else data.resize(self.image_size)


def _decode(found: Undecoded, parts: Sequence[splits.Part], form: _Form) -> Dataset:
    """Returns parts of a set whose records have to be decoded, or were and are kept.

    All splits are decoded together where only all of them tell which classes there are and whether
    any picture has color; else those that are asked for.
    """
    channels = form.channels or found.channels
    asked = dict.fromkeys(part.name for part in parts)
    apart = found.class_names and channels and not found.whole
    sizes = {split: found.sizes[split] for split in (asked if apart else found.sizes)}
    if not sum(sizes[split] for split in asked):
        raise ValueError(f"{found.name} has no image in {' + '.join(asked)}")
    source = Joined([found.open(split) for split in sizes])
    records = Records(source, found.name, form.image_size, channels, form.skip)
    kept = _kept(records, sizes, found, form.cache_dir)
    if kept.skipped and not form.skip:
        raise refusal(kept.skipped[0])
    if kept.skipped:
        listed = "; ".join(kept.skipped[:3]) + "; …" * (len(kept.skipped) > 3)
        warnings.warn(
            f"{len(kept.skipped)} of {len(source)} images in {found.name} are left out: {listed}",
            stacklevel=3,
        )
    rows = splits.stored_rows(parts, kept.sizes)
    if not len(kept.labels[rows]):
        raise ValueError(f"the split holds none of the {len(kept.labels)} images of {found.name}")
    return kept.take(rows)


def _kept(
    records: Records, sizes: dict[str, int], found: Undecoded, cache_dir: str | Path | None
) -> cache.Kept:
    content, places = found.content, []
    if found.folder is not None:
        places = cache.places(found.folder, cache_dir)
    elif cache_dir is not None:
        content = cache.digest([*records.sample(_SAMPLE), *found.class_names])
        places = [Path(cache_dir) / f"records-{content}"]
    if content is None:
        return cache.decode_for_now(records, sizes, found.class_names)
    return cache.open_or_decode(records, sizes, found.class_names, content=content, places=places)

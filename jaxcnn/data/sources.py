"""Where data sets come from: the package itself, files, folders, arrays, records."""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import checks, shapes
from jaxcnn.data import cache, folders, splits
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding import Joined, Records, Source, refusal
from jaxcnn.data.preparation.builders import is_prepared, stock_builder
from jaxcnn.data.preparation.catalogue import CATALOGUE, command

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
    >>> images, labels = np.zeros((10, 8, 8, 1), np.uint8), ["cat"] * 5 + ["dog"] * 5
    >>> load((images, labels)).class_names, len(load((images, labels), split="test"))
    (('cat', 'dog'), 2)

    What has to be decoded is decoded once, on all cores, into an array on the disk, and mapped
    from there: the next time the set is there at once. Only what is used is read, and the
    operating system forgets it when memory is short, so that a set may be larger than memory.
    Slices and sums of neighbouring splits are views; other sums are copied into memory. A set is
    kept in a hidden folder beside its source (``.NAME.jaxcnn-cache``), or in
    ``$XDG_CACHE_HOME/jaxcnn/data`` where that cannot be written, until the name, size or time of
    change of any of its files changes. It is safe to delete.

    Args:
      source: One of

        - ``"digits"``, the 1,797 handwritten digits that come with the package;
        - a path that ends in ``.npz``: an archive with ``images`` and ``labels``, and
          ``class_names`` if there are any;
        - the path of a folder of pictures: a folder per class, whose name is the class's, or such
          folders in ``train``, ``test`` and ``val``. Files with the usual suffixes count (png,
          jpg, jpeg, webp, bmp, gif, tif, tiff, ppm, pgm); others and hidden ones are ignored.
          Pictures are turned as EXIF says, transparency is laid on white, 16 bits are scaled to
          8, a palette is colour, and of an animation the first frame counts;
        - any other name: a data set that TensorFlow Datasets has prepared; TensorFlow itself is
          not needed. Where a folder has the same name, ``data_dir`` says that it is not meant;
        - ``(images, labels)``, or a mapping with what an archive holds;
        - records: whatever has a length and gives ``{"image": …, "label": …}`` by number, such
          as a Hugging Face ``Dataset``, a Grain source or a Grain ``MapDataset``. An image is an
          array, a Pillow image, the path of a picture or its bytes;
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
    if isinstance(source, str | Path):
        return _load_named(source, split or "train", form, data_dir)
    if isinstance(source, Mapping) and not {"images", "labels"} & source.keys():
        return _load_splits(source, split or "train", form)
    if isinstance(source, Mapping | tuple):
        data = _from_arrays(source)
    else:
        records, class_names = _records(source)
        whole = splits.parse("all", ["all"])
        data = _decode(type(source).__name__, whole, lambda split: records, class_names, form)
        form = replace(form, image_size=None)
    return form.resize(splits.cut(data, split or "all"))


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
        checks.known("choice for on_error", on_error, ("raise", "skip"))
        return cls(size, channels, on_error == "skip", cache_dir)

    def resize(self, data: Dataset) -> Dataset:
        return data if self.image_size is None else data.resize(self.image_size)


def _load_named(
    source: str | Path, split: str, form: _Form, data_dir: str | Path | None
) -> Dataset:
    if str(source).endswith(".npz"):
        return form.resize(splits.cut(_load_archive(Path(source)), split))
    if source == "digits":
        return form.resize(splits.cut(_load_digits(), split))
    if source and Path(source).is_dir() and data_dir is None:
        return _load_folder(Path(source), split, form)
    if isinstance(source, Path):
        raise ValueError(f"there is no folder or .npz archive {str(source)!r}")
    return _load_tfds(source, split, form, data_dir)


def _load_digits() -> Dataset:
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        archive = np.load(file)
        sixteenths, labels = archive["images"], archive["labels"]
    return Dataset(np.round(sixteenths * (255 / 16)).astype(np.uint8)[..., None], labels)


def _load_archive(path: Path) -> Dataset:
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            contents = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged file fails in as many ways as zip, deflate and npy have
        raise ValueError(f"{str(path)!r} is not a readable .npz archive: {error}") from error
    return _from_mapping(contents, repr(str(path)))


def _from_arrays(source: Mapping[str, Any] | tuple[Any, ...]) -> Dataset:
    if isinstance(source, Mapping):
        return _from_mapping(source, "a mapping of arrays")
    if len(source) != 2:
        raise ValueError(
            f"arrays must be the pair (images, labels). Received: a tuple of {len(source)}"
        )
    images, labels = source
    return Dataset(images, labels)


def _from_mapping(arrays: Mapping[str, Any], name: str) -> Dataset:
    missing = {"images", "labels"} - arrays.keys()
    if missing:
        raise ValueError(f"{name} must hold 'images' and 'labels'. Received: {sorted(arrays)}")
    names = tuple(map(str, arrays.get("class_names", ())))
    return Dataset(arrays["images"], arrays["labels"], names)


def _load_folder(path: Path, split: str, form: _Form) -> Dataset:
    found = folders.scan(path)
    return _decode(
        str(path),
        splits.parse(split, found.splits),
        found.splits.__getitem__,
        found.class_names,
        form,
        content=found.digest,
        places=cache.places(path, form.cache_dir),
    )


def _load_splits(source: Mapping[str, Any], split: str, form: _Form) -> Dataset:
    adapted = {name: _records(records) for name, records in source.items()}
    parts = splits.parse(split, adapted)
    class_names = adapted[parts[0].name][1]
    return _decode(type(source).__name__, parts, lambda name: adapted[name][0], class_names, form)


def _load_tfds(name: str, split: str, form: _Form, data_dir: str | Path | None) -> Dataset:
    import tensorflow_datasets as tfds

    available = ["digits", *tfds.list_builders(with_community_datasets=False)]
    if not name:
        checks.known("data set", name, available)
    try:
        prepared = is_prepared(name, data_dir)
    except tfds.core.DatasetNotFoundError:
        checks.known("data set", name, available)
        raise
    builder = stock_builder(name, data_dir)
    if not prepared:
        how = (
            command(name, data_dir)
            if name in CATALOGUE
            else f"where TensorFlow is installed: tfds.builder({name!r}, "
            "file_format='array_record').download_and_prepare()"
        )
        raise ValueError(
            f"the data set {name!r} is not prepared in {builder.data_path}. Prepare it once: {how}"
        )
    features: Any = builder.info.features
    if not {"image", "label"} <= features.keys():
        raise ValueError(
            f"the data set {name!r} must have the features 'image' and 'label'. "
            f"Received: {sorted(features)}"
        )
    image, decoders = features["image"], None
    pictures = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
    if pictures and image.shape[-1] in (None, 1, 3):
        # Our threads decode the bytes; TFDS would do it one by one, and without resizing.
        decoders = {"image": tfds.decode.SkipDecoding()}
        form = replace(form, channels=form.channels or image.shape[-1])
    folder = Path(builder.data_path)
    return _decode(
        repr(name),
        splits.parse(split, builder.info.splits),
        lambda split: builder.as_data_source(split=split, decoders=decoders),
        getattr(features["label"], "names", None) or (),
        form,
        content=cache.digest(cache.listing(folder)),
        places=cache.places(folder, form.cache_dir),
    )


def _records(source: Any) -> tuple[Source, tuple[str, ...]]:
    """Returns records with ``image`` and ``label``, and the names of their classes if known."""
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise TypeError(
            "source must be a name, a path, (images, labels), or records that have a length and "
            "are read by number; of a stream, such as a Grain IterDataset or a streamed Hugging "
            f"Face set, give what it was made from. Received: {type(source).__name__}"
        )
    if len(source) >= sys.maxsize:
        raise ValueError(f"records must end. Received: an endless {type(source).__name__}")
    features = getattr(source, "features", None)
    if isinstance(features, Mapping):
        return _hugging_face(source, features)
    described = getattr(source, "dataset_info", None)  # a data source of TensorFlow Datasets
    label = {} if described is None else described.features["label"]
    return source, tuple(getattr(label, "names", None) or ())


def _hugging_face(table: Any, features: Mapping[str, Any]) -> tuple[Source, tuple[str, ...]]:
    """Returns a Hugging Face ``Dataset`` as records whose pictures are not decoded yet.

    The features are known by the names of their types, so that nothing needs to be imported.
    """
    columns = []
    for name, kind in (("image", "Image"), ("label", "ClassLabel")):
        fitting = [each for each, feature in features.items() if type(feature).__name__ == kind]
        if name not in features and len(fitting) != 1:
            raise ValueError(
                f"the table must have a column {name!r}, or one column of type {kind}: use "
                f"rename_column(…, {name!r}). Received: {dict(features)}"
            )
        columns.append(name if name in features else fitting[0])
    image, label = columns
    table = table.with_format(None).select_columns(columns)
    if type(features[image]).__name__ == "Image":
        table = table.cast_column(image, type(features[image])(decode=False))
    table = table.rename_columns({image: "image", label: "label"})
    return table, tuple(getattr(features[label], "names", None) or ())


def _decode(
    name: str,
    parts: Sequence[splits.Part],
    open_split: Callable[[str], Source],
    class_names: Sequence[str],
    form: _Form,
    *,
    content: str | None = None,
    places: Sequence[Path] = (),
) -> Dataset:
    """Returns parts of a set whose records have to be decoded, or were and are kept.

    Splits are kept whole, those that are asked for together in one array.
    """
    sources = {split: open_split(split) for split in dict.fromkeys(part.name for part in parts)}
    sizes = {split: len(records) for split, records in sources.items()}
    if not sum(sizes.values()):
        raise ValueError(f"{name} has no image in {' + '.join(sizes)}")
    records = Records(
        Joined(list(sources.values())), name, form.image_size, form.channels, form.skip
    )
    if form.cache_dir is not None and content is None:
        content = cache.digest(records.sample(_SAMPLE))
        places = [Path(form.cache_dir) / f"records-{content}"]
    if content is None:
        kept = cache.decode_for_now(records, sizes, class_names)
    else:
        kept = cache.open_or_decode(records, sizes, class_names, content=content, places=places)
    if kept.skipped and not form.skip:
        raise refusal(kept.skipped[0])
    if kept.skipped:
        listed = "; ".join(kept.skipped[:3]) + "; …" * (len(kept.skipped) > 3)
        warnings.warn(
            f"{len(kept.skipped)} of {sum(sizes.values())} images in {name} are left out: {listed}",
            stacklevel=4,
        )
    rows = splits.stored_rows(parts, kept.sizes)
    if not len(kept.data.labels[rows]):
        raise ValueError(f"the split holds none of the {len(kept.data)} images of {name}")
    return kept.data.take(rows)

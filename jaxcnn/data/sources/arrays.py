"""Arrays in memory: pairs of images and labels, or a mapping with the names that an archive has."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.splits import NAMES, Divided

KIND = "arrays"

# The words of an array's name that tell its role; a further one may tell its split.
_ROLES = dict.fromkeys(("images", "image", "x", "imgs", "img", "data", "pictures"), "images")
_ROLES |= dict.fromkeys(("labels", "label", "y", "target", "targets", "masks"), "labels")
_CLASS_NAMES = "class_names"


def is_arrays(source: Any) -> bool:
    """Return whether `source` is a data set, a tuple, or a mapping of arrays, not of records.

    >>> is_arrays({"images": [], "labels": []}), is_arrays({"train": [], "test": []})
    (True, False)
    """
    if isinstance(source, Mapping):
        names = [name for name in source if isinstance(name, str)]
        return any(map(_role, names)) or (bool(source) and all(map(_is_pair, source.values())))
    return isinstance(source, tuple | Dataset)


def open_source(
    source: Dataset | tuple[Any, ...] | Mapping[str, Any], data_dir: str | Path | None
) -> Dataset | Divided:
    """Return the arrays as a data set.

    Args:
      source: A data set; ``(images, labels)``; a mapping of such arrays by name, as an archive
        holds them; or pairs for training and testing, ``((images, labels), (images, labels))`` or
        a mapping of splits to pairs.
      data_dir: Not used.

    Raises:
      TypeError: Images or labels have the wrong dtype.
      ValueError: The arrays do not make a data set.
    """
    del data_dir
    if isinstance(source, Dataset):
        return source
    if isinstance(source, Mapping):
        if all(map(_is_pair, source.values())):
            return _join({split: tuple(pair) for split, pair in source.items()}, ())
        return from_mapping(source, "a mapping of arrays")
    if len(source) != 2:
        raise ValueError(
            f"arrays must be the pair (images, labels). Received: a tuple of {len(source)}"
        )
    if all(map(_is_pair, source)):  # as keras.datasets.mnist.load_data() returns
        return _join(dict(zip(("train", "test"), source, strict=True)), ())
    return Dataset(*source)


def from_mapping(arrays: Mapping[str, Any], name: str) -> Dataset | Divided:
    """Return the data set of arrays that are found by their names.

    The names are ``images`` and ``labels``, or ``x`` and ``y`` and similar words; with the name of
    a split, before or after (``x_train``, ``train_images``), they divide the set. Two arrays of
    other names are taken if one has the axes of images and the other one label per image.

    Args:
      arrays: The arrays by name; ``class_names`` may be among them.
      name: Name of the mapping in errors.

    Raises:
      ValueError: An array is missing, or the arrays do not make a data set.
    """
    class_names = tuple(map(str, arrays.get(_CLASS_NAMES, ())))
    arrays = {each: array for each, array in arrays.items() if each != _CLASS_NAMES}
    found: dict[str, dict[str, str]] = {}
    for each in arrays:
        split, role = _role(each) or (None, None)
        if split is not None and role is not None:
            former = found.setdefault(split, {}).setdefault(role, each)
            if former != each:
                raise ValueError(f"two arrays in {name} are the {role}: {former!r} and {each!r}")
    whole = {split: roles for split, roles in found.items() if len(roles) == 2}
    if "" in whole:  # the whole set; anything else describes it
        whole = {"": whole[""]}
    elif len(whole) < len(found) or not whole:
        pair = _obvious_pair(arrays)
        if pair is None:
            shapes = {each: np.shape(array) for each, array in arrays.items()}
            raise ValueError(
                f"{name} must hold 'images' and 'labels', or both for each split, such as "
                f"'x_train', 'y_train', 'x_test' and 'y_test'. Received: {arguments.shown(shapes)}"
            )
        whole = {"": pair}
    pairs = {
        split: (arrays[roles["images"]], arrays[roles["labels"]]) for split, roles in whole.items()
    }
    if "" in pairs:
        return Dataset(*pairs[""], class_names)
    return _join(pairs, class_names)


def _join(pairs: Mapping[str, tuple[Any, Any]], class_names: Sequence[str]) -> Divided:
    """Return the pairs of splits as one set."""
    ordered = sorted(pairs, key=lambda split: [*dict.fromkeys(NAMES.values()), split].index(split))
    images = [np.asarray(pairs[split][0]) for split in ordered]
    forms = {split: f"{x.dtype} {x.shape}" for split, x in zip(ordered, images, strict=True)}
    if len({(array.dtype, array.shape[1:]) for array in images}) > 1:
        raise ValueError(
            f"the images of all splits must have one shape and dtype. Received: {forms}"
        )
    labels = [np.asarray(pairs[split][1]) for split in ordered]
    for split, x, y in zip(ordered, images, labels, strict=True):
        if len(x) != len(y):
            raise ValueError(
                f"labels must have one row per image. Received: labels {y.shape} for images "
                f"{x.shape} in {split!r}"
            )
    joined = images[0] if len(images) == 1 else np.concatenate(images)
    data = Dataset(joined, np.concatenate(labels), tuple(class_names))
    return Divided(data, {split: len(x) for split, x in zip(ordered, images, strict=True)})


def _role(name: str) -> tuple[str, str] | None:
    """Return the split (or ``""``) and the role of an array with this name, if it tells.

    >>> _role("x_train"), _role("test_labels"), _role("images"), _role("weights")
    (('train', 'images'), ('test', 'labels'), ('', 'images'), None)
    """
    words = re.split(r"[_\-. ]", name.lower())
    roles = [_ROLES[word] for word in words if word in _ROLES]
    splits = [NAMES[word] for word in words if word in NAMES]
    if len(roles) != 1 or len(roles) + len(splits) < len(words) or len(splits) > 1:
        return None
    return (splits[0] if splits else ""), roles[0]


def _obvious_pair(arrays: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the names of images and labels among two arrays whose shapes leave no doubt."""
    if len(arrays) != 2:
        return None
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    images, labels = sorted(shapes, key=lambda name: -len(shapes[name]))
    single = len(shapes[labels]) == 1 or shapes[labels][1:] == (1,)
    if len(shapes[images]) < 3 or not single or shapes[images][0] != shapes[labels][0]:
        return None
    return {"images": images, "labels": labels}


def _is_pair(source: Any) -> bool:
    """Return whether `source` is a pair of images and labels, both of them arrays."""
    is_two = isinstance(source, tuple | list) and len(source) == 2
    return is_two and all(getattr(array, "ndim", 0) > 0 for array in source)

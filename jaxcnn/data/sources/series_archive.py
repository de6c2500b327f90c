"""Sets of series of the UCR and UEA archives: ``NAME_TRAIN.ts`` beside ``NAME_TEST.ts``."""

import os
import re
from pathlib import Path

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.series_text import READERS, SeriesText, pad_series, read_series
from jaxcnn.data.labels import sort_class_names
from jaxcnn.data.splits import Divided

KIND = "series"

_PART = re.compile(r"(.+)_(TRAIN|TEST)", re.IGNORECASE)


def is_series(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` is a file of series, a folder of them, or the start of their names.

    >>> is_series("GunPoint_TRAIN.ts", None), is_series("GunPoint.csv", None)
    (True, False)

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string without a suffix is the name of a data set in this folder.
    """
    if Path(source).suffix.lower() in READERS:
        return True
    if not source or (data_dir is not None and not isinstance(source, Path)):
        return False
    return bool(_files(Path(os.path.expanduser(source))))


def open_source(source: str | Path, data_dir: str | Path | None) -> Dataset | Divided:
    """Return the series of a set, with the splits that it is published with.

    The source is a folder, one of its files, or the start of both names, ``folder/NAME``. Of a
    folder with several sets the one of the folder's name is taken. A single file is a whole set.

    Args:
      source: The path, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: There is no such file, a folder has several sets, or a file cannot be read.
    """
    del data_dir
    path = Path(os.path.expanduser(source))
    files = _files(path)
    if not files:
        raise ValueError(f"there is no file {arguments.shown(str(path))}")
    parts = {split: read_series(file) for split, file in files.items()}
    images, labels, names = _join(files, list(parts.values()))
    data = Dataset(images, labels, names)
    if "" in parts:
        return data
    return Divided(data, {split: len(part.series) for split, part in parts.items()})


def _files(path: Path) -> dict[str, Path]:
    """Return the files of a source by their splits; a whole set has the split ``""``."""
    if path.suffix.lower() in READERS:
        part = _PART.fullmatch(path.stem)
        pair = _pair(path.parent, part[1], path.suffix.lower()) if part else {}
        return pair if len(pair) == 2 else {"": path} if os.path.isfile(path) else {}
    if os.path.isdir(path):
        return _in_folder(path)
    for suffix in READERS if os.path.isdir(path.parent) else ():
        if pair := _pair(path.parent, path.name, suffix):
            return pair if len(pair) == 2 else {"": next(iter(pair.values()))}
    return {}


def _in_folder(folder: Path) -> dict[str, Path]:
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for suffix in READERS:
        found = [path for path in entries if path.suffix.lower() == suffix and path.is_file()]
        sets = list(dict.fromkeys(m[1] for path in found if (m := _PART.fullmatch(path.stem))))
        whole = {each: pair for each in sets if len(pair := _pair(folder, each, suffix)) == 2}
        if folder.name in whole:
            return whole[folder.name]
        if len(whole) == 1:
            return next(iter(whole.values()))
        if len(whole) > 1:
            raise ValueError(
                f"the folder {str(folder)!r} has several sets of series, "
                f"{arguments.shown([*whole])}: use one, such as {str(folder / next(iter(whole)))!r}"
            )
        if len(found) == 1 and suffix != ".tsv":  # any table may end in .tsv
            return {"": found[0]}
    return {}


def _pair(folder: Path, name: str, suffix: str) -> dict[str, Path]:
    """Return the two parts of a set that exist, in any letter case."""
    found = {}
    for path in sorted(folder.iterdir()) if os.path.isdir(folder) else ():
        part = _PART.fullmatch(path.stem)
        if part is not None and part[1] == name and path.suffix.lower() == suffix:
            found[part[2].lower()] = path
    return {split: found[split] for split in ("train", "test") if split in found}


def _join(
    files: dict[str, Path], parts: list[SeriesText]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the series of all parts in one array, their labels and the class names."""
    series = [each for part in parts for each in part.series]
    channels = [part.series[0].shape[1] for part in parts]
    kinds = [part.labels.dtype.kind for part in parts]
    if len(set(channels)) > 1 or len(set(kinds)) > 1:
        names = [path.name for path in files.values()]
        raise ValueError(
            f"{arguments.shown(names)} must have the same channels and kind of labels. "
            f"Received: {channels} channels, labels of dtype kind {kinds}"
        )
    labels = np.concatenate([part.labels for part in parts])
    if kinds[0] == "f":
        return pad_series(series), labels, ()
    known = set().union(*(part.class_names for part in parts)) | set(labels.tolist())
    return pad_series(series), labels, sort_class_names(known)

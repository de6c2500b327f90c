"""Folders of files with one series or sound each: a folder per class, or such folders in splits."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.series_files import SOUNDS, TABLES, read_sounds, read_tables, sound_rate
from jaxcnn.data.decoding.series_text import pad_series
from jaxcnn.data.labels import sort_class_names
from jaxcnn.data.sources.picture_folder import is_folder
from jaxcnn.data.splits import NAMES, Divided

KIND = "series folder"


@dataclass(frozen=True)
class SeriesFiles:
    """Files of one series each, which have not been read.

    Attributes:
      root: Their folder.
      splits: The files and classes of each split; ``""`` for a set without splits.
    """

    root: Path
    splits: Mapping[str, tuple[tuple[Path, str], ...]]

    @property
    def sample_rate(self) -> int | None:
        """The steps per second of the first file; ``None`` for tables."""
        first, _ = next(file for split in self.splits.values() for file in split)
        return sound_rate(first) if first.suffix.lower() in SOUNDS else None

    def read(self, *, sample_rate: int | None, channels: int | None) -> Dataset | Divided:
        """Return the series, padded by NaN to the longest.

        Args:
          sample_rate: Of sounds, see :func:`jaxcnn.data.load`.
          channels: 1 takes the mean of the channels of sounds.

        Raises:
          ImportError: A package that reads sounds is not installed.
          ValueError: A file cannot be read or does not fit the others, or an option does not apply.
        """
        files = [file for split in self.splits.values() for file in split]
        paths, labels = [path for path, _ in files], [label for _, label in files]
        sounds = [path for path in paths if path.suffix.lower() in SOUNDS]
        if sounds and len(sounds) < len(paths):
            other = next(path for path in paths if path not in sounds)
            raise ValueError(
                f"the folder {str(self.root)!r} must hold sounds or tables, not both. "
                f"Received: {str(sounds[0])!r} and {str(other)!r}"
            )
        if sounds:
            series = read_sounds(paths, sample_rate=sample_rate, channels=channels)
        elif sample_rate is not None:
            raise ValueError(
                f"sample_rate belongs to sounds. Received: sample_rate={sample_rate} for "
                f"{str(paths[0])!r}"
            )
        else:
            series = read_tables(paths)
        data = Dataset(pad_series(series), np.array(labels), sort_class_names(set(labels)))
        sizes = {split: len(files) for split, files in self.splits.items()}
        return data if "" in sizes else Divided(data, sizes)


def is_folder_of_series(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` is a folder whose class folders hold mostly tables or sounds.

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string is the name of a data set in this folder.
    """
    if not is_folder(source, data_dir):
        return False
    for _, folders, files in os.walk(os.path.expanduser(source)):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        suffixes = Counter(Path(each).suffix.lower() for each in files if not each.startswith("."))
        if suffixes and _ != os.path.expanduser(source):
            return suffixes.most_common(1)[0][0] in TABLES + SOUNDS
    return False


def open_source(source: str | Path, data_dir: str | Path | None) -> SeriesFiles:
    """Return the files of a folder, without reading one.

    A class is a folder, and its series are the ``.csv``, ``.tsv`` and ``.txt`` tables or the
    sounds in it and in folders below. Where all folders are named as splits and hold folders, they
    are the splits.

    Args:
      source: Path of the folder, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: A class folder has no series.
    """
    del data_dir
    root = Path(os.path.expanduser(source))
    folders = _folders(root)
    parts = {"": root}
    if all(each.name.lower() in NAMES and _folders(each) for each in folders):
        parts = {NAMES[each.name.lower()]: each for each in folders}
    order = [*dict.fromkeys(NAMES.values()), ""]
    return SeriesFiles(
        root, {split: tuple(_files(parts[split])) for split in order if split in parts}
    )


def _files(part: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a split with their classes, of the classes in turn."""
    for folder in _folders(part):
        paths = [path for path in sorted(folder.rglob("*")) if not path.name.startswith(".")]
        found = [path for path in paths if path.suffix.lower() in TABLES + SOUNDS]
        if not found:
            raise ValueError(
                f"the class folder {str(folder)!r} has no series in it: no file that ends in "
                f"{', '.join(TABLES + SOUNDS)}. Received: "
                f"{arguments.shown([path.name for path in paths[:5]])}"
            )
        yield from ((path, folder.name) for path in found)


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))

"""Archives: ``.npz`` files with images and labels, or ``.npy`` files beside each other."""

import os
from pathlib import Path

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.sources.arrays import from_mapping
from jaxcnn.data.sources.picture_folder import is_folder
from jaxcnn.data.splits import Divided

KIND = "archive"


def is_archive(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` ends in ``.npz`` or ``.npy``, or is a folder of ``.npy`` files.

    >>> is_archive("pets.NPZ", None), is_archive("images.npy", None), is_archive("pets", None)
    (True, True, False)

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string without such an ending is the name of a data set in this folder.
    """
    if Path(source).suffix.lower() in (".npz", ".npy"):
        return True
    if not is_folder(source, data_dir):
        return False
    folder = Path(os.path.expanduser(source))
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return bool(_arrays_in(folder)) and not any(path.is_dir() for path in visible)


def open_source(source: str | Path, data_dir: str | Path | None) -> Dataset | Divided:
    """Return the arrays in an archive, or those in a folder mapped from their files.

    Args:
      source: Path of the archive, of the folder, or of an array in it; it may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: There is no such file, it is damaged, or its arrays do not make a data set.
    """
    del data_dir
    path = Path(os.path.expanduser(source))
    if os.path.isdir(path) and path.suffix.lower() != ".npz":
        return _open_folder(path)
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {arguments.shown(str(path))}")
    if path.suffix.lower() == ".npy":
        return _open_folder(path.parent)
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            contents = {name: archive[name] for name in archive.files}
    except Exception as error:  # zip, deflate and npy have their own errors for a damaged file
        raise ValueError(f"{str(path)!r} is not a readable .npz archive: {error}") from error
    return from_mapping(contents, repr(str(path)))


def _open_folder(folder: Path) -> Dataset | Divided:
    contents = {}
    for path in _arrays_in(folder):
        try:
            contents[path.stem] = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:
            raise ValueError(f"{str(path)!r} is not a readable .npy file: {error}") from error
    return from_mapping(contents, f"the .npy files in {str(folder)!r}")


def _arrays_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".npy")

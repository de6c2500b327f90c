"""Archives: ``.npz`` files with ``images``, ``labels`` and, optionally, ``class_names``."""

import os
from pathlib import Path

import numpy as np

from jaxcnn.data.dataset import Dataset
from jaxcnn.data.sources.arrays import from_mapping

KIND = "archive"


def open_source(source: str | Path, data_dir: str | Path | None) -> Dataset:
    """Return the arrays in an archive.

    Args:
      source: Path of the archive, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: There is no such file, it is damaged, or its arrays do not make a data set.
    """
    del data_dir
    path = Path(os.path.expanduser(source))
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            contents = {name: archive[name] for name in archive.files}
    except Exception as error:  # zip, deflate and npy have their own errors for a damaged file
        raise ValueError(f"{str(path)!r} is not a readable .npz archive: {error}") from error
    return from_mapping(contents, repr(str(path)))

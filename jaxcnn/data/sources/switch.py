"""The switch that chooses the source of a name, a path or an object."""

import difflib
import os
from pathlib import Path
from typing import Any, Protocol

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.preparation.catalog import CATALOG
from jaxcnn.data.sources import (
    archive,
    arrays,
    box_folder,
    digits,
    mask_folder,
    picture_folder,
    prepared,
    record_shards,
    records,
    series_archive,
    series_folder,
    tar_shards,
)
from jaxcnn.data.sources.series_folder import SeriesFiles
from jaxcnn.data.splits import Divided

# Files that hold data in a form that is not read, and the way to it.
_OTHER_FILES = {
    ".mat": "MATLAB's format, which scipy.io.loadmat (from version 7.3 on h5py.File) reads",
    ".h5": "HDF5, which h5py.File reads",
    ".hdf5": "HDF5, which h5py.File reads",
    ".pkl": "a pickle, which runs code when it is read; if you trust it, pickle.load reads",
    ".csv": "a table, which pandas.read_csv reads (a folder of classes may hold a series per .csv)",
    ".parquet": "a table, which datasets.load_dataset('parquet', data_files=…) reads",
    ".tfrecord": "TensorFlow's format, which tensorflow_datasets reads",
    ".zip": "packed: unpack it and pass the folder",
    ".gz": "packed: unpack it and pass the folder",
}


class Source(Protocol):
    """A source: each module of this folder that :func:`find_source` returns.

    Attributes:
      KIND: The word for the source in :class:`jaxcnn.data.Description`.
    """

    KIND: str

    def open_source(
        self, source: Any, data_dir: str | Path | None
    ) -> Dataset | Divided | Undecoded | SeriesFiles:
        """Return the whole data set, without decoding a picture.

        Args:
          source: A source of this kind, as :func:`jaxcnn.data.load` takes it.
          data_dir: Folder of TensorFlow Datasets; ``None`` means its default.

        Raises:
          TypeError: `source` has the wrong type.
          ValueError: The source does not exist, or its contents do not make a data set.
        """


def find_source(source: Any, data_dir: str | Path | None = None) -> Source:
    """Return the module that opens `source`; the first case that matches counts.

    >>> find_source("digits").KIND, find_source("pets.NPZ").KIND, find_source([]).KIND
    ('digits', 'archive', 'records')

    Args:
      source: As :func:`jaxcnn.data.load` takes it.
      data_dir: Folder of TensorFlow Datasets. If given, a string is the name of a data set there
        rather than of a folder.

    Raises:
      ValueError: Nothing has this name; the message gives the nearest name that exists.
    """
    match source:
        case str("digits"):
            return digits
        case str() | Path() if record_shards.is_record_shards(source):
            return record_shards
        case str() | Path() if archive.is_archive(source, data_dir):
            return archive
        case str() | Path() if box_folder.is_box_folder(source, data_dir):
            return box_folder
        case str() | Path() if mask_folder.is_mask_folder(source, data_dir):
            return mask_folder
        case str() | Path() if series_archive.is_series(source, data_dir):
            return series_archive
        case str() | Path() if series_folder.is_folder_of_series(source, data_dir):
            return series_folder
        case str() | Path() if picture_folder.is_folder(source, data_dir):
            return picture_folder
        case str() if prepared.is_known(source, data_dir):
            return prepared
        case str() | Path() if tar_shards.is_shards(source):
            return tar_shards
        case str() | Path() if os.path.isfile(os.path.expanduser(source)):
            raise _other_file(source)
        case str() | Path():
            raise _unknown_name(source)
        case _ if arrays.is_arrays(source):
            return arrays
        case _:
            return records


def _other_file(path: str | Path) -> ValueError:
    form = _OTHER_FILES.get(Path(path).suffix.lower(), "of another form")
    way = "" if "unpack" in form else ": pass (images, labels), or save them by np.savez"
    return ValueError(
        "a file must be an .npz archive, .npy arrays, or series of .ts, .arff or .tsv. "
        f"Received: {arguments.shown(str(path))}, which is {form}{way}"
    )


def _unknown_name(name: str | Path) -> ValueError:
    import tensorflow_datasets as tfds

    near = ["digits", *CATALOG, *_neighbors(Path(os.path.expanduser(name)))]
    close = difflib.get_close_matches(str(name), near) or difflib.get_close_matches(
        str(name), tfds.list_builders(with_community_datasets=False)
    )
    # Without a similar one, the names of the files there would help nobody.
    hint = arguments.nearest(str(name), close or ["digits", *CATALOG])
    path = Path(os.path.expanduser(name))
    if not close and len(path.parts) > 1 and not path.is_absolute():
        hint = f"The current folder is {os.getcwd()!r}. {hint}"
    return ValueError(
        f"there is no folder, .npz archive or data set {arguments.shown(str(name))}. {hint}"
    )


def _neighbors(path: Path) -> list[str]:
    """Return the folders and archives beside a path that does not exist."""
    try:
        entries = [entry for entry in path.parent.iterdir() if not entry.name.startswith(".")]
        return [str(e) for e in sorted(entries) if e.suffix.lower() == ".npz" or e.is_dir()]
    except OSError:
        return []

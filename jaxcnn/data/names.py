"""What a name or a path stands for."""

import difflib
import os
import re
from pathlib import Path
from typing import Literal, TypeAlias

from jaxcnn import arguments
from jaxcnn.data.preparation.builders import stock_builder
from jaxcnn.data.preparation.catalog import CATALOG

Kind: TypeAlias = Literal["digits", "archive", "folder", "tfds"]

# NAME, NAME/CONFIG, NAME:VERSION: what else TensorFlow Datasets reads is looked for on the network.
_TFDS_NAME = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?", re.ASCII)


def kind_of_name(name: str | Path, data_dir: str | Path | None = None) -> Kind:
    """Returns what a name or a path stands for.

    ``"digits"`` is the set that comes with the package, and ``"./digits"`` a folder; a path that
    ends in ``.npz`` is an archive, whether it is there or not. Otherwise a folder of this name
    counts, and then a data set of TensorFlow Datasets, prepared or not.

    >>> kind_of_name("digits"), kind_of_name("pets.NPZ")
    ('digits', 'archive')

    Args:
      name: A name, or a path that may start with ``~``.
      data_dir: Says that a name is not a folder's but a data set's.

    Raises:
      ValueError: nothing has this name; the message has the nearest that there is.
    """
    if name == "digits":
        return "digits"
    path = expanded(name)
    if path.suffix.lower() == ".npz":
        return "archive"
    if name and path.is_dir() and (data_dir is None or isinstance(name, Path)):
        return "folder"
    if isinstance(name, str) and _knows(name, data_dir):
        return "tfds"
    import tensorflow_datasets as tfds

    near = ["digits", *CATALOG, *_neighbors(path)]
    close = difflib.get_close_matches(str(name), near) or difflib.get_close_matches(
        str(name), tfds.list_builders(with_community_datasets=False)
    )
    hint = arguments.nearest(str(name), close or near)
    raise ValueError(f"there is no folder, .npz archive or data set {str(name)!r}. {hint}")


def expanded(name: str | Path) -> Path:
    """Returns a path in which ``~`` is the user's own folder."""
    return Path(os.path.expanduser(name))


def _knows(name: str, data_dir: str | Path | None) -> bool:
    """Whether TensorFlow Datasets knows a set of this name, configuration and version."""
    if not _TFDS_NAME.fullmatch(name):
        return False
    try:
        stock_builder(name, data_dir)
    except (ValueError, AssertionError):  # no such set or configuration; no such version
        return False
    return True


def _neighbors(path: Path) -> list[str]:
    """Returns the folders and archives that stand where a path that is not there would."""
    try:
        entries = [entry for entry in path.parent.iterdir() if not entry.name.startswith(".")]
        return [str(e) for e in sorted(entries) if e.suffix.lower() == ".npz" or e.is_dir()]
    except OSError:
        return []

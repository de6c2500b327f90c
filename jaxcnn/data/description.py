"""What is known of a named data set before any picture is decoded."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxcnn import shapes
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.names import Kind, kind_of_name
from jaxcnn.data.opening import open_source
from jaxcnn.data.splits import members

# What splits for testing are called, the first choice first.
_HELD_OUT = ("test", "val", "valid", "validation")


class Description(NamedTuple):
    """What :func:`describe` tells of a data set.

    Attributes:
      kind: ``"digits"``, ``"archive"``, ``"folder"`` or ``"tfds"``.
      splits: How many images each split has.
      class_names: One per class; none where only the labels tell.
      image_shape: ``(H, W, C)`` of every image; ``None`` where pictures may have several sizes,
        so that ``load`` needs an ``image_size``.
      label_shape: Of the label of one image; ``()`` for a class.
    """

    kind: Kind
    splits: Mapping[str, int]
    class_names: tuple[str, ...]
    image_shape: shapes.Shape | None
    label_shape: shapes.Shape = ()

    @property
    def train(self) -> str:
        """The split to train on: ``"train"``, or four fifths of it if nothing is for testing."""
        return "train" if self.test in self.splits else "train[:80%]"

    @property
    def test(self) -> str:
        """The split to test on: the first with images of test, val, valid and validation.

        Where there is none, it is the last fifth of ``"train"``, which is in an order in which
        classes are mixed.
        """
        present = [name for name in _HELD_OUT if self.splits.get(name)]
        return present[0] if present else "train[80%:]"


def describe(name: str | Path, *, data_dir: str | Path | None = None) -> Description:
    """Returns what is known of a data set by its name or path, without decoding pictures.

    >>> digits = describe("digits")
    >>> digits.splits, digits.test, len(digits.class_names), digits.image_shape
    ({'train': 1442, 'test': 355}, 'test', 10, (8, 8, 1))

    Args:
      name: A name or a path, as for :func:`jaxcnn.data.load`.
      data_dir: Where TensorFlow Datasets keeps its data; ``None`` means its own default.

    Raises:
      ValueError: as :func:`jaxcnn.data.load`.
    """
    kind, found = kind_of_name(name, data_dir), open_source(name, data_dir)
    if isinstance(found, Dataset):
        sizes = {split: len(rows) for split, rows in members(found).items()}
        shape = found.labels.shape[1:]
        return Description(kind, sizes, found.class_names, found.image_shape, shape)
    return Description(kind, found.sizes, found.class_names, found.image_shape)

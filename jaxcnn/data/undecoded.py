"""Sets whose pictures have still to be decoded: records in splits."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxcnn import shapes
from jaxcnn.data.decoding import Source


class Undecoded(NamedTuple):
    """A set of records with pictures in them, none of which has been opened.

    Attributes:
      name: What errors call it.
      sizes: How many records each split has.
      open: Returns the records of a split.
      class_names: One per class, where they are known without looking at labels.
      channels: 1 or 3, where all pictures are known to have so many.
      image_shape: ``(H, W, C)`` of every image, where that is known.
      folder: Beside which folder to keep what is decoded; ``None`` where there is none.
      content: Changes with the records, where that is known.
      whole: Whether all splits are decoded together, whichever is asked for.
    """

    name: str
    sizes: Mapping[str, int]
    open: Callable[[str], Source]
    class_names: tuple[str, ...] = ()
    channels: int | None = None
    image_shape: shapes.Shape | None = None
    folder: Path | None = None
    content: str | None = None
    whole: bool = False

"""Pictures and their boxes as records: what the readers of COCO, YOLO and Pascal VOC return."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.data.decoding.picture_boxes import PictureBoxes
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.splits import NAMES, every_fifth

PICTURES = ("bmp", "gif", "jpe", "jpeg", "jpg", "png", "ppm", "tif", "tiff", "webp")


@dataclass(frozen=True)
class Annotated:
    """A picture file and its boxes.

    Attributes:
      path: The file.
      corners: Corners of each box.
      labels: The class number of each box.
      crowd: Whether each box is a crowd.
      places: The place of each box in its annotation, for errors.
    """

    path: Path
    corners: Sequence[Sequence[float]]
    labels: Sequence[int]
    crowd: Sequence[bool]
    places: tuple[str, ...]


@dataclass(frozen=True)
class BoxRecords:
    """Annotated pictures as records.

    Attributes:
      pictures: The pictures.
      most: The largest number of boxes of a picture of the whole set.
      shares: Whether corners are shares of width and height.
      hint: The rule of the format, for errors.
    """

    pictures: Sequence[Annotated]
    most: int
    shares: bool
    hint: str

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.pictures)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the path and the boxes of a picture."""
        picture = self.pictures[row]
        boxes = PictureBoxes(
            np.array(picture.corners, np.float64).reshape(-1, 4),
            np.array(picture.labels, np.int32),
            np.array(picture.crowd, bool),
            self.most,
            self.shares,
            picture.places,
            self.hint,
        )
        return {"image": str(picture.path), "label": boxes}


def undecoded(
    root: Path,
    splits: Mapping[str, Sequence[Annotated]],
    class_names: Sequence[str],
    *,
    shares: bool = False,
    hint: str = "",
) -> Undecoded:
    """Return annotated pictures as a data set, without opening one.

    Args:
      root: The folder of the set.
      splits: The pictures of each split; of one split named ``""``, every fifth is in ``"test"``.
      class_names: One per class.
      shares: Whether corners are shares of width and height.
      hint: The rule of the format, for errors.

    Raises:
      ValueError: there is no picture, or no class.
    """
    if not any(splits.values()):
        raise ValueError(f"{str(root)!r} must hold a picture with boxes. Received: none")
    if not class_names:
        raise ValueError(f"{str(root)!r} must have at least one class. Received: none")
    if splits.keys() == {""}:
        pictures = splits[""]
        held_out = every_fifth(np.zeros(len(pictures), np.int32))
        splits = {
            name: [pictures[row] for row in np.flatnonzero(rows).tolist()]
            for name, rows in (("train", ~held_out), ("test", held_out))
        }
    order = [name for name in dict.fromkeys(NAMES.values()) if splits.get(name)]
    order += [name for name in splits if name not in order and splits[name]]
    every = [picture for name in order for picture in splits[name]]
    most = max(max(len(picture.labels) for picture in every), 1)
    return Undecoded(
        str(root),
        {name: len(splits[name]) for name in order},
        lambda name: BoxRecords(splits[name], most, shares, hint),
        tuple(class_names),
        folder=root,
        content=_digest(every, class_names),
        whole=True,
        task="detect",
    )


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folders in `root` that are named as splits, by the name of the split."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    return {NAMES[each.name.lower()]: each for each in folders if each.name.lower() in NAMES}


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files in a folder, by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower()[1:] in PICTURES and not path.name.startswith(".")
    )


def _digest(pictures: Sequence[Annotated], class_names: Sequence[str]) -> str:
    """Return a hash of the annotations, and of name, size and times of the picture files."""
    digest = hashlib.sha256(repr(tuple(class_names)).encode())
    for picture in pictures:
        try:
            status = os.stat(picture.path)
            known = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError:  # an error when it is read
            known = ""
        boxes = picture.corners, picture.labels, picture.crowd
        text = f"{picture.path}\0{known}\0{boxes}\n"
        digest.update(text.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]

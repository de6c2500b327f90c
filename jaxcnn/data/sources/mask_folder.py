"""Folders of pictures and masks: a class at each pixel, as for segmentation."""

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from jaxcnn import arguments
from jaxcnn.augment.positions import VOID
from jaxcnn.data.decoding.picture_masks import PictureMask, read_mask
from jaxcnn.data.decoding.pictures import UnreadablePicture
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.sources.box_records import pictures_in, split_folders
from jaxcnn.data.sources.picture_folder import is_folder
from jaxcnn.data.splits import NAMES, every_fifth

KIND = "masks"

# The files of a picture and of its mask.
Pair: TypeAlias = tuple[Path, Path]
# The names of folders in lower case.
_PICTURES = ("images", "image", "imgs", "img", "jpegimages")
_MASKS = ("masks", "mask", "labels", "annotations", "segmentationclass")
# What the stem of a mask may have more than that of its picture.
_ENDINGS = ("_mask", "_masks", "_label", "_labels", "_seg", "_gt")
_LISTS = "ImageSets/Segmentation"
_CLASSES = "classes.txt"
_LINE = re.compile(r"(.*?)(?:\s+#([0-9a-fA-F]{6}))?")
_VOID_NAMES = ("void", "ignore", "unlabeled")


@dataclass(frozen=True)
class MaskRecords:
    """Pictures and masks as records.

    Attributes:
      pairs: The files.
      classes: Number of classes; 0 where they are not known.
      colors: The class of each color.
      binary: Whether 255 is class 1.
    """

    pairs: Sequence[Pair]
    classes: int
    colors: Mapping[tuple[int, int, int], int]
    binary: bool

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.pairs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the path of a picture, and its mask."""
        picture, mask = self.pairs[row]
        return {
            "image": str(picture),
            "label": PictureMask(mask, self.classes, self.colors, self.binary),
        }


def is_mask_folder(source: str | Path, data_dir: str | Path | None) -> bool:
    """Return whether `source` is an existing folder of pictures and masks.

    Args:
      source: A path, which may start with ``~``.
      data_dir: If given, a string is the name of a data set in this folder.
    """
    return is_folder(source, data_dir) and bool(_folders(Path(os.path.expanduser(source)))[1])


def open_source(source: str | Path, data_dir: str | Path | None) -> Undecoded:
    """Return the pictures and masks in a folder, without opening a picture.

    Pictures are in a folder ``images`` (or ``JPEGImages``), masks in ``masks`` (or ``labels``,
    ``annotations``, ``SegmentationClass``) beside it; a mask has its picture's name but for the
    suffix, and perhaps ``_mask`` or the like at the end. Both folders may be in ``train``, ``test``
    and ``val``, or hold such folders; or the lists ``ImageSets/Segmentation/train.txt`` and so on
    name the pictures of a split, as in Pascal VOC. Otherwise every fifth picture is in ``test``.
    The path of the masks' folder itself is understood too, for a set that has boxes as well.

    A mask has the number of the class at each pixel, as gray or as the index of a palette, and 255
    for void. Where every mask of the set is gray and has the values 0 and 255 alone, 255 is class
    1. ``classes.txt`` has one class name a line, and after it perhaps the class's color, such as
    ``road #804080``, for masks of colors; a line of ``void`` is no class. Without that file the
    classes are 0 to the largest number.

    Args:
      source: Path of the folder, which may start with ``~``.
      data_dir: Not used.

    Raises:
      ValueError: a picture has no mask or a mask no picture, two have the same name, or
        ``classes.txt`` has an error.
    """
    del data_dir
    root = Path(os.path.expanduser(source))
    place, folders = _folders(root)
    splits = {name: _pairs(*both) for name, both in folders.items()}
    if splits.keys() == {""}:
        splits = _divided(place, splits[""], folders[""])
    order = [name for name in dict.fromkeys(NAMES.values()) if splits.get(name)]
    every = [pair for name in order for pair in splits[name]]
    names, colors = _read_classes(place / _CLASSES)
    content = _digest(every, [*names, *map(str, colors.items())])
    binary = not colors and _are_binary(tuple(mask for _, mask in every), content)
    return Undecoded(
        str(root),
        {name: len(splits[name]) for name in order},
        lambda name: MaskRecords(splits[name], len(names), colors, binary),
        names,
        folder=root,
        content=content,
        whole=True,
        task="segment",
    )


def _folders(root: Path) -> tuple[Path, dict[str, tuple[Path, Path]]]:
    """Return the folder of the set, and the folders of pictures and masks of each split.

    A set without splits is that of ``""``. Other folders give none.
    """
    if root.name.lower() in _MASKS and pictures_in(root):
        pictures = _named(root.parent, _PICTURES)
        return root.parent, {"": (pictures, root)} if pictures else {}
    pictures, masks = _named(root, _PICTURES), _named(root, _MASKS)
    if pictures and masks:
        if pictures_in(masks):
            return root, {"": (pictures, masks)}
        inner, other = split_folders(pictures), split_folders(masks)
        both = {name: (inner[name], other[name]) for name in inner if name in other}
        return root, both if any(pictures_in(each) for _, each in both.values()) else {}
    found = {}
    for name, folder in split_folders(root).items():
        pictures, masks = _named(folder, _PICTURES), _named(folder, _MASKS)
        if pictures and masks and pictures_in(masks):
            found[name] = (pictures, masks)
    return root, found


def _named(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first folder in `folder` that has one of the names."""
    if not folder.is_dir():
        return None
    entries = {each.name.lower(): each for each in sorted(folder.iterdir()) if each.is_dir()}
    return next((entries[name] for name in names if name in entries), None)


def _pairs(pictures: Path, masks: Path) -> list[Pair]:
    """Return the pictures and masks of the same name, by name."""
    by_stem = _by_stem(pictures)
    found: dict[str, Path] = {}
    for stem, path in _by_stem(masks).items():
        short = next((stem.removesuffix(end) for end in _ENDINGS if stem.endswith(end)), stem)
        name = stem if stem in by_stem else short
        if name not in by_stem:
            raise ValueError(
                f"each mask must have a picture of its name in {str(pictures)!r}. "
                f"Received: {str(path)!r} without one"
            )
        found[name] = path
    missing = [path.name for stem, path in by_stem.items() if stem not in found]
    # Pascal VOC has masks of a part of its pictures.
    if missing and pictures.name.lower() != "jpegimages":
        raise ValueError(
            f"each picture must have a mask of its name in {str(masks)!r}. Received: "
            f"{len(missing)} of {len(by_stem)} without one, the first {missing[0]!r}"
        )
    return [(by_stem[stem], found[stem]) for stem in sorted(found)]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in pictures_in(folder):
        if path.stem in found:
            raise ValueError(
                f"two files in {str(folder)!r} have the name {path.stem!r}: "
                f"{found[path.stem].name!r} and {path.name!r}"
            )
        found[path.stem] = path
    return found


def _divided(
    place: Path, pairs: Sequence[Pair], folders: tuple[Path, Path]
) -> dict[str, list[Pair]]:
    """Return the pairs by the lists of Pascal VOC, or every fifth as ``"test"``."""
    by_stem = {picture.stem: (picture, mask) for picture, mask in pairs}
    splits: dict[str, list[Pair]] = {}
    for name, split in NAMES.items():
        path = place / _LISTS / f"{name}.txt"
        if split in splits or not path.is_file():
            continue
        stems = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
        missing = [stem for stem in stems if stem not in by_stem]
        if missing and len(missing) < len(stems):
            raise ValueError(
                f"each picture of {str(path)!r} must have a mask in {str(folders[1])!r}. "
                f"Received: {arguments.shown(missing[0])} without one"
            )
        if not missing and stems:  # the masks of VOC's test set are not published
            splits[split] = [by_stem[stem] for stem in stems]
    if splits:
        return splits
    held_out = every_fifth(np.zeros(len(pairs), np.int32))
    return {
        name: [pairs[row] for row in np.flatnonzero(rows).tolist()]
        for name, rows in (("train", ~held_out), ("test", held_out))
    }


def _read_classes(path: Path) -> tuple[tuple[str, ...], dict[tuple[int, int, int], int]]:
    """Return the class names in a file, and the class of each color; nothing without the file.

    Raises:
      ValueError: some lines have a color and others not, or a name or a color stands twice.
    """
    if not path.is_file():
        return (), {}
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    names: list[str] = []
    colors: dict[tuple[int, int, int], int] = {}
    counted = 0
    for line in filter(None, lines):
        matched = _LINE.fullmatch(line)
        assert matched is not None  # the first group takes what is no color
        name, color = matched.groups()
        is_void = name.lower() in _VOID_NAMES
        number = VOID if is_void else len(names)
        if name in names:
            raise ValueError(
                f"each class of {str(path)!r} must have its own name. Received: {name!r} twice"
            )
        if not is_void:
            names.append(name)
        if color:
            counted += 1
            code = int(color[:2], 16), int(color[2:4], 16), int(color[4:], 16)
            if code in colors:
                raise ValueError(
                    f"each color of {str(path)!r} must be of one class. Received: #{color} twice"
                )
            colors[code] = number
    if counted not in (0, len([*filter(None, lines)])):
        raise ValueError(
            f"either every line of {str(path)!r} must end in a color, such as #804080, or none. "
            f"Received: {counted} of {len([*filter(None, lines)])} lines with a color"
        )
    return tuple(names), colors


@functools.lru_cache(maxsize=16)  # a set is opened several times, to describe and to load it
def _are_binary(masks: tuple[Path, ...], content: str) -> bool:
    """Return whether all masks are gray and have the values 0 and 255 alone."""
    del content  # changes with the files
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found: set[int] = set()
        rest = iter(masks)
        while part := list(islice(rest, 32)):
            for values in pool.map(_values, part):
                if not values <= {0, VOID}:
                    return False
                found |= values
    return VOID in found


def _values(path: Path) -> set[int]:
    """Return the values of a gray mask; of another one none that is binary."""
    try:
        kind, values = read_mask(path)
    except UnreadablePicture:  # an error, or left out, when the set is decoded
        return set()
    return set(np.unique(values).tolist()) if kind == "gray" else {1}


def _digest(pairs: Sequence[Pair], words: Sequence[str]) -> str:
    """Return a hash of name, size and times of all files, and of the classes."""
    digest = hashlib.sha256(repr(words).encode())
    for path in (path for pair in pairs for path in pair):
        try:
            status = path.stat()
            known = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError:  # an error when it is read
            known = ""
        digest.update(f"{path}\0{known}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]

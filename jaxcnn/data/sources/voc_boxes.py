"""Boxes in the XML files of Pascal VOC: one file per picture."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from jaxcnn import arguments
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.labels import sort_class_names
from jaxcnn.data.sources.box_records import (
    PICTURES,
    Annotated,
    split_folders,
    undecoded,
)
from jaxcnn.data.splits import NAMES

_ANNOTATIONS, _LISTS = "Annotations", "ImageSets/Main"
# The name of an object, its corners, and whether it is difficult.
_Object: TypeAlias = tuple[str, tuple[float, float, float, float], bool]
_HINT = ", as Pascal VOC counts pixels from 1 and its xmax and ymax are within the box"


def find_files(root: Path) -> dict[str, list[Path]]:
    """Return the XML files of each split; ``""`` is a set without splits.

    They are ``Annotations/*.xml``, divided by ``ImageSets/Main/train.txt``, ``val.txt`` and
    ``test.txt`` where these exist; or XML files in folders named as splits, in ``Annotations``
    there or beside the pictures.

    Args:
      root: The folder of the set.

    Raises:
      ValueError: a list names a picture without annotation.
    """
    files = _inside(root)
    if files:
        return _listed(root, files) or {"": files}
    inner = {split: _inside(folder) for split, folder in split_folders(root).items()}
    return {split: files for split, files in inner.items() if files}


def read(root: Path, files: Mapping[str, Sequence[Path]]) -> Undecoded:
    """Return the set of these XML files.

    Corners are 1-based, inclusive pixels, and become x1 − 1, y1 − 1, x2, y2. An object that is
    ``difficult`` becomes a crowd: as in VOC's evaluation, it is neither to be found nor missed.
    Classes are the names in the files, sorted.

    Args:
      root: The folder of the set.
      files: As :func:`find_files` returns them.

    Raises:
      ValueError: a file is not Pascal VOC's, or its picture is missing.
    """
    parsed = {split: [_parse(path) for path in paths] for split, paths in files.items()}
    names = sort_class_names(
        {each[0] for found in parsed.values() for _, objects in found for each in objects}
    )
    numbers = {name: number for number, name in enumerate(names)}
    splits = {}
    for split, found in parsed.items():
        splits[split] = [
            Annotated(
                picture,
                [corners for _, corners, _ in objects],
                [numbers[name] for name, _, _ in objects],
                [difficult for _, _, difficult in objects],
                tuple(f"{name!r} in {path.name}" for name, _, _ in objects),
            )
            for path, (picture, objects) in zip(files[split], found, strict=True)
        ]
    return undecoded(root, splits, names, hint=_HINT)


def _inside(folder: Path) -> list[Path]:
    for place in (folder / _ANNOTATIONS, folder / _ANNOTATIONS.lower(), folder):
        if place.is_dir() and (files := sorted(place.glob("*.xml"))):
            return files
    return []


def _listed(root: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    by_name = {path.stem: path for path in files}
    splits = {}
    for name in (*NAMES, "trainval"):
        path = root / _LISTS / f"{name}.txt"
        split = NAMES.get(name, "train")
        if split in splits or not path.is_file():
            continue
        stems = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
        missing = [stem for stem in stems if stem not in by_name]
        if missing:
            raise ValueError(
                f"each picture of {str(path)!r} must have an annotation. "
                f"Received: {arguments.shown(missing[0])} without an XML file"
            )
        splits[split] = [by_name[stem] for stem in stems]
    return splits


def _parse(path: Path) -> tuple[Path, list[_Object]]:
    """Return the picture of an XML file, and name, corners and difficulty of its objects."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        # Entities can grow without bound, and can name files of this machine.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it has a document type or an entity, which are not read")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not an XML file that can be read: {error}") from error
    if root.tag != "annotation":
        raise ValueError(
            f"{str(path)!r} must be an annotation of Pascal VOC. Received: <{root.tag}>"
        )
    objects: list[_Object] = []
    for each in root.iter("object"):
        name, box = (each.findtext("name") or "").strip(), each.find("bndbox")
        if not name or box is None:
            raise ValueError(
                f"each object must have a name and a bndbox. Received: {name!r} in {str(path)!r}"
            )
        texts = [box.findtext(side) for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(text or "") for text in texts)
        except ValueError:
            raise ValueError(
                "xmin, ymin, xmax and ymax must be numbers. "
                f"Received: {arguments.shown(texts)} of {name!r} in {str(path)!r}"
            ) from None
        difficult = (each.findtext("difficult") or "0").strip() not in ("0", "")
        objects.append((name, (x1 - 1, y1 - 1, x2, y2), difficult))
    return _picture(path, (root.findtext("filename") or "").strip()), objects


def _picture(path: Path, name: str) -> Path:
    """Return the picture of an XML file: of its own name, or the one that it states."""
    folders = [path.parent.parent / each for each in ("JPEGImages", "images")] + [path.parent]
    if path.parent.name.lower() == _ANNOTATIONS.lower():
        folders.append(path.parent.parent)
    stated = Path(name.replace("\\", "/")).name  # its folder is of another machine
    for folder in folders:
        for candidate in [stated, *(f"{path.stem}.{suffix}" for suffix in PICTURES)]:
            if candidate and (folder / candidate).is_file():
                return folder / candidate
    raise ValueError(
        f"each annotation must have a picture. Received: {str(path)!r}, an annotation without a "
        f"picture {stated!r} in {arguments.shown([folder.name for folder in folders])}"
    )

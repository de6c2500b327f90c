"""Boxes in COCO's JSON: a file of images, annotations and categories for each split."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jaxcnn import arguments
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.sources.box_records import Annotated, split_folders, undecoded
from jaxcnn.data.splits import NAMES

_NAMES = ("_annotations.coco.json", "annotations.json", "instances.json")
# A file of COCO has one of these words near its beginning.
_KEYS, _BEGINNING = (b'"images"', b'"annotations"', b'"categories"'), 1 << 16
_HINT = ", as COCO's bbox is x, y, width, height in pixels"


def find_files(root: Path) -> dict[str, Path]:
    """Return the annotation file of each split; ``""`` is a set without splits.

    They are ``annotations/*.json`` with the name of a split in them (``instances_train2017.json``),
    or ``_annotations.coco.json``, ``annotations.json`` or ``instances.json`` in the folder or in
    folders named as splits.

    Args:
      root: The folder of the set.

    Raises:
      ValueError: a split has several annotation files.
    """
    for folder in (root / "annotations", root):
        if not folder.is_dir():
            continue
        inside = sorted(folder.glob("*.json")) if folder != root else []
        # COCO's own folder holds captions, keypoints and lists of images too.
        inside = [path for path in inside if path.stem.startswith("instances")] or inside
        found: dict[str, Path] = {}
        for path in inside:
            split = _split(path)
            if split is None or not _is_coco(path):
                continue
            if split in found:
                raise ValueError(
                    f"a split must have one annotation file. Received: {found[split].name} and "
                    f"{path.name} of {split!r} in {str(folder)!r}"
                )
            found[split] = path
        if found:
            return found
        for path in [*(folder / name for name in _NAMES), *inside]:
            if _is_coco(path):
                return {"": path}
    found = {}
    for split, folder in split_folders(root).items():
        for path in reversed([folder / name for name in _NAMES]):
            if _is_coco(path):
                found[split] = path
    return found


def read(root: Path, files: Mapping[str, Path]) -> Undecoded:
    """Return the set of these annotation files.

    Every image that a file lists is in the set; one without an annotation has no object. Classes
    are the categories in the order of their ids, which may be any numbers.

    Args:
      root: The folder of the set.
      files: As :func:`find_files` returns them.

    Raises:
      ValueError: a file is not COCO's, an annotation has an unknown image or category, or two
        files have different categories.
    """
    splits: dict[str, list[Annotated]] = {}
    names: tuple[str, ...] = ()
    for split, path in files.items():
        splits[split], found = _read_file(root, path)
        if names and found != names:
            raise ValueError(
                f"the annotation files of {str(root)!r} must have the same categories. Received: "
                f"{arguments.shown([*found])} in {path.name}, {arguments.shown([*names])} before"
            )
        names = found
    return undecoded(root, splits, names, hint=_HINT)


def _read_file(root: Path, path: Path) -> tuple[list[Annotated], tuple[str, ...]]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not JSON: {error}") from error
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        received = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{str(path)!r} must have the lists images, annotations and categories, as COCO's "
            f"files have. Received: {arguments.shown(received)}"
        )
    categories = sorted(content["categories"], key=lambda each: int(_get(each, "id", path)))
    ids = [each["id"] for each in categories]
    names = tuple(str(_get(each, "name", path)) for each in categories)
    if len({*ids}) < len(ids) or len({*names}) < len(names):
        raise ValueError(
            f"the categories of {str(path)!r} must have different ids and names. "
            f"Received: {arguments.shown(dict(zip(ids, names, strict=True)))}"
        )
    numbers = {number: place for place, number in enumerate(ids)}
    boxes: dict[Any, list[Any]] = {_get(each, "id", path): [] for each in content["images"]}
    for each in content["annotations"]:
        place = f"annotation {arguments.shown(each.get('id'))} in {path.name}"
        image, category = _get(each, "image_id", path), _get(each, "category_id", path)
        if image not in boxes:
            raise ValueError(
                f"image_id must be among the images of the file. Received: image_id="
                f"{arguments.shown(image)} in {place}: an annotation without a picture"
            )
        if category not in numbers:
            raise ValueError(
                f"category_id must be among {arguments.shown(ids)}. "
                f"Received: category_id={arguments.shown(category)} in {place}: an unknown class"
            )
        x, y, width, height = _four(_get(each, "bbox", path), place)
        crowd = bool(each.get("iscrowd", 0))
        boxes[image].append(((x, y, x + width, y + height), numbers[category], crowd, place))
    folder = _pictures(root, path, content["images"])
    pictures = []
    for each in content["images"]:
        found = boxes[each["id"]]
        columns = [[row[column] for row in found] for column in range(4)]
        file = folder / _inner(_get(each, "file_name", path), path)
        corners, labels, crowds, places = columns
        pictures.append(Annotated(file, corners, labels, crowds, tuple(places)))
    return pictures, names


def _pictures(root: Path, path: Path, images: list[Any]) -> Path:
    """Return the folder that has the first picture; the annotations' own one if none has."""
    stem = path.stem
    near = [path.parent, root]
    near += [base / name for base in near for name in ("images", stem.rpartition("_")[2], stem)]
    split = _split(path)
    near += [base / name for base in (root, root / "images") for name in NAMES
             if NAMES[name] == split]  # fmt: skip
    near.append(root / "images" / stem.rpartition("_")[2])
    for folder in near:
        for each in images[:3]:
            if (folder / _inner(_get(each, "file_name", path), path)).is_file():
                return folder
    return near[0]


def _inner(name: Any, path: Path) -> str:
    """Return the name of a picture file, which must not lead out of the folder."""
    parts = PurePosixPath(str(name).replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ValueError(
            f"file_name must be a path within the folder of the pictures. "
            f"Received: {arguments.shown(name)} in {path.name}"
        )
    return str(parts)


def _four(bbox: Any, place: str) -> tuple[float, ...]:
    numbers = isinstance(bbox, list) and all(type(value) in (int, float) for value in bbox)
    if not numbers or len(bbox) != 4:
        raise ValueError(
            f"bbox must be x, y, width, height. Received: {arguments.shown(bbox)} in {place}"
        )
    return tuple(map(float, bbox))


def _get(record: Any, key: str, path: Path) -> Any:
    if not isinstance(record, dict) or key not in record:
        raise ValueError(
            f"each record of {str(path)!r} must have {key!r}. Received: {arguments.shown(record)}"
        )
    return record[key]


def _split(path: Path) -> str | None:
    """Return the split in the name of a file, such as ``instances_train2017.json``."""
    words = path.stem.lower().replace("-", "_").split("_")
    found = [NAMES[word] for each in words if (word := each.rstrip("0123456789")) in NAMES]
    return found[-1] if found else None


def _is_coco(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return any(key in beginning for key in _KEYS)

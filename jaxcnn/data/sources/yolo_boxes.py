"""Boxes in the text files of YOLO: one file per picture, a class and four shares per line."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.data.decoding.undecoded import Undecoded
from jaxcnn.data.sources.box_records import Annotated, pictures_in, split_folders, undecoded

_HINT = ", as YOLO's lines are class, center x, center y, width, height in shares of the picture"
_NAME_FILES = ("classes.txt", "labels/classes.txt", "obj.names")


def find_files(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of pictures and of labels of each split; ``""`` is a set without splits.

    They are ``images`` and ``labels``, which may hold a folder for each split; or both in each
    folder that is named as a split.

    Args:
      root: The folder of the set.
    """
    images, labels = root / "images", root / "labels"
    if _has_labels(images, labels):
        return {"": (images, labels)}
    inner = split_folders(images) if images.is_dir() else {}
    found = {split: (each, labels / each.name) for split, each in inner.items()}
    if any(_has_labels(*pair) for pair in found.values()):
        return found
    outer = {
        split: (each / "images", each / "labels") for split, each in split_folders(root).items()
    }
    return outer if any(_has_labels(*pair) for pair in outer.values()) else {}


def read(root: Path, folders: Mapping[str, tuple[Path, Path]]) -> Undecoded:
    """Return the set of these folders.

    A picture without a text file, or with an empty one, has no object. The names of the classes
    are those of ``data.yaml`` (``names``, a list or a mapping) or of ``classes.txt``; without
    either, they are numbers.

    Args:
      root: The folder of the set.
      folders: As :func:`find_files` returns them.

    Raises:
      ValueError: a line is not YOLO's, a class has no name, or a text file has no picture.
    """
    names = _class_names(root)
    splits = {split: _read_folder(*pair, names) for split, pair in folders.items()}
    if not names:
        highest = max(
            (label for part in splits.values() for each in part for label in each.labels),
            default=-1,
        )
        names = tuple(map(str, range(highest + 1)))
    return undecoded(root, splits, names, shares=True, hint=_HINT)


def _has_labels(images: Path, labels: Path) -> bool:
    return bool(pictures_in(images)) and labels.is_dir() and any(labels.glob("*.txt"))


def _read_folder(images: Path, labels: Path, names: tuple[str, ...]) -> list[Annotated]:
    pictures = pictures_in(images)
    stems = {picture.stem for picture in pictures}
    for path in sorted(labels.glob("*.txt")):
        if path.stem not in stems and path.name not in ("classes.txt", "train.txt", "val.txt"):
            raise ValueError(
                f"each annotation must have a picture. Received: {str(path)!r}, an annotation "
                f"without a picture in {str(images)!r}"
            )
    return [_read_file(picture, labels / f"{picture.stem}.txt", names) for picture in pictures]


def _read_file(picture: Path, path: Path, names: tuple[str, ...]) -> Annotated:
    corners, labels, places = [], [], []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"line {number} of {str(path)!r}"
        label, (x, y, width, height) = _parse(line, place)
        if names and label >= len(names):
            raise ValueError(
                f"classes must be in 0…{len(names) - 1}, because there are {len(names)} names. "
                f"Received: {label} in {place}: an unknown class"
            )
        corners.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        labels.append(label)
        places.append(place)
    return Annotated(picture, corners, labels, [False] * len(labels), tuple(places))


def _parse(line: str, place: str) -> tuple[int, list[float]]:
    words = line.split()
    try:
        label, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        label, values = -1, []
    if label < 0 or len(values) != 4:
        polygon = ": a polygon, not a box" if len(values) > 4 and len(values) % 2 == 0 else ""
        raise ValueError(
            "each line must be a class number, then center x, center y, width and height. "
            f"Received: {arguments.shown(line)} in {place}{polygon}"
        )
    if not all(0 <= value <= 1 for value in values):
        pixels = " They look like pixels." if max(values) > 2 else ""
        raise ValueError(
            "center x, center y, width and height must be shares of the picture, in [0, 1]. "
            f"Received: {arguments.shown(line)} in {place}.{pixels}"
        )
    return label, values


def _class_names(root: Path) -> tuple[str, ...]:
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        names = _yaml_names(path)
        if names:
            return names
    for name in _NAME_FILES:
        path = root / name
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    return ()


def _yaml_names(path: Path) -> tuple[str, ...]:
    """Return the names of the classes in a YAML file, by PyYAML where it is installed."""
    text = path.read_text(encoding="utf-8")
    if importlib.util.find_spec("yaml") is not None:
        yaml: Any = importlib.import_module("yaml")
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{str(path)!r} is not YAML: {error}") from error
        found: Any = content.get("names") if isinstance(content, dict) else None
    else:
        found = _plain_names(text)
    if isinstance(found, dict):
        if sorted(found) != list(range(len(found))):
            raise ValueError(
                f"the names in {str(path)!r} must have the numbers 0…{len(found) - 1}. "
                f"Received: {arguments.shown(found)}"
            )
        found = [found[number] for number in range(len(found))]
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _plain_names(text: str) -> list[str] | dict[int, str] | None:
    """Return ``names`` of a YAML file: ``[a, b]``, a line ``- a`` or ``0: a`` for each class."""
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines()]
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    starts = [number for number, line in enumerate(lines) if line.startswith("names:")]
    if not starts:
        return None
    rest = lines[starts[0] + 1 :]
    inline = lines[starts[0]].removeprefix("names:").strip()
    if inline:
        while not inline.endswith("]") and rest:
            inline += rest.pop(0)
        return [_unquoted(word) for word in inline.strip("[]").split(",") if word.strip()]
    items, numbered = [], {}
    for line in rest:
        word = line.strip()
        if word.startswith("- "):
            items.append(_unquoted(word[2:]))
        elif line != word and word.split(":")[0].isdecimal():
            number, _, name = word.partition(":")
            numbered[int(number)] = _unquoted(name)
        else:
            break
    return items or numbered or None


def _unquoted(word: str) -> str:
    word = word.strip()
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word

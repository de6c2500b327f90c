"""The five kinds of labels, distinguished by dtype and rank alone."""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from jaxcnn import arguments, shapes
from jaxcnn.augment.positions import VOID
from jaxcnn.data.array_blocks import blocks
from jaxcnn.data.object_boxes import BOX, check_boxes

LabelKind: TypeAlias = Literal["class", "positions", "several", "numbers", "boxes"]
LabelTask: TypeAlias = Literal["classify", "segment", "regress", "detect"]

# What a network learns from each kind of labels.
TASKS: dict[LabelKind, LabelTask] = {
    "class": "classify",
    "several": "classify",
    "positions": "segment",
    "numbers": "regress",
    "boxes": "detect",
}

# Without names each number up to the largest label is a class; a larger one is an id or a date.
_MOST_NUMBERS = 1_000_000

_RULE = (
    "labels must be integers or names (N,), a class per image; integers (N, *spatial), "
    "a class at each position; bool (N, classes), several classes per image; or floating point "
    "(N, …), numbers or shares of the classes; boxes are those of cnn.data.box_labels"
)


def label_kind(labels: np.ndarray) -> LabelKind:
    """Return the kind of labels; :class:`jaxcnn.Dataset` describes the kinds.

    >>> label_kind(np.zeros((2, 8, 8), np.uint8)), label_kind(np.zeros((2, 8), bool))
    ('positions', 'several')

    Args:
      labels: As :func:`check_labels` returns them.
    """
    if labels.dtype == BOX:
        return "boxes"
    if labels.dtype.kind in "bf":
        return "several" if labels.dtype.kind == "b" else "numbers"
    return "class" if labels.ndim == 1 else "positions"


def check_labels(
    labels: np.ndarray, image_shapes: shapes.Shape, class_names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels in the dtype in which they are stored, and the class names.

    Args:
      labels: Labels of one of the five kinds.
      image_shapes: ``(N, *spatial, channels)``, N at least 1.
      class_names: The class names, or an empty sequence to derive them from the labels.

    Raises:
      TypeError: The labels have an unsupported dtype.
      ValueError: The shape is of no kind or does not fit the images, a label is out of range or
        not finite, or the number of names is not the number of classes.
    """
    if labels.ndim == 0 or len(labels) != image_shapes[0]:
        raise ValueError(
            "labels must have one row per image, (N,) or (N, …). "
            f"Received: labels {labels.shape} for images {image_shapes}"
        )
    if labels.dtype == BOX:
        return check_boxes(labels, image_shapes, tuple(map(str, class_names)))
    # A column of one class per image, as Keras and MedMNIST store it.
    if labels.shape[1:] == (1,) != image_shapes[1:-1] and labels.dtype.kind not in "bf":
        labels = labels[:, 0]
    names = tuple(map(str, class_names))
    if _are_names(labels):
        labels, names = _number(labels, names)
    if labels.dtype.kind not in "iubf":
        raise TypeError(
            "labels must be integers, names of classes, bool or floating point. "
            f"Received: dtype {labels.dtype}"
        )
    _check_shape(labels, image_shapes)
    kind = label_kind(labels)
    if kind in ("class", "positions"):
        return _class_numbers(labels, names, kind)
    if kind == "numbers":
        labels = _numbers(labels)
    else:
        names = names or tuple(map(str, range(labels.shape[-1])))
    if names and len(names) != labels.shape[-1]:
        raise ValueError(
            f"class_names must be one per class, {labels.shape[-1]}, the size of the last axis of "
            f"the labels. Received: {len(names)} names for labels {labels.shape}"
        )
    return labels, names


def sort_class_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in their order: by value where all are numbers, else as text.

    >>> sort_class_names(["10", "9", "08"]), sort_class_names(["10", "9", "cat"])
    (('08', '9', '10'), ('10', '9', 'cat'))

    Args:
      names: The names, in any order.
    """
    names = sorted(names)
    return tuple(sorted(names, key=int) if are_numbers(names) else names)


def are_numbers(names: Iterable[str]) -> bool:
    """Return whether all names are whole numbers, written in the digits 0 to 9."""
    return all(name.isascii() and name.isdecimal() for name in names)


def check_class_per_image(labels: np.ndarray, purpose: str) -> None:
    """Check that each image has one class.

    Args:
      labels: As :func:`check_labels` returns them.
      purpose: The function or task that needs such labels, for the error.

    Raises:
      ValueError: The labels are of another kind.
    """
    if label_kind(labels) != "class":
        raise ValueError(
            f"{purpose} needs one class per image: labels (N,) of integers or names. "
            f"Received: labels {labels.dtype} {labels.shape}"
        )


def strata(labels: np.ndarray) -> np.ndarray:
    """Return the class of each image, or zeros where images do not have one class each.

    >>> strata(np.array([2, 0])).tolist(), strata(np.ones((2, 3), bool)).tolist()
    ([2, 0], [0, 0])

    Args:
      labels: As :func:`check_labels` returns them.
    """
    return labels if label_kind(labels) == "class" else np.zeros(len(labels), np.int32)


def _check_shape(labels: np.ndarray, image_shapes: shapes.Shape) -> None:
    hint = ""
    if labels.dtype.kind == "b":
        fits = labels.ndim == 2
        if labels.shape == image_shapes[:-1]:
            hint = " For a class at each position use labels.astype(np.uint8)."
        elif labels.ndim == 1:
            hint = " For two classes use labels.astype(int)."
    elif labels.dtype.kind == "f":
        fits = labels.ndim > 1
        hint = " For one number per image use labels[:, None]."
    else:
        fits = labels.ndim in (1, len(image_shapes) - 1)
        if labels.ndim == 2:
            hint = " For several classes per image use labels.astype(bool)."
    if not fits or labels.size == 0:
        raise ValueError(
            f"{_RULE}. Received: {labels.dtype} {labels.shape} for images {image_shapes}.{hint}"
        )


def _class_numbers(
    labels: np.ndarray, names: tuple[str, ...], kind: LabelKind
) -> tuple[np.ndarray, tuple[str, ...]]:
    # In labels at positions 255 is void, unless there are more than 255 classes.
    void = VOID if kind == "positions" and len(names) <= VOID else None
    lowest, highest = _range(labels, void)
    if not names and highest is None:
        raise ValueError(
            f"labels must have at least one class, or pass class_names. Received: {VOID} alone"
        )
    if not names and highest is not None and highest >= _MOST_NUMBERS:
        raise ValueError(
            f"labels must number the classes from 0, below {_MOST_NUMBERS:,}. Received: {highest}. "
            "For ids or dates pass labels.astype(str), whose names are numbered"
        )
    names = names or tuple(map(str, range(max(highest or 0, 0) + 1)))
    if lowest is not None and highest is not None and not 0 <= lowest <= highest < len(names):
        but = "" if void is None else f", or {VOID} for no class"
        raise ValueError(
            f"labels must be in 0…{len(names) - 1}, because there are {len(names)} classes{but}. "
            f"Received: labels from {lowest} to {highest}"
        )
    if kind == "positions" and labels.dtype == np.uint8:
        return labels, names  # they may be large, and int32 would take four times the memory
    return labels.astype(np.int32, copy=False), names


def _range(labels: np.ndarray, void: int | None) -> tuple[int, int] | tuple[None, None]:
    """Return the lowest and the highest label that is not void, if there is one."""
    lowest, highest = [], []
    for _, block in blocks(labels):
        counted = block if void is None else block[block != void]
        if counted.size:
            lowest.append(int(counted.min()))
            highest.append(int(counted.max()))
    return (min(lowest), max(highest)) if lowest else (None, None)


def _numbers(labels: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # overflow gives infinity, an error below
        labels = labels.astype(np.float32, copy=False)
    bad: list[int] = []
    for start, block in blocks(labels):
        finite = np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
        bad += (start + np.flatnonzero(~finite)).tolist()
    if bad:
        raise ValueError(
            "labels must be finite in float32. Received: NaN or infinity in "
            f"{len(bad)} rows, the first at row {bad[0]}"
        )
    return labels


def _are_names(labels: np.ndarray) -> bool:
    objects = labels.dtype == object and all(isinstance(label, str) for label in labels)
    return labels.ndim == 1 and (objects or labels.dtype.kind in "UT")


def _number(labels: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the class numbers of labels that are names, and the class names."""
    present, places = np.unique(labels.tolist(), return_inverse=True)
    numbers = {name: n for n, name in enumerate(names or sort_class_names(present.tolist()))}
    unknown = [name for name in present.tolist() if name not in numbers]
    if unknown:
        raise ValueError(
            f"labels must be among the class names {arguments.shown([*numbers])}. "
            f"Received: {arguments.shown(unknown[0])}"
        )
    return np.array([numbers[name] for name in present.tolist()])[places], names or tuple(numbers)

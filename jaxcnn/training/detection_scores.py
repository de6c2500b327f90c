"""Average precision of detections, by the algorithm of COCO's evaluation (pycocotools).

Detections of a class are matched to its boxes picture by picture, the highest score first: each
takes the free box of the largest IoU, if that reaches the threshold. A crowd, a box around many
objects, may be matched by any number of detections, with the share of the detection that lies
within it for the IoU; these detections do not count, nor does a crowd that none finds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxcnn import arguments

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
# Areas in square pixels of the boxes that count: all, small, medium, large.
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
# The columns of detections and of labels.
_CORNERS, _SCORE, _DETECTED_CLASS, _LABEL, _CROWD = slice(0, 4), 4, 5, 4, 5


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """The scores of detections; NaN where there is no box to find.

    Attributes:
      mean: The mean average precision over the classes and the IoU thresholds 0.5, 0.55 … 0.95:
        COCO's AP, the mAP@[.5:.95].
      mean_50: The mean average precision at an IoU of 0.5, as Pascal VOC counts.
      mean_75: The mean average precision at an IoU of 0.75.
      small: As ``mean``, of boxes with up to 32² square pixels.
      medium: As ``mean``, of boxes with 32² to 96² square pixels.
      large: As ``mean``, of boxes with at least 96² square pixels.
      recall: The mean over classes and thresholds of the share of boxes that are found: COCO's AR.
      per_class: ``(classes,)``, the average precision of each class over the thresholds.
      per_class_50: ``(classes,)``, the average precision of each class at an IoU of 0.5.
      precision: ``(10, 101, classes)``: at each IoU threshold, the precision at the recalls 0,
        0.01 … 1, the largest at this recall or a higher one; NaN for a class without a box.
    """

    mean: float
    mean_50: float
    mean_75: float
    small: float
    medium: float
    large: float
    recall: float
    per_class: np.ndarray
    per_class_50: np.ndarray
    precision: np.ndarray


class _Matched(NamedTuple):
    """The detections of a class in a picture: for each area and threshold whether they hit."""

    scores: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    boxes: np.ndarray


def average_precision(
    detections: np.ndarray, labels: np.ndarray, num_classes: int, *, limit: int = 100
) -> DetectionScores:
    """Return the average precision of detections, as COCO's evaluation computes it.

    >>> truth = np.array([[[0., 0., 10., 10., 0, 0], [20., 20., 30., 30., 1, 0]]])
    >>> found = np.array([[[0., 0., 10., 8., 0.9, 0], [0., 0., 5., 5., 0.8, 1]]])
    >>> scores = average_precision(found, truth, 2)
    >>> round(scores.mean_50, 6), round(scores.mean_75, 6), scores.per_class.round(2).tolist()
    (0.5, 0.5, [0.7, 0.0])

    The area of a box decides whether it is small, medium or large; COCO's own files give the area
    of the object's outline instead. 1,000 pictures take one to two seconds.

    Args:
      detections: ``(N, K, 6)``: x1, y1, x2, y2, score and class; class −1 in rows that only fill
        up. Of equal scores the earlier picture and row come first.
      labels: ``(N, M, 6)``: x1, y1, x2, y2, class and crowd (0 or 1); class −1 in rows that only
        fill up.
      num_classes: Number of classes, at least 1.
      limit: Largest number of detections of a class in a picture, those of the highest scores.

    Raises:
      TypeError: an array or an option has the wrong type.
      ValueError: a shape does not fit, or a class is out of range.
    """
    detections, labels = check_detections(detections, labels)
    classes = arguments.check_count("num_classes", num_classes)
    limit = arguments.check_count("limit", limit)
    for name, column in (("detections", detections[..., 5]), ("labels", labels[..., 4])):
        if column.size and (column.max() >= classes or column.min() < -1):
            raise ValueError(
                f"the classes of {name} must be in 0…{classes - 1}, or −1 in rows that only fill "
                f"up. Received: from {column.min():g} to {column.max():g}"
            )
    groups: list[list[_Matched]] = [[] for _ in range(classes)]
    for picture, truth in zip(detections, labels, strict=True):
        for number, found, boxes in _by_class(picture, truth):
            groups[number].append(_match(found, boxes, limit))
    shape = (len(AREAS), len(IOU_THRESHOLDS))
    precision = np.full((*shape, len(RECALLS), classes), np.nan)
    recall = np.full((*shape, classes), np.nan)
    for number, matched in enumerate(groups):
        if matched:
            precision[..., number], recall[..., number] = _accumulate(matched)
    small, medium, large = map(_mean, precision[1:])
    return DetectionScores(
        _mean(precision[0]),
        _mean(precision[0, 0]),
        _mean(precision[0, 5]),
        small,
        medium,
        large,
        recall=_mean(recall[0]),
        per_class=precision[0].mean(axis=(0, 1)),
        per_class_50=precision[0, 0].mean(axis=0),
        precision=precision[0],
    )


def check_detections(detections: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return detections and labels of the same pictures in float64.

    Args:
      detections: ``(N, K, 6)``, as for :func:`average_precision`.
      labels: ``(N, M, 6)``, as for :func:`average_precision`.

    Raises:
      TypeError: an array does not hold numbers.
      ValueError: a shape does not fit, or a coordinate or score is not finite.
    """
    checked = []
    for name, values in (("detections", detections), ("labels", labels)):
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            raise TypeError(f"{name} must hold numbers. Received: dtype {array.dtype}")
        if array.ndim != 3 or array.shape[-1] != 6:
            columns = "score, class" if name == "detections" else "class, crowd"
            raise ValueError(
                f"{name} must be (pictures, boxes, 6): x1, y1, x2, y2, {columns}. "
                f"Received: shape {array.shape}"
            )
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite. Received: NaN or infinity")
        checked.append(array)
    first, second = checked
    if len(first) != len(second):
        raise ValueError(
            "detections and labels must be of the same pictures. "
            f"Received: {len(first)} and {len(second)} pictures"
        )
    return first, second


def pair_overlaps(found: np.ndarray, boxes: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU of detections with boxes; with a crowd, the share that lies within it.

    >>> found, boxes = np.array([[0., 0., 2., 2.]]), np.array([[1., 0., 3., 4.]] * 2)
    >>> pair_overlaps(found, boxes, np.array([False, True])).tolist()
    [[0.2, 0.5]]

    Args:
      found: ``(count, 4)`` corners.
      boxes: ``(other_count, 4)`` corners.
      crowd: ``(other_count,)``, whether a box is a crowd.

    Returns:
      ``(count, other_count)``; 0 where they do not overlap, empty boxes included.
    """
    low = np.maximum(found[:, None, :2], boxes[None, :, :2])
    high = np.minimum(found[:, None, 2:], boxes[None, :, 2:])
    both = np.maximum(high - low, 0).prod(axis=-1)
    own, others = areas(found)[:, None], areas(boxes)[None]
    whole = np.where(crowd[None], own, own + others - both)
    return np.divide(both, whole, out=np.zeros_like(both), where=both > 0)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of ``(…, 4)`` corners."""
    sides: np.ndarray = boxes[..., 2:4] - boxes[..., :2]
    return sides.prod(axis=-1)


def _by_class(
    picture: np.ndarray, truth: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each class of a picture, with its detections and its boxes."""
    picture, truth = picture[picture[:, _DETECTED_CLASS] >= 0], truth[truth[:, _LABEL] >= 0]
    for number in np.union1d(picture[:, _DETECTED_CLASS], truth[:, _LABEL]):
        yield (
            int(number),
            picture[picture[:, _DETECTED_CLASS] == number],
            truth[truth[:, _LABEL] == number],
        )


def _match(found: np.ndarray, boxes: np.ndarray, limit: int) -> _Matched:
    """Match the detections of a class in a picture, for every area and threshold at once."""
    found = found[np.argsort(-found[:, _SCORE], kind="stable")[:limit]]
    crowd, sizes = boxes[:, _CROWD] > 0, areas(boxes)[None]
    outside = (sizes < AREAS[:, :1]) | (sizes > AREAS[:, 1:])
    left_out = (crowd[None] | outside)[:, None]  # (areas, 1, boxes)
    shares = pair_overlaps(found[:, _CORNERS], boxes[:, _CORNERS], crowd)
    least = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]
    shape = (len(AREAS), len(IOU_THRESHOLDS))
    taken = np.zeros((*shape, len(boxes)), bool)
    hit, ignored = (np.zeros((*shape, len(found)), bool) for _ in range(2))
    close = shares >= least[0]
    for row in np.flatnonzero(close.any(axis=1)):
        columns = np.flatnonzero(close[row])
        if len(columns) == 1:  # as almost always; three times as fast
            box = columns[0]
            free = shares[row, box] >= least[:, 0]
            matched = hit[..., row] = free if crowd[box] else free & ~taken[..., box]
            ignored[..., row] = matched & left_out[..., box]
            taken[..., box] |= matched
            continue
        share = shares[row]
        free = (~taken | crowd) & (share >= least)
        # A box that counts goes before one that does not; of equal IoUs the last one is taken.
        counted, first = _best(free & ~left_out, share)
        other, second = _best(free & left_out, share)
        best = np.where(counted, first, second)
        hit[..., row] = counted | other
        ignored[..., row] = ~counted & other
        taken |= (np.arange(len(boxes)) == best[..., None]) & hit[..., row, None]
    sizes = areas(found)[None]
    outside = (sizes < AREAS[:, :1]) | (sizes > AREAS[:, 1:])
    ignored |= ~hit & outside[:, None]
    return _Matched(found[:, _SCORE], hit, ignored, np.sum(~left_out[:, 0], axis=-1))


def _best(allowed: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether any box is allowed, and the last one of those with the largest share."""
    values = np.where(allowed, share, -1)[..., ::-1]
    best = values.argmax(axis=-1)
    return np.any(allowed, axis=-1), values.shape[-1] - 1 - best


def _accumulate(matched: list[_Matched]) -> tuple[np.ndarray, np.ndarray]:
    """Return precision ``(areas, thresholds, recalls)`` and recall of a class."""
    scores = np.concatenate([each.scores for each in matched])
    order = np.argsort(-scores, kind="stable")
    hit, ignored = (
        np.concatenate([getattr(each, name) for each in matched], axis=-1)[..., order]
        for name in ("hit", "ignored")
    )
    boxes = np.sum([each.boxes for each in matched], axis=0)
    right = np.cumsum(hit & ~ignored, axis=-1, dtype=np.float64)
    wrong = np.cumsum(~hit & ~ignored, axis=-1, dtype=np.float64)
    precision = np.full((*hit.shape[:2], len(RECALLS)), np.nan)
    recall = np.full(hit.shape[:2], np.nan)
    for place in np.ndindex(*hit.shape[:2]):
        count = boxes[place[0]]
        if count == 0:
            continue
        recalls = right[place] / count
        shares = right[place] / (right[place] + wrong[place] + np.spacing(1))
        largest = np.maximum.accumulate(shares[::-1])[::-1]
        reached = np.searchsorted(recalls, RECALLS, side="left")
        precision[place] = np.append(largest, 0)[reached]
        recall[place] = recalls[-1] if len(recalls) else 0
    return precision, recall


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")

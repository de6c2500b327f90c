"""The errors of a detector by kind: missed, twice, wrong class, loose, background.

The kinds are those of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection
Errors", ECCV 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from jaxcnn import arguments
from jaxcnn.training.detection_scores import areas, check_detections, pair_overlaps

# The IoU from which a detection finds a box, and that below which it has nothing to do with it.
FOUND, TOUCHED = 0.5, 0.1
KINDS = MappingProxyType(
    {
        "missed": "no detection of the box",
        "twice": "the box is found by a more confident detection",
        "wrong class": f"IoU from {FOUND} with a box of another class",
        "loose": f"IoU of {TOUCHED} to {FOUND} with a box of its class",
        "both": f"IoU of {TOUCHED} to {FOUND} with a box of another class",
        "background": f"IoU below {TOUCHED} with every box",
    }
)
Corners: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class DetectionMistake:
    """One mistake of a detector.

    Attributes:
      row: Row of the image.
      kind: ``"missed"``, ``"twice"``, ``"wrong class"``, ``"loose"``, ``"both"`` (wrong class and
        loose) or ``"background"``.
      predicted: The predicted class; ``None`` for a missed box.
      score: Score of the detection, 0 for a missed box.
      detection: Corners of the detection; ``None`` for a missed box.
      label: Class of the box that it overlaps most; ``None`` for the background.
      box: Corners of that box; ``None`` for the background.
      iou: Their intersection over union.
    """

    row: int
    kind: str
    predicted: int | None
    score: float
    detection: Corners | None
    label: int | None
    box: Corners | None
    iou: float


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """The mistakes of a detector among the detections from a score on.

    Attributes:
      class_names: One per class.
      score_threshold: The score from which detections count.
      boxes: Number of boxes to find, without crowds.
      detections: Number of detections that count.
      right: Number of boxes that are found, and of detections that find one.
      counts: Number of mistakes of each kind, in the order of the kinds.
      mistakes: The mistakes: the most confident detections first, then missed boxes, the largest
        first.
    """

    class_names: tuple[str, ...]
    score_threshold: float
    boxes: int
    detections: int
    right: int
    counts: dict[str, int]
    mistakes: tuple[DetectionMistake, ...]

    def of_kind(self, kind: str) -> tuple[DetectionMistake, ...]:
        """Return the mistakes of one kind, the worst first.

        Raises:
          ValueError: there is no such kind.
        """
        arguments.check_choice("kind", kind, KINDS)
        return tuple(mistake for mistake in self.mistakes if mistake.kind == kind)


def detection_errors(
    detections: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    score_threshold: float = 0.3,
) -> DetectionErrors:
    """Return the mistakes of a detector, by kind.

    A detection finds the free box of its class of the largest IoU, if that is at least 0.5, the
    most confident detections first. Any other is a mistake: ``"wrong class"``, if its IoU with a
    free box of another class is at least 0.5; ``"twice"``, if the box of its class is taken;
    ``"loose"``, if the IoU with a box of its class is 0.1 to 0.5; ``"both"``, if that is a box of
    another class; otherwise ``"background"``. A box is ``"missed"`` if no detection finds it, and
    none of the wrong class or too loose is about it. Detections within a crowd do not count.

    >>> truth = np.array([[[0., 0., 10., 10., 0, 0], [20., 20., 30., 30., 1, 0]]])
    >>> found = np.array([[[0., 0., 10., 9., 0.9, 0], [0., 0., 9., 10., 0.8, 0]]])
    >>> errors = detection_errors(found, truth, ["cat", "dog"])
    >>> errors.right, {kind: count for kind, count in errors.counts.items() if count}
    (1, {'missed': 1, 'twice': 1})

    Args:
      detections: ``(N, K, 6)``: x1, y1, x2, y2, score and class, as :func:`jaxcnn.predict` returns
        for a detector; class −1 in rows that only fill up.
      labels: ``(N, M, 6)``: x1, y1, x2, y2, class and crowd; class −1 in rows that only fill up.
      class_names: One per class.
      score_threshold: The score from which detections count, at least 0.

    Raises:
      TypeError: an array or an option has the wrong type.
      ValueError: a shape does not fit, or a class is out of range.
    """
    detections, labels = check_detections(detections, labels)
    least = arguments.check_number("score_threshold", score_threshold, minimum=0)
    names = tuple(map(str, class_names))
    highest = max(detections[..., 5].max(initial=-1), labels[..., 4].max(initial=-1))
    if highest >= len(names):
        raise ValueError(
            f"class_names must be one per class, at least {int(highest) + 1}. "
            f"Received: {len(names)} names"
        )
    mistakes: list[DetectionMistake] = []
    boxes = counted = right = 0
    for row, (picture, truth) in enumerate(zip(detections, labels, strict=True)):
        found = picture[(picture[:, 5] >= 0) & (picture[:, 4] >= least)]
        found = found[np.argsort(-found[:, 4], kind="stable")]
        truth = truth[truth[:, 4] >= 0]
        boxes += int((truth[:, 5] == 0).sum())
        hits, ignored, wrong = _judge(row, found, truth)
        counted += len(found) - ignored
        right += hits
        mistakes += wrong
    mistakes.sort(key=lambda each: (-each.score, -_size(each)))
    counts = {kind: sum(each.kind == kind for each in mistakes) for kind in KINDS}
    return DetectionErrors(names, least, boxes, counted, right, counts, tuple(mistakes))


def _judge(
    row: int, found: np.ndarray, truth: np.ndarray
) -> tuple[int, int, list[DetectionMistake]]:
    """Return the boxes found, the detections left out, and the mistakes in a picture."""
    crowd = truth[:, 5] > 0
    shares = pair_overlaps(found[:, :4], truth[:, :4], crowd)
    same = found[:, 5, None] == truth[None, :, 4]
    taken = np.full(len(truth), -1)  # the detection that finds each box
    for number in range(len(found)):
        free = np.where(same[number] & ~crowd & (taken < 0), shares[number], 0)
        if free.size and free.max() >= FOUND:
            taken[free.argmax()] = number
    mistakes, covered, ignored = [], taken >= 0, 0
    for number in np.setdiff1d(np.arange(len(found)), taken):
        if (shares[number] >= FOUND)[same[number] & crowd].any():
            ignored += 1
            continue
        kind, box = _kind(shares[number], same[number], crowd, taken)
        if kind in ("wrong class", "loose") and box is not None:
            covered[box] = True
        mistakes.append(_mistake(row, kind, found[number], truth, box, shares[number]))
    for place in np.flatnonzero(~covered & ~crowd).tolist():
        mistakes.append(_mistake(row, "missed", None, truth, place, None))
    return int((taken >= 0).sum()), ignored, mistakes


def _kind(
    shares: np.ndarray, same: np.ndarray, crowd: np.ndarray, taken: np.ndarray
) -> tuple[str, int | None]:
    """Return the kind of a mistake, and the box that it is about."""
    for kind, allowed, least in (
        ("wrong class", ~same & (taken < 0), FOUND),
        ("twice", same & (taken >= 0), FOUND),
        ("wrong class", ~same, FOUND),
        ("loose", same, TOUCHED),
        ("both", ~same, TOUCHED),
    ):
        values = np.where(allowed & ~crowd, shares, 0)
        if values.size and values.max() >= least:
            return kind, int(values.argmax())
    return "background", None


def _mistake(
    row: int,
    kind: str,
    detection: np.ndarray | None,
    truth: np.ndarray,
    box: int | None,
    shares: np.ndarray | None,
) -> DetectionMistake:
    return DetectionMistake(
        row,
        kind,
        None if detection is None else int(detection[5]),
        0.0 if detection is None else float(detection[4]),
        None if detection is None else _corners(detection),
        None if box is None else int(truth[box, 4]),
        None if box is None else _corners(truth[box]),
        0.0 if box is None or shares is None else float(shares[box]),
    )


def _corners(box: np.ndarray) -> Corners:
    x1, y1, x2, y2 = box[:4].tolist()
    return x1, y1, x2, y2


def _size(mistake: DetectionMistake) -> float:
    return float(areas(np.array(mistake.detection or mistake.box)))

"""The boxes of an exported detector: their choice, and their difference from the model's."""

import numpy as np

from jaxcnn.interchange.chosen_boxes import BoxChoice
from jaxcnn.training.detected_boxes import (
    IOU_THRESHOLD,
    LIMIT,
    NOTHING,
    SCORE_THRESHOLD,
    candidate_boxes,
)
from jaxcnn.training.detection_loss import CLASSES, check_outputs


def box_choice(channels: int) -> BoxChoice:
    """Return the choice that ``predict`` makes.

    Args:
      channels: The last size of the outputs of the detector.
    """
    return BoxChoice(
        lambda outputs: candidate_boxes(check_outputs(outputs)),
        classes=channels - CLASSES,
        limit=LIMIT,
        score_threshold=SCORE_THRESHOLD,
        iou_threshold=IOU_THRESHOLD,
        nothing=NOTHING,
    )


def difference_of_boxes(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of a box, relative to the largest of each column above 1.

    Every box is compared with the nearest one of the other side: two of nearly the same score may
    change places.

    >>> boxes = np.array([[[0, 0, 8, 8, 0.75, 1], [2, 0, 8, 8, 0.75, 1]]])
    >>> difference_of_boxes(boxes[:, ::-1], boxes)
    0.0

    Args:
      found: Boxes of the file, ``(batch, limit, 6)``.
      expected: Boxes of the model.
    """
    scales = np.maximum(1, np.abs(expected).max(axis=(0, 1), initial=0))
    largest = 0.0
    for rows, others in zip(found / scales, expected / scales, strict=True):
        apart = np.abs(rows[:, None] - others).max(axis=-1)
        largest = max(largest, float(apart.min(axis=0).max()), float(apart.min(axis=1).max()))
    return largest

"""Intersection over union of each picture of a segmentation."""

import numpy as np


def image_iou(predictions: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the intersection over union of each class in each picture.

    >>> image_iou(np.array([[[0, 1, 1]]]), np.array([[[0, 0, 255]]]), 3).tolist()
    [[0.5, 0.0, nan]]

    Args:
      predictions: ``(N, *spatial)`` class numbers.
      labels: ``(N, *spatial)`` class numbers; positions of another number, such as 255, are left
        out.
      num_classes: Number of classes.

    Returns:
      ``(N, classes)`` in [0, 1]; NaN for a class that a picture neither has nor is predicted to
      have.

    Raises:
      ValueError: the shapes differ.
    """
    if predictions.shape != labels.shape:
        raise ValueError(
            "predictions must have the shape of the labels, (N, *spatial). "
            f"Received: {predictions.shape} and {labels.shape}"
        )
    result = np.full((len(labels), num_classes), np.nan)
    for row, (found, truth) in enumerate(zip(predictions, labels, strict=True)):
        counted = truth < num_classes
        found, truth = found[counted].astype(int), truth[counted].astype(int)
        pairs = np.bincount(truth * num_classes + found, minlength=num_classes**2)
        matrix = pairs.reshape(num_classes, num_classes)
        hits = np.diag(matrix)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
        result[row, union > 0] = hits[union > 0] / union[union > 0]
    return result

"""Numbers over a whole evaluation."""

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns how often each class was taken for each other.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])

    Args:
      labels: ``(N,)`` true classes in 0…num_classes − 1.
      predictions: ``(N,)`` predicted classes in the same range.
      num_classes: Number of classes.

    Returns:
      ``(num_classes, num_classes)`` counts: row the true class, column the predicted one.
    """
    matrix = np.zeros((num_classes, num_classes), int)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix

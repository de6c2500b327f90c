import numpy as np

from jaxcnn.training.metrics import confusion_matrix


def test_confusion_matrix_counts_every_pair():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, (2, 100))
    matrix = confusion_matrix(labels, predictions, 5)
    expected = [[np.sum((labels == i) & (predictions == j)) for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(matrix, expected)

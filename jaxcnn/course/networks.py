"""Exercises on pools, dense layers, whole networks and training."""

import math

import numpy as np

from jaxcnn import ops
from jaxcnn.course.exercise import Exercise
from jaxcnn.layers import max_pool

_TABLE = np.array([[1.0, 6, 2, 0], [5, 3, 4, 4], [0, 2, 9, 1], [7, 7, 8, 3]])[None, :, :, None]

EXERCISES = {
    "pooling/max": Exercise(
        lambda: ops.max_pool(_TABLE, 2)[0, :, :, 0],
        "max(1, 6, 5, 3), max(2, 0, 4, 4); max(0, 2, 7, 7), max(9, 1, 8, 3)",
    ),
    "pooling/average": Exercise(
        lambda: ops.avg_pool(_TABLE, 2)[0, :, :, 0],
        "(1 + 6 + 5 + 3) / 4, (2 + 0 + 4 + 4) / 4; (0 + 2 + 7 + 7) / 4, (9 + 1 + 8 + 3) / 4",
    ),
    "pooling/rows": Exercise(
        lambda: max_pool(2).output_shape((13, 13, 1))[0],
        "⌊(13 − 2) / 2⌋ + 1",
        {6.5: "not rounded down: a map has no half row", 7: "rounded up instead of down"},
    ),
    "pooling/values": Exercise(
        lambda: math.prod(max_pool(2).output_shape((26, 26, 64))),
        "⌊(26 − 2) / 2⌋ + 1 rows, as many columns, 64 channels",
        {21_632: "height and width are both halved", 169: "one of the 64 channels"},
    ),
}

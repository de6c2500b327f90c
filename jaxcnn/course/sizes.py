"""Exercises on sizes of outputs and on activations."""

import jax
import numpy as np

from jaxcnn import shapes
from jaxcnn.course.exercise import Exercise

EXERCISES = {
    "sizes/first": Exercise(
        lambda: shapes.conv_shape((28, 28, 1), 64, 3),
        "⌊(28 − 3 + 2 · 0) / 1⌋ + 1, twice; 64 kernels",
    ),
    "sizes/padding": Exercise(
        lambda: shapes.same_padding(28, 7)[0],
        "(7 − 1) / 2",
        {6: "that is both sides together"},
    ),
    "sizes/floor": Exercise(
        lambda: shapes.output_size(30, 5, stride=3),
        "⌊(30 − 5 + 2 · 0) / 3⌋ + 1",
        {
            25 / 3 + 1: "there is no part of a window: round down",
            10: "round down: a tenth window would need pixels that are not there",
            8: "the first window counts, too: + 1",
        },
    ),
    "sizes/rectangle": Exercise(
        lambda: shapes.conv_shape((100, 60, 3), 20, 11, strides=4, padding=2),
        "⌊(100 − 11 + 2 · 2) / 4⌋ + 1, ⌊(60 − 11 + 2 · 2) / 4⌋ + 1; 20 kernels",
    ),
    "relu/values": Exercise(
        lambda: jax.nn.relu(np.array([-1.2, -0.6, 0.6, 1.2])), "max(0, x) of each number"
    ),
    "relu/one_kernel": Exercise(
        lambda: np.convolve([1, 2], [1, -1]), "1 · 1, 1 · (−1) + 2 · 1, 2 · (−1)"
    ),
    "relu/slope": Exercise(
        lambda: jax.grad(lambda x: jax.nn.relu(2 * x - 8))(5.0),
        "2 · 5 − 8 is above 0, and 2 · x − 8 grows by 2 for each 1 of x",
        {
            1: "the slope of ReLU alone",
            0: "the slope where ReLU gives zero",
            -8: "the slope does not depend on the number that is subtracted",
        },
    ),
    "relu/parameters": Exercise(lambda: 0, "max(0, x) has no weights and no bias"),
}

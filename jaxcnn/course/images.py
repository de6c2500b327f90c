"""Exercises on pictures as numbers, on convolution by hand and on the classic kernels."""

import numpy as np

from jaxcnn import insight, layers
from jaxcnn.course.exercise import Exercise
from jaxcnn.data import storage_bytes
from jaxcnn.ops.filters import KERNELS

_IMAGE = np.array(
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], float
)
_LETTER = np.array([[0, 6, 6, 0], [6, 0, 0, 6], [6, 6, 6, 6], [6, 0, 0, 6]]) / 10


def _plus() -> np.ndarray:
    plus = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    return insight.filter_steps(_IMAGE, plus, padding="valid").output[..., 0]


def _channels_without_blue() -> float:
    window = np.zeros((3, 3, 3))
    window[1:, 1:, 0] = [[156, 155], [153, 154]]
    window[1:, 1:, 1] = [[167, 166], [164, 165]]
    red = [[-1, -1, 1], [0, 1, -1], [0, 1, 1]]
    green = [[1, 0, 0], [1, -1, -1], [1, 0, -1]]
    blue = [[0, 1, 1], [0, 1, 0], [1, -1, 1]]
    kernel = np.stack([red, green, blue], axis=-1)
    return insight.filter_steps(window, kernel, bias=1, padding="valid").output.item()


def _blurred_point() -> float:
    point = np.zeros((3, 3))
    point[1, 1] = 1
    return insight.filter_steps(point, "gaussian_blur").output[0, 1, 0]


EXERCISES = {
    "pixels/bytes": Exercise(
        lambda: storage_bytes((512, 512, 3)),
        "512 · 512 pixels, 3 values each, of 1 byte",
        {262_144: "the gray picture: RGB has three channels"},
    ),
    "pixels/scaled": Exercise(lambda: 102 / 255, "102 / 255", {102: "not divided by 255 yet"}),
    "pixels/batch": Exercise(lambda: (32, 100, 200, 3), "(batch, height, width, channels)"),
    "convolution/plus": Exercise(
        _plus, "the pixel in the middle of each window, plus those above, below, left and right"
    ),
    "convolution/sobel": Exercise(
        lambda: insight.filter_steps(_LETTER, "sobel_y").output[3, 1, 0],
        "0.6 · 1 + 0.6 · 2 + 0.6 · 1; the last row of the window is padding",
        {
            1.2: "the kernel for vertical edges: its table has to be turned",
            -2.4: "the kernel is upside down: its first row is 1 2 1",
        },
    ),
    "convolution/channels": Exercise(
        _channels_without_blue,
        "308 − 498 + 0 + 1",
        {-25: "with the blue channel", -190: "without the bias"},
    ),
    "convolution/parameters": Exercise(
        lambda: insight.summarize(layers.conv(32, 5), (64, 64, 3)).parameters,
        "32 · (5 · 5 · 3 + 1)",
        {
            2_400: "each kernel has a bias, too",
            832: "each kernel has weights for all three channels",
            800: "each kernel has weights for all three channels, and a bias",
        },
    ),
    "kernels/point": Exercise(
        _blurred_point,
        "1 · 2/16: the white pixel lies below the middle of the window",
        {
            2: "not divided by 16",
            0.25: "the white pixel itself",
            1 / 16: "the pixels at the corners",
        },
    ),
    "kernels/middle": Exercise(
        lambda: 1 - (np.sum(KERNELS["edges"]) - KERNELS["edges"][1][1]),
        "m + 8 · (−1) = 1",
        {8: "these weights add up to 0: edges", 1: "the eight others add up to −8"},
    ),
    "kernels/edge": Exercise(
        lambda: insight.filter_steps(np.array([[0.0, 0, 1, 1]] * 3), "sobel_x").output[1, 1, 0],
        "0 · (1 + 2 + 1) + 1 · (−1 − 2 − 1)",
        {4: "Sobel subtracts the right from the left: a brighter right side is negative"},
    ),
    "kernels/direction": Exercise(
        lambda: "sobel_y", "a horizon has its edge between above and below"
    ),
}

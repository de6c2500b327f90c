"""Exercises on what trained networks see."""

import jax.numpy as jnp
import numpy as np
from jax.nn import relu

from jaxcnn.course.exercise import Exercise
from jaxcnn.layers import conv, dense, flatten, fully_convolutional, max_pool, serial
from jaxcnn.ops import iou
from jaxcnn.shapes import receptive_field

_FACES = serial(
    conv(16, 4), relu, max_pool(2), conv(32, 4), relu, max_pool(2), flatten(), dense(64), dense(2)
)

EXERCISES = {
    "learned/squares": Exercise(
        lambda: 32 * 8,
        "32 kernels · 8 input channels",
        {32: "each kernel has one square per input channel"},
    ),
    "learned/pooled": Exercise(
        lambda: max_pool(2).output_shape((12, 12, 8)),
        "⌊(12 − 2) / 2⌋ + 1 rows and columns; the number of maps stays",
    ),
    "learned/gradcam": Exercise(
        lambda: relu(jnp.array([[2.0, 0], [1, 3]]) - 2 * jnp.array([[1.0, 1], [0, 2]])),
        "max(0, 1 · first map − 2 · second map) at each place",
    ),
    "learned/accuracy": Exercise(
        lambda: np.trace([[8, 2, 0], [1, 7, 2], [0, 1, 9]]) / 30,
        "(8 + 7 + 9) / 30, the diagonal divided by the sum of all",
        {24: "not divided by the number of images yet"},
    ),
    "hierarchy/field": Exercise(
        lambda: receptive_field([(3, 1, 0, 1), (2, 2, 0, 1), (3, 1, 0, 1)]).size,
        "1 + 2 · 1 + 1 · 1 + 2 · 2 pixels: each window adds (f − 1) · jump",
        {6: "after the pool, one step is two pixels of the picture"},
    ),
    "hierarchy/last": Exercise(
        lambda: conv(1, 32, strides=32).output_shape((320, 320, 3))[0],
        "320 / 32 places on a side",
    ),
    "hierarchy/weights": Exercise(
        lambda: 3 * 3 * 3 * 32,
        "3 · 3 positions, 3 input channels, 32 kernels, no bias",
        {288: "each kernel has 3 · 3 weights for each of the 3 colors", 896: "there is no bias"},
    ),
    "hierarchy/head": Exercise(
        lambda: 1280 * 1000 + 1000,
        "1280 inputs · 1000 classes, and a bias for each class",
    ),
    "face/kernel": Exercise(
        lambda: (4, 4, 32, 64), "(height, width, input channels, units of the dense layer)"
    ),
    "face/map": Exercise(
        lambda: fully_convolutional(_FACES, input_shape=(25, 25, 1)).output_shape((125, 125, 1)),
        "⌊(125 − 25) / 4⌋ + 1 rows and columns, 2 classes",
    ),
    "face/iou": Exercise(
        lambda: iou(jnp.array([[0.0, 0, 10, 10]]), jnp.array([[5.0, 0, 15, 10]]))[0, 0],
        "(5 · 10) / (100 + 100 − 50)",
        {0.5: "divided by one box, not by the union", 0.25: "the union counts the overlap once"},
    ),
    "face/alarms": Exercise(
        lambda: 6000 / 500, "6000 / 500 windows", {0.002: "the share of one window; times 6000"}
    ),
}

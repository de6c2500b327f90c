"""Exercises on signals, videos and networks in use."""

import jax.numpy as jnp
import numpy as np

from jaxcnn import augment, data, layers, ops
from jaxcnn.course.exercise import Exercise


def _pictures(count: int, classes: int) -> data.Dataset:
    return data.Dataset(np.zeros((count, 8, 8, 1), np.uint8), np.arange(count) % classes)


EXERCISES = {
    "signals/average": Exercise(
        lambda: ops.conv(
            jnp.array([2.0, 4, 9, 7, 5]).reshape(1, 5, 1), jnp.full((3, 1, 1), 1 / 3)
        ).ravel(),
        "(2 + 4 + 9) / 3, (4 + 9 + 7) / 3, (9 + 7 + 5) / 3",
    ),
    "signals/length": Exercise(
        lambda: layers.conv(1, 80, strides=40).output_shape((8000, 1))[0],
        "⌊(8000 − 80 + 2 · 0) / 40⌋ + 1",
        {198: "the first window counts too: + 1", 200: "the window must fit: 8000 − 80"},
    ),
    "signals/band": Exercise(
        lambda: jnp.argmax(
            ops.spectrogram(
                jnp.sin(2 * jnp.pi * 1000 * jnp.arange(2048.0) / 16_000).reshape(1, -1, 1), 1024
            )[0, 4]
        ),
        "1000 / (16000 / 1024)",
        {1000: "the frequency; a band is 16000 / 1024 hertz"},
    ),
    "signals/clip": Exercise(
        lambda: layers.conv(8, (3, 5, 5), strides=(1, 2, 2)).output_shape((16, 64, 64, 3)),
        "(⌊(16 − 3) / 1⌋ + 1, ⌊(64 − 5) / 2⌋ + 1, ⌊(64 − 5) / 2⌋ + 1, 8)",
    ),
    "own_data/held_out": Exercise(
        lambda: len(data.stratified_split(_pictures(300, 5), 0.2)[1]),
        "5 · 60 / 5",
        {12: "of one class; there are 5", 240: "these are for training"},
    ),
    "own_data/steps": Exercise(
        lambda: 15 * data.steps_per_epoch(_pictures(320, 10), 32),
        "15 · 320 / 32",
        {10: "the steps of one epoch", 4800: "pictures, not batches"},
    ),
    "own_data/accuracy": Exercise(
        lambda: np.mean(np.arange(80) < 78),
        "78 / 80",
        {97.5: "in percent; the library writes 0.975"},
    ),
    "own_data/augmentation": Exercise(lambda: augment.random_flip.__name__, "random_flip: 3 → Ɛ"),
}

"""An error echoes a value shortened, whatever its size and wherever it was passed."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxcnn as cnn
from jaxcnn import training

LONG, MANY = "x" * 2_000_000, list(range(300_000))
IMAGES = np.zeros((4, 8, 8, 1), np.uint8)
CALLS = {
    "name of data": lambda: cnn.data.load(LONG),
    "archive": lambda: cnn.data.load(LONG + ".npz"),
    "split": lambda: cnn.data.load("digits", split=LONG),
    "channels": lambda: cnn.data.load("digits", channels=MANY),
    "size": lambda: cnn.data.load("digits", image_size=MANY),
    "record": lambda: cnn.data.load([MANY]),
    "label": lambda: cnn.data.load([{"image": IMAGES[0], "label": MANY}]),
    "path of a record": lambda: cnn.data.load([{"image": LONG, "label": 0}]),
    "names of classes": lambda: cnn.Dataset(IMAGES, ["z"] * 4, list(map(str, MANY))),
    "class": lambda: cnn.Dataset(IMAGES, [LONG] * 4, ["a", "b"]),
    "classes": lambda: cnn.data.match_classes(
        cnn.Dataset(IMAGES[:1].repeat(4, 0), ["a", "b", "c", "d"]), list(map(str, MANY))
    ),
    "arrays": lambda: cnn.data.load({"x": IMAGES, **{f"w{n}": IMAGES for n in range(20_000)}}),
    "policy": lambda: cnn.augment.named(LONG),
    "option of an augmentation": lambda: cnn.augment.random_crop(None, IMAGES, padding=LONG),
    "range": lambda: cnn.augment.random_affine(None, IMAGES, rotation=MANY),
    "layer": lambda: cnn.conv(8, MANY),
    "padding": lambda: cnn.conv(8, 3, padding=LONG),
    "shape": lambda: cnn.conv(8, 3).output_shape(MANY),
    "model": lambda: cnn.models.create(LONG),
    "module": lambda: cnn.predict(LONG, IMAGES),
    "optimizer": lambda: training.make_optimizer(LONG, learning_rate=0.1),
    "flag": lambda: cnn.dense(3, use_bias=LONG),
    "rows of a label": lambda: cnn.data.one_hot(jnp.zeros(3), LONG),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_error_is_short(call):
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        call()
    assert len(str(caught.value)) < 2_000

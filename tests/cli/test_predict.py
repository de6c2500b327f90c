"""``jaxcnn predict`` prints what the training was for: a class, several classes, numbers."""

import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.training import binary_cross_entropy, cross_entropy, squared_error

pytestmark = pytest.mark.implicit_promotion
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 6, 6, 3)).astype(np.uint8)
NAMES = ("cat", "dog", "owl")
SEVERAL = np.tile(np.array([True, False, True]), (16, 1))
DATA = {
    "class": (cnn.Dataset(IMAGES, np.arange(16) % 3, NAMES), cross_entropy),
    "several": (cnn.Dataset(IMAGES, SEVERAL, NAMES), binary_cross_entropy),
    "numbers": (cnn.Dataset(IMAGES, np.full((16, 3), 2.5, np.float32)), squared_error),
}


@pytest.mark.parametrize("kind", DATA)
def test_an_answer_is_that_of_the_training(kind, call_cli, tmp_path):
    data, loss = DATA[kind]
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((6, 6, 3), rngs=nnx.Rngs(0))
    run, path = tmp_path / "run", tmp_path / "picture.png"
    trained = cnn.fit(
        model, data, loss=loss, optimizer=optax.adam(0.05), epochs=30, batch_size=16, run=run,
        progress=False,
    ).model  # fmt: skip
    Image.fromarray(IMAGES[0]).save(path)
    result = call_cli("predict", run, path)
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    answer = line.removeprefix(str(path)).split()
    (row,) = cnn.predict(trained, IMAGES[:1])
    if kind == "class":
        assert answer == [NAMES[row.argmax()], f"{row.max():.1%}"]
    elif kind == "several":
        assert set(answer[::2]) == {"cat", "owl"}
        assert answer[1] == f"{row.max():.1%}"
    else:
        assert answer == [f"{value:.4g}" for value in row]

    raw = call_cli("predict", run, path, "--activation", "none").stdout.split()
    assert len(raw) > 1
    mistaken = call_cli("predict", run, path, "--activation", "softmx")
    assert mistaken.returncode == 2
    assert "Did you mean 'softmax'?" in mistaken.stderr

"""``jaxcnn evaluate --out``: results per class, and the mistakes by the names of their files."""

import csv

import numpy as np
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder

pytestmark = pytest.mark.implicit_promotion
NAMES = ("ant", "bee", "cat")


@pytest.fixture
def run(tmp_path):
    """A run whose network sees nothing, and answers "cat" with 50 %."""
    network = cnn.serial(cnn.flatten(), head=cnn.dense(3))
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    model.head.kernel[...] = np.zeros((64, 3), np.float32)
    model.head.bias[...] = np.log(np.array([0.3, 0.2, 0.5], np.float32))
    described = run_folder.Run(
        None, {}, (8, 8, 1), NAMES, Framing((8, 8, 1), any_size=True), None, {}
    )
    (tmp_path / "run").mkdir()
    run_folder.finish_run(tmp_path / "run", described, model)
    return tmp_path / "run"


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_mistakes_are_named(run, tmp_path, call_cli):
    for name in ("ant/1", "ant/2", "ant/3", "cat/1", "cat/2"):
        path = tmp_path / "set" / "test" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 8)).save(path)
    damaged = tmp_path / "set" / "test" / "ant" / "2.png"
    damaged.write_bytes(b"words")
    options = ("--data", tmp_path / "set", "--on-error", "skip", "--out", tmp_path / "out")
    with pytest.warns(UserWarning, match="1 of 5 images"):
        result = call_cli("evaluate", run, *options)
    assert result.returncode == 0, result.stderr
    assert "Writing the mistakes into" in result.stdout
    assert read(tmp_path / "out" / "mistakes.csv") == [
        ["file", "class", "predicted", "probability", "probability of the class"],
        *([str(damaged.with_name(f"{n}.png")), "ant", "cat", "0.5000", "0.3000"] for n in (1, 3)),
    ]
    assert read(tmp_path / "out" / "classes.csv") == [
        ["class", "images", "correct", "recall", "precision", "f1", "most often taken for"],
        ["ant", "2", "0", "0.0000", "", "0.0000", "cat"],
        ["bee", "0", "0", "", "", "", ""],
        ["cat", "2", "2", "1.0000", "0.5000", "0.6667", ""],
    ]
    with Image.open(tmp_path / "out" / "confusion_matrix.png") as picture:
        assert picture.width > 100


def test_images_of_arrays_are_named_by_number(run, tmp_path, call_cli):
    images = np.zeros((10, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(10) % 2, class_names=NAMES[1:])
    result = call_cli("evaluate", run, "--data", tmp_path / "set.npz", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert read(tmp_path / "out" / "mistakes.csv")[1][:2] == ["image 0 of test", "bee"]

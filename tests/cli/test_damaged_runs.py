"""A run that was tampered with, or is of a network of the user's own, is one line of one run."""

import json
import re

import numpy as np
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder
from jaxcnn.training.run_description import Run

pytestmark = pytest.mark.implicit_promotion

OWN = """
import jaxcnn as cnn

def bend(x):
    return x - 1

def network(num_classes: int = 10):
    return cnn.serial(bend, cnn.flatten(), cnn.dense(num_classes))
"""


@pytest.fixture
def run(tmp_path):
    """A finished run of the model of this library that has the fewest weights."""
    model = cnn.models.create("tiny_cnn", num_classes=2).build((8, 8, 1), rngs=nnx.Rngs(0))
    described = Run(
        "tiny_cnn", {"num_classes": 2}, (8, 8, 1), ("cat", "dog"), Framing((8, 8, 1)), None, {}
    )
    (tmp_path / "runs" / "bad").mkdir(parents=True)
    run_folder.finish_run(tmp_path / "runs" / "bad", described, model)
    return tmp_path / "runs" / "bad"


TAMPERED = [
    ({"model": 3}, "model: it must be a string"),
    ({"options": []}, "options: it must be an object"),
    ({"options": {"num_classes": 10**12}}, "options: num_classes must be at most 16,777,216"),
    ({"input_shape": [10**6, 10**6, 1]}, "input_shape: an example has at most 1,073,741,824"),
    ({"input_shape": "big"}, "input_shape: "),
    ({"class_names": [1, 2]}, "class_names: it must be an array of strings"),
    ({"class_names": "catdog"}, "class_names: it must be an array of strings"),
    ({"framing": None}, "framing: it must be an object"),
    ({"framing": {"shape": [8, 8, 1], "extent": "x"}}, "framing: extent must be a number"),
    ({"framing": {"shape": [10**9, 10**9, 1]}}, "framing: an example has at most"),
    ({"data": {"source": 5}}, "data: its values must be strings"),
    ({"metrics": {"loss": "low"}}, "metrics: loss must be a number"),
    ({"metrics": 7}, "metrics: it must be an object"),
    ({"activation": ["softmax"]}, "activation: "),
    ({"loss": {"name": None}}, "loss: its name must be a string"),
    ({"measures": {"f1": {}}}, "measures: its values must be strings"),
    ({"epoch": 1.5}, "epoch: epoch must be an integer"),
    ({"epoch": -1}, "epoch: epoch must be at least 1"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED, ids=[str(c) for c, _ in TAMPERED])
def test_every_field_is_checked_before_anything_is_built(run, change, message, call_cli):
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(described | change), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"run\.json' is damaged: {re.escape(message)}"):
        cnn.load(run)
    good = run.with_name("good")
    good.mkdir()
    (good / "run.json").write_text(json.dumps(described), encoding="utf-8")
    listed = call_cli("runs", run.parent)
    assert listed.returncode == 0
    _, bad, other = listed.stdout.splitlines()
    assert message in bad
    assert "damaged" not in other


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", b"[" * 100_000),
        ("run.json", b"\xff\xfe"),
        ("history.csv", b"epoch,loss\n1," + b"9" * 200_000),
        ("history.csv", b"\x00\n\x00"),
        ("recipe.toml", b"a = " + b"[" * 5_000),
    ],
)
def test_a_file_of_another_form_hides_no_other_run(run, file, content, call_cli):
    (run / file).write_bytes(content)
    (run.with_name("other")).mkdir()
    (run.with_name("other") / "history.csv").write_text("epoch\n", encoding="utf-8")
    listed = call_cli("runs", run.parent)
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["run", "bad", "other"]


def test_a_class_without_a_name_is_an_output(run, tmp_path, call_cli):
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    changed = json.dumps(described | {"class_names": ["cat"]})
    (run / "run.json").write_text(changed, encoding="utf-8")
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    result = call_cli("predict", run, tmp_path / "x.png")
    assert result.returncode == 0, result.stderr
    assert re.search(r"(cat|output 1)  \d+\.\d%", result.stdout)


@pytest.mark.parametrize("length", [0, 2**63, 10])
def test_a_header_of_weights_of_another_form_is_named(tmp_path, length):
    path = tmp_path / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"[" * 1000)
    with pytest.raises(ValueError, match=r"model\.safetensors' is damaged"):
        cnn.load(path)


def test_a_network_with_functions_of_ones_own_is_named(tmp_path, monkeypatch, call_cli):
    (tmp_path / "own_network.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    network = cnn.models.create("own_network:network", num_classes=2)
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    data = cnn.Dataset(images, np.arange(6) % 2, ["cat", "dog"])
    np.savez(tmp_path / "set.npz", images=images, labels=data.labels, class_names=["cat", "dog"])
    trained = cnn.fit(
        model, data, epochs=1, batch_size=3, run=tmp_path / "run", progress=False
    ).model
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "x.png")
    failed = call_cli("predict", tmp_path / "run", tmp_path / "x.png")
    assert "--model package.module:network" in failed.stderr
    own = ("--model", "own_network:network")
    predicted = call_cli("predict", tmp_path / "run", tmp_path / "x.png", *own)
    (row,) = cnn.predict(trained, images[:1])
    assert predicted.stdout.split()[-2:] == [("cat", "dog")[row.argmax()], f"{row.max():.1%}"]
    options = ("--data", tmp_path / "set.npz", "--split", "all", *own)
    evaluated = call_cli("evaluate", tmp_path / "run", *options)
    assert f"{cnn.evaluate(trained, data).loss:.4f}" in evaluated.stdout, evaluated.stderr

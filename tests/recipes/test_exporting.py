"""``cnn.export`` and ``jaxcnn export``: files that agree with the model, or none at all."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from jax import lax

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.interchange.model_file import read_signature
from jaxcnn.interchange.signature import Signature
from jaxcnn.recipes import exporting
from jaxcnn.training import run_folder

runtime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.implicit_promotion
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
NAMES = ("cat", "<b>dog</b>", "búho")
SHAPE = (8, 8, 3)
ALONE = """
import json, sys
for name in ("jax", "flax", "jaxcnn", "onnx"):
    sys.modules[name] = None
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
signature = json.loads(session.get_modelmeta().custom_metadata_map["jaxcnn"])
assert signature["class_names"][2] == "búho", signature
np.save(sys.argv[3], session.run(["outputs"], {"images": np.load(sys.argv[2])})[0])
"""


def small(*extra):
    network = cnn.serial(
        cnn.conv(4, 3), cnn.batch_norm(), jax.nn.relu, *extra, cnn.global_avg_pool(), cnn.dense(3)
    )
    return network.build(SHAPE, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run, and what its model predicts for the images."""
    folder, model = tmp_path_factory.mktemp("small"), small()
    described = run_folder.Run(
        model=None,
        options={},
        input_shape=SHAPE,
        class_names=NAMES,
        framing=Framing(SHAPE, 0.0, 0.7, 255.0, 0.2),
        data=None,
        metrics={},
    )
    run_folder.finish_run(folder, described, model)
    return folder, cnn.predict(model, IMAGES)


def test_an_onnx_file_runs_without_jax(run, call_cli, tmp_path):
    folder, expected = run
    done = call_cli("export", folder)
    assert done.returncode == 0, done.stderr
    assert "softmax" in done.stdout
    assert "largest difference" in done.stdout
    np.save(tmp_path / "images.npy", IMAGES)
    files = [folder / "network.onnx", tmp_path / "images.npy", tmp_path / "outputs.npy"]
    subprocess.run([sys.executable, "-c", ALONE, *map(str, files)], check=True)
    np.testing.assert_allclose(np.load(files[-1]), expected, atol=1e-5)


@pytest.mark.parametrize("form", ["web", "safetensors"])
def test_files_carry_the_signature(form, run, call_cli, tmp_path):
    folder, _ = run
    path = tmp_path / f"small{exporting.FORMATS[form]}"
    done = call_cli("export", folder, "--format", form, "--out", path)
    assert done.returncode == 0, done.stderr
    if form == "web":
        written = json.loads(path.read_text(encoding="utf-8"))["signature"]
        signature = Signature.from_json(json.dumps(written))
    else:
        signature = read_signature(path)
    assert signature.class_names == NAMES
    assert (signature.activation, signature.input_dtype) == ("softmax", "uint8")
    assert signature.framing["shape"] == list(SHAPE)


@pytest.mark.long
def test_stablehlo_of_any_size(tmp_path):
    options = {"format": "stablehlo", "any_size": True}
    made = cnn.export(small(), tmp_path / "a.stablehlo", input_shape=(40, 36, 3), **options)
    assert made.signature.input_shape == (None, None, 3)
    assert made.difference < 1e-5
    with pytest.raises(ValueError, match=r"heights and widths from 32 on.*Received: \(8, 8\)"):
        cnn.export(small(), tmp_path / "b.stablehlo", **options)
    assert [each.name for each in tmp_path.iterdir()] == ["a.stablehlo"]


def test_any_size_and_numbers(tmp_path):
    model, path = small(), tmp_path / "small.onnx"
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    made = cnn.export(
        model, path, any_size=True, input_dtype="float32", activation="sigmoid", images=images
    )
    assert made.images == 2
    assert made.signature == Signature((None, None, 3), "float32", "sigmoid")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", "height", "width", 3]
    larger = np.random.default_rng(0).random((1, 13, 21, 3), np.float32)
    (found,) = session.run(None, {"images": larger})
    expected = jax.nn.sigmoid(model(larger, train=False))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_difference_leaves_the_file_of_before(tmp_path, monkeypatch):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"before")

    def wrong(path):
        return lambda images: np.full((len(images), 3), 0.5, np.float32)

    monkeypatch.setattr(exporting, "run_onnx", wrong)
    with pytest.raises(ValueError, match=r"within tolerance=0.0001, and differs by .*nothing was"):
        cnn.export(small(), path)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("small.onnx", b"before")
    ]


def test_what_cannot_be_exported(tmp_path):
    path = tmp_path / "small.onnx"

    def ranked(x):
        return lax.sort(x, dimension=1)

    with pytest.raises(ValueError, match="operation 'sort' of ranked_1 cannot be exported"):
        cnn.export(small(ranked), path)
    with pytest.raises(ValueError, match="Did you mean 'onnx'"):
        cnn.export(small(), path, format="onxx")
    with pytest.raises(ValueError, match="images must be"):
        cnn.export(small(), path, images=IMAGES[:, :4])
    with pytest.raises(TypeError, match="images must be uint8"):
        cnn.export(small(), path, images=IMAGES / np.float32(255))
    with pytest.raises(ValueError, match="format='web' takes one size"):
        cnn.export(small(), path, format="web", any_size=True)
    plain = nnx.Sequential(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="input_shape must be given"):
        cnn.export(plain, path)
    assert not list(tmp_path.iterdir())


def test_mistakes_on_the_command_line(run, call_cli, tmp_path):
    folder, _ = run
    for arguments, words in (
        ([], "give the folder of a run"),
        ([tmp_path], "it has no run.json"),
        ([folder, "--format", "tflite"], "--format must be"),
        ([folder, "--tolerance", "1e-30"], "tolerance=1e-30"),
        ([folder, "--activation", "softmx"], "Did you mean 'softmax'?"),
        ([folder, tmp_path / "none.png"], "none.png"),
        ([folder, "--out", tmp_path / "none" / "a.onnx"], "a folder that exists"),
    ):
        done = call_cli("export", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.count("\n") == 1

    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_bytes((folder / "run.json").read_bytes())
    (damaged / "model.safetensors").write_bytes(b"half")
    done = call_cli("export", damaged)
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr

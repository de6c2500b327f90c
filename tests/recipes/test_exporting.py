"""``cnn.export`` and ``jaxcnn export``: files that agree with the model, or none at all."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from PIL import Image

import jaxcnn as cnn
from jaxcnn import serving
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.interchange.model_file import read_signature
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.stablehlo_files import read_stablehlo
from jaxcnn.recipes import exporting
from jaxcnn.recipes.exported_boxes import difference_of_boxes
from jaxcnn.serving import page_building
from jaxcnn.training import run_folder
from jaxcnn.training.detected_boxes import NOTHING, SCORE_THRESHOLD, candidate_boxes

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
    with pytest.raises(ValueError, match=r"sizes from 32 on.*Received: \(8, 8\)"):
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


def cats():
    """Parts of a photograph, and a picture of one color, in which a detector finds no box."""
    folder = Path(page_building.__file__).parent / "page"
    photo = np.asarray(Image.open(folder / "cat.jpg").convert("RGB"))
    parts = [photo[:64, :96], photo[60:124, 100:196], photo[100:164, 200:296]]
    return np.stack([*parts, np.zeros((64, 96, 3), np.uint8)])


@pytest.fixture(scope="module")
def detected():
    """A detector, pictures and its boxes. Its scores are spread from 0 to 1."""
    body = cnn.serial(cnn.conv(6, 8, strides=8), jax.nn.relu, last=cnn.conv(6, 2, strides=2))
    head = cnn.conv(5 + 3, 3, padding=1)
    net = cnn.detector(body, head, maps=("conv_1", "last"), features=8)
    model = net.build((64, 96, 3), rngs=nnx.Rngs(3))
    random = np.random.default_rng(3)
    kernel = model.head.kernel
    kernel[...] = random.normal(0, 0.6, kernel.shape).astype(np.float32)
    model.head.bias[...] = jnp.array([0.5, 0.5, 0.5, 0.5, 3, -7, -7, -7], jnp.float32)
    images = cats()
    expected = cnn.predict(model, images, activation="boxes")
    counts = (expected[..., 5] >= 0).sum(axis=1)
    outputs = cnn.predict(model, images, activation="none")
    candidates = np.asarray(jax.jit(candidate_boxes)(outputs))
    likely = (candidates[..., 4] > SCORE_THRESHOLD).sum(axis=1)
    assert (counts[:3] > 5).all()
    assert (counts < likely)[:3].all()  # some are suppressed
    assert set(expected[:3, :, 5].flat) == {0, 1, 2, -1}  # every class, and rows that fill up
    assert counts[3] == 0
    return model, images, expected


@pytest.mark.parametrize("form", ["onnx", "stablehlo"])
def test_boxes_are_those_of_predict(form, detected, tmp_path):
    """The choice of the file, in its order, against the loop of :func:`cnn.ops.nms`."""
    (model, images, expected), path = detected, tmp_path / f"boxes.{form}"
    options = {"activation": "boxes", "task": "detect", "class_names": NAMES}
    made = cnn.export(model, path, format=form, images=images, **options)
    assert made.difference < 1e-5
    program = serving.open_network(path).compute if form == "onnx" else read_stablehlo(path)[0]
    np.testing.assert_allclose(program(images), expected, atol=1e-4, rtol=1e-5)


def test_boxes_that_differ_are_found():
    boxes = np.array([[[0, 0, 8, 8, 0.9, 1], [2, 0, 8, 8, 0.5, 0], NOTHING]])
    assert difference_of_boxes(boxes[:, [1, 0, 2]], boxes) == 0
    for column, other, expected in ((0, 1, 1 / 2), (3, 6, 2 / 8), (4, 0.8, 0.1), (5, 0, 1)):
        changed = boxes.copy()
        changed[0, 0, column] = other
        assert difference_of_boxes(changed, boxes) == pytest.approx(expected)
    assert difference_of_boxes(boxes[:, [0, 2, 2]], boxes) == 1  # a box is missing


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
    boxes = {"activation": "boxes"}
    with pytest.raises(ValueError, match="format='web' has no operators for the boxes"):
        cnn.export(small(), path, format="web", **boxes)
    with pytest.raises(ValueError, match="any_size must be False for the boxes of a detector"):
        cnn.export(small(), path, any_size=True, **boxes)
    with pytest.raises(ValueError, match=r"outputs must be \(batch, locations, 8 \+ classes\)"):
        cnn.export(small(), path, **boxes)
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

    detector = tmp_path / "detector"
    detector.mkdir()
    described = json.loads((folder / "run.json").read_text("utf-8")) | {"task": "detect"}
    (detector / "run.json").write_text(json.dumps(described), "utf-8")
    (detector / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    done = call_cli("export", detector, "--int8")
    assert done.returncode == 2
    assert "of a detector, give --activation none as well" in done.stderr

    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_bytes((folder / "run.json").read_bytes())
    (damaged / "model.safetensors").write_bytes(b"half")
    done = call_cli("export", damaged)
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr

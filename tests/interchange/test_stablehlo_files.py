"""Networks as StableHLO files: their values, called with JAX alone, in later versions, damaged."""

import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.stablehlo_files import read_stablehlo, write_stablehlo

RANDOM = np.random.default_rng(0)
# Python 3.11, jax 0.10.2: relu(x / 255 · kernel) of the numbers below, softmax at the end.
WRITTEN_BY_JAX_0_10 = Path(__file__).with_name("dense_of_jax_0_10.stablehlo")
SIGNATURE = Signature((12, 12, 3), activation="softmax", class_names=("no", "sí", "<b>"))
CALL = """
import json, sys, zipfile
sys.modules["jaxcnn"] = sys.modules["flax"] = None
import jax, jax.export, numpy as np
with zipfile.ZipFile(sys.argv[1]) as file:
    network = jax.export.deserialize(bytearray(file.read("network.stablehlo")))
    signature = json.loads(file.read("signature.json"))
outputs = jax.jit(network.call)(np.load(sys.argv[2]))
assert outputs.dtype == "float32" and signature["class_names"][1] == "sí"
np.save(sys.argv[3], outputs)
"""


def small(*, flat=True):
    layers = [cnn.conv(4, 3, padding="SAME"), cnn.batch_norm(), jax.nn.relu, cnn.max_pool(2)]
    head = cnn.flatten() if flat else cnn.global_avg_pool()
    network = cnn.serial(*layers, head, cnn.dense(3))
    return cnn.modules.in_mode(network.build((12, 12, 3), rngs=nnx.Rngs(0)), train=False)


def probabilities(model):
    return lambda x: jax.nn.softmax(model(x.astype(jnp.float32) / 255.0))


def pixels(*shape):
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def test_called_with_jax_alone(tmp_path):
    model, path = small(), tmp_path / "small.stablehlo"
    write_stablehlo(probabilities(model), SIGNATURE, path)
    images = pixels(5, 12, 12, 3)
    expected = cnn.predict(model, images.astype(np.float32) / 255)
    program, signature = read_stablehlo(path)
    assert signature == SIGNATURE
    np.testing.assert_allclose(program(images), expected, atol=1e-5)
    np.testing.assert_allclose(program(images[:1]), expected[:1], atol=1e-5)
    with pytest.raises(ValueError, match="12"):
        program(pixels(5, 12, 13, 3))

    np.save(tmp_path / "images.npy", images)
    arguments = [str(path), str(tmp_path / "images.npy"), str(tmp_path / "outputs.npy")]
    subprocess.run([sys.executable, "-c", CALL, *arguments], check=True, timeout=100)
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, atol=1e-5)


def test_a_file_says_nothing_of_this_machine(tmp_path):
    path = tmp_path / "small.stablehlo"
    write_stablehlo(probabilities(small()), SIGNATURE, path)
    data = path.read_bytes()
    assert b"jaxcnn/" not in data
    assert b".py" not in data
    write_stablehlo(probabilities(small()), SIGNATURE, path)
    assert path.read_bytes() == data
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with zipfile.ZipFile(path) as file:
        program = jax.export.deserialize(bytearray(file.read("network.stablehlo")))
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_free_height_and_width(tmp_path):
    model, path = small(flat=False), tmp_path / "free.stablehlo"
    free = Signature((None, None, 3), input_dtype="float32")
    write_stablehlo(model, free, path)
    program, signature = read_stablehlo(path)
    assert signature == free
    images = RANDOM.normal(size=(2, 35, 41, 3)).astype(np.float32)
    np.testing.assert_allclose(program(images), model(images), atol=1e-5)
    with pytest.raises(ValueError, match="cannot be exported for every size"):
        write_stablehlo(small(), free, path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["mnist_cnn", "resnet18", "mobilenetv2_100", "convnext_tiny"])
def test_networks_of_the_zoo(name, tmp_path):
    shape = (28, 28, 1) if name == "mnist_cnn" else (64, 64, 3)
    model = cnn.models.create(name).build(shape, rngs=nnx.Rngs(0))
    model, images = cnn.modules.in_mode(model, train=False), pixels(3, *shape)
    write_stablehlo(probabilities(model), Signature(shape), tmp_path / "x.stablehlo")
    program, _ = read_stablehlo(tmp_path / "x.stablehlo")
    expected = cnn.predict(model, images.astype(np.float32) / 255)
    np.testing.assert_allclose(program(images), expected, atol=1e-5)


@pytest.mark.long
def test_a_unet_of_free_sizes(tmp_path):
    model = cnn.models.create("unet", features=(4,) * 5).build((64, 64, 3), rngs=nnx.Rngs(0))
    model = cnn.modules.in_mode(model, train=False)
    free = Signature((None, None, 3), input_dtype="float32", task="segment")
    write_stablehlo(model, free, tmp_path / "unet.stablehlo")
    program, _ = read_stablehlo(tmp_path / "unet.stablehlo")
    images = RANDOM.normal(size=(2, 96, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(program(images), model(images), atol=1e-4)
    with pytest.raises(ValueError, match=r"divisible|multiple|32"):
        program(images[:, :90])


def dense_kernel():
    return (np.arange(4 * 4 * 5, dtype=np.float32).reshape(16, 5) % 7 - 3) / 4


def test_a_file_of_the_oldest_jax():
    """It was written by ``write_dense`` below with jax 0.10 and is read by the installed one."""
    program, signature = read_stablehlo(WRITTEN_BY_JAX_0_10)
    images = pixels(3, 4, 4, 1)
    logits = np.maximum(images.reshape(3, 16) / np.float32(255) @ dense_kernel(), 0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(program(images), expected, atol=1e-5)
    assert signature.class_names == tuple("abcde")


def write_dense(path):
    def function(x):
        x = x.reshape(x.shape[0], 16).astype(jnp.float32) / 255.0
        return jax.nn.softmax(jax.nn.relu(x @ dense_kernel()))

    signature = Signature((4, 4, 1), activation="softmax", class_names=tuple("abcde"))
    write_stablehlo(function, signature, path)


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "program", "signature", "packed"])
def test_damaged_files(damage, tmp_path):
    path = tmp_path / "dense.stablehlo"
    with zipfile.ZipFile(WRITTEN_BY_JAX_0_10) as file:
        members = {name: file.read(name) for name in file.namelist()}
    if damage == "text":
        path.write_text("a picture")
    elif damage == "cut":
        path.write_bytes(WRITTEN_BY_JAX_0_10.read_bytes()[:1000])
    elif damage != "missing":
        kind = zipfile.ZIP_DEFLATED if damage == "packed" else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", kind) as file:
            for name, data in members.items():
                changed = damage in name or (damage == "program" and name.startswith("network"))
                file.writestr(name, data[: len(data) // 2] if changed else data)
    with pytest.raises(ValueError, match=r"cannot be read|is damaged"):
        read_stablehlo(path)

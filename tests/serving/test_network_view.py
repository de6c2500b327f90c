"""The interpreter of exported networks in JavaScript, and the view of a network on the page."""

import base64
import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.resizing import METHODS

PAGE = Path(str(resources.files("jaxcnn"))) / "serving" / "page"
INTERPRETER = ("tensors.js", "window_operators.js", "operators.js", "gathering_operators.js")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")

RUN = """
const fs = require('fs');
const given = JSON.parse(fs.readFileSync(0, 'utf8'));
for (const file of given.files) eval.call(null, fs.readFileSync(file, 'utf8'));
try {
  const network = Jaxcnn.loadNetwork(given.network);
  const { outputs, maps } = network.run(Float32Array.from(given.pixels));
  const values = {};
  for (const path in maps) values[path] = Array.from(maps[path].data);
  console.log(JSON.stringify({ outputs: Array.from(outputs), maps: values }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
"""


def node(operator: str, inputs: str, output: str, **attributes: Any) -> dict[str, Any]:
    return {"op": operator, "inputs": inputs.split(), "outputs": [output], "attributes": attributes}


def layer(path: str, kind: str, shape: list[int], kernel: str | None = None) -> dict[str, Any]:
    layout = "NCHW" if len(shape) == 3 else "NC"
    return {"path": path, "kind": kind, "value": path, "layout": layout, "shape": shape,
            "kernel": kernel, "bias": f"{path}.bias" if kernel else None}  # fmt: skip


class Example:
    """A small network with random weights: conv, relu, pool, dense, softmax."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.kernel = rng.normal(size=(4, 1, 3, 3)).astype(np.float32)
        self.bias = rng.normal(size=4).astype(np.float32)
        self.dense = rng.normal(size=(4 * 7 * 7, 3)).astype(np.float32)
        self.dense_bias = rng.normal(size=3).astype(np.float32)
        self.pixels = rng.integers(0, 256, (28, 28, 1)).astype(np.uint8)
        arrays = {
            "scale": np.float32(255),
            "conv_1.kernel": self.kernel,
            "conv_1.bias": self.bias,
            "dense_1.kernel": self.dense,
            "dense_1.bias": self.dense_bias,
        }
        weights, constants = b"", {}
        for name, array in arrays.items():
            entry = {"shape": list(array.shape), "dtype": "float32", "offset": len(weights)}
            constants[name] = entry
            weights += array.tobytes()
        conv = {"strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1}
        pool = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
        self.network: dict[str, Any] = {
            "format": "jaxcnn-web",
            "version": 1,
            "signature": {"input_shape": [28, 28, 1], "input_dtype": "uint8", "task": "classify",
                          "activation": "softmax", "class_names": ["a", "b", "<i>c</i>"],
                          "framing": None},
            "input": {"name": "images", "shape": [1, 28, 28, 1], "dtype": "uint8"},
            "output": "outputs",
            "nodes": [
                node("Cast", "images", "cast", to="float32"),
                node("Div", "cast scale", "div"),
                node("Transpose", "div", "moved", perm=[0, 3, 1, 2]),
                node("Conv", "moved conv_1.kernel conv_1.bias", "conv_1", **conv),
                node("Relu", "conv_1", "relu_1"),
                node("MaxPool", "relu_1", "pool_1", **pool),
                node("Flatten", "pool_1", "flat", axis=1),
                node("Gemm", "flat dense_1.kernel dense_1.bias", "dense_1"),
                node("Softmax", "dense_1", "outputs", axis=-1),
            ],
            "constants": constants,
            "layers": [
                layer("conv_1", "conv", [14, 14, 4], "conv_1.kernel"),
                layer("relu_1", "relu", [14, 14, 4]),
                layer("pool_1", "max_pool", [7, 7, 4]),
                layer("dense_1", "dense", [3], "dense_1.kernel"),
            ],
            "weights": base64.b64encode(weights).decode(),
        }  # fmt: skip

    def values(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The convolution, channels last, and the probabilities, by jaxcnn and NumPy."""
        x = pixels.reshape(1, 28, 28, 1).astype(np.float32) / 255
        kernel = self.kernel.transpose(2, 3, 1, 0)
        padding = ((1, 1), (1, 1))
        conv = np.asarray(cnn.ops.conv(x, kernel, strides=2, padding=padding)) + self.bias
        pooled = np.maximum(conv, 0).reshape(7, 2, 7, 2, 4).max(axis=(1, 3))
        logits = pooled.transpose(2, 0, 1).ravel() @ self.dense + self.dense_bias
        powers = np.exp(logits - logits.max())
        return conv[0], powers / powers.sum()


def interpreted(network: dict[str, Any], pixels: np.ndarray) -> dict[str, Any]:
    assert NODE is not None
    files = [str(PAGE / name) for name in INTERPRETER]
    given = {"files": files, "network": network, "pixels": pixels.ravel().tolist()}
    run = subprocess.run(
        [NODE, "-e", RUN], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return result


@needs_node
def test_the_interpreter_computes_what_jaxcnn_does() -> None:
    example = Example()
    result = interpreted(example.network, example.pixels)
    conv, probabilities = example.values(example.pixels)
    found = np.reshape(result["maps"]["conv_1"], (4, 14, 14)).transpose(1, 2, 0)
    np.testing.assert_allclose(found, conv, atol=1e-5)
    np.testing.assert_allclose(result["outputs"], probabilities, atol=1e-5)


RESIZE = """
const fs = require('fs');
globalThis.window = globalThis;
const given = JSON.parse(fs.readFileSync(0, 'utf8'));
eval.call(null, fs.readFileSync(given.file, 'utf8'));
const resized = ([data, height, width, rows, columns, interpolation]) => Jaxcnn.resizePlane(
  { data: Float32Array.from(data), height, width }, rows, columns, interpolation);
console.log(JSON.stringify(given.cases.map((each) => Array.from(resized(each).data))));
"""


@needs_node
def test_planes_are_resized_as_pillow_does() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (9, 8)).astype(np.uint8)
    sizes = [(28, 28), (9, 24), (4, 5), (3, 8)]
    cases = [(method, size) for method in METHODS for size in sizes]
    given = {
        "file": str(PAGE / "framing.js"),
        "cases": [[levels.ravel().tolist(), 9, 8, *size, method] for method, size in cases],
    }
    assert NODE is not None
    run = subprocess.run(
        [NODE, "-e", RESIZE], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    for (method, size), found in zip(cases, json.loads(run.stdout), strict=True):
        expected = Image.fromarray(levels).resize(size[::-1], METHODS[method])
        np.testing.assert_allclose(np.reshape(found, size), np.asarray(expected), atol=1.01)


@needs_node
def test_an_unknown_operator_is_refused_with_its_layer() -> None:
    example = Example()
    example.network["nodes"][4]["op"] = "Mystery"
    result = interpreted(example.network, example.pixels)
    assert result == {"error": "operator Mystery of layer relu_1 is not supported"}


# The pixels that the network gets.
SEEN = """(() => {
  const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  copy.drawImage(document.querySelector('.nv-seen'), 0, 0);
  return Array.from(copy.getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0);
})()"""


@pytest.mark.long
def test_the_view_follows_a_drawing(open_address: Any, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    building = pytest.importorskip("jaxcnn.serving.page_building")
    example = Example()
    picture = {"pixels": base64.b64encode(example.pixels.tobytes()).decode(),
               "shape": [28, 28, 1], "label": "a"}  # fmt: skip
    page_file = tmp_path / "page.html"
    page_file.write_text(building.build_page(example.network, examples=[picture]))
    page = open_address(page_file.as_uri())
    _, expected = example.values(example.pixels)
    best = int(expected.argmax())
    sync_api.expect(page.locator(".nv-answer")).not_to_be_empty()
    name = example.network["signature"]["class_names"][best]
    assert page.inner_text(".nv-answer") == f"{name}, {100 * expected[best]:.1f} %"

    # A pixel of a map: its total is that of jaxcnn, and the products and the bias add to it.
    strip = page.locator(".nv-strip canvas").first
    strip.scroll_into_view_if_needed()
    strip.click(position={"x": 80 + 3 + 36, "y": 3 + 36})
    conv, _ = example.values(example.pixels)
    place = page.inner_text(".nv-place")
    row, column = map(int, re.fullmatch(r"conv_1, map 2, row (\d+), column (\d+)", place).groups())
    total = page.inner_text(".nv-total").replace("−", "-")
    added, bias, value = (float(word) for word in total.split() if word[-1].isdigit())
    assert value == pytest.approx(conv[row - 1, column - 1, 1], abs=1e-4)
    assert added + bias == pytest.approx(value, abs=2e-4)

    def seen_pixels() -> list[int]:
        values: list[int] = page.evaluate(SEEN)
        return values

    board, before = page.locator(".nv-board"), seen_pixels()
    board.hover(position={"x": 90, "y": 60})
    page.mouse.down()
    board.hover(position={"x": 140, "y": 140})
    board.hover(position={"x": 190, "y": 220})
    page.mouse.up()
    page.wait_for_timeout(300)
    seen = seen_pixels()
    assert seen != before
    _, expected = example.values(np.array(seen))
    shares = page.locator(".nv-bars b").all_inner_texts()
    found = [float(share.split()[0]) for share in shares]
    np.testing.assert_allclose(found, 100 * expected, atol=0.06)
    # Names of classes are text.
    assert "<i>c</i>" in page.inner_text(".nv-bars")
    assert page.locator(".nv-bars i").count() == 3  # the bars themselves

"""ONNX files in 8-bit integers: what they compute, their signature, and when none is written."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jaxcnn.interchange.onnx_quantization import quantize_onnx
from jaxcnn.interchange.onnx_runs import run_onnx

RANDOM = np.random.default_rng(0)


def write_convolutions(path, features, *, count=2):
    """Write convolutions of an image (batch, 3, 16, 16) with a mean at the end, by hand."""
    nodes, kernels, value, channels = [], [], "images", 3
    for number in range(count):
        kernel = RANDOM.normal(size=(features, channels, 3, 3)) / np.sqrt(9 * channels)
        kernels.append(numpy_helper.from_array(kernel.astype(np.float32), f"k{number}"))
        nodes.append(helper.make_node("Conv", [value, f"k{number}"], [f"c{number}"]))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        value, channels = f"r{number}", features
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["outputs"]))
    shapes = {"images": ["batch", 3, 16, 16], "outputs": ["batch", features, 1, 1]}
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(nodes, "hand", [ends["images"]], [ends["outputs"]], kernels)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"jaxcnn": "a signature"})
    onnx.save(model, str(path))


def images(count):
    return RANDOM.random((count, 3, 16, 16), dtype=np.float32)


def test_a_smaller_network_of_nearly_the_same_outputs(tmp_path, monkeypatch):
    times = iter([(2.0, 1.0)])
    monkeypatch.setattr("jaxcnn.interchange.onnx_quantization._least_times", lambda *_: next(times))
    before, after = tmp_path / "network.onnx", tmp_path / "network.int8.onnx"
    write_convolutions(before, 64)
    found = quantize_onnx(before, after, images(40))
    assert found.milliseconds == (2.0, 1.0)
    assert found.file_bytes == (before.stat().st_size, after.stat().st_size)
    assert after.stat().st_size < 0.4 * before.stat().st_size
    new = images(5)  # another batch, and others than those of the calibration
    expected, given = run_onnx(before)(new), run_onnx(after)(new)
    assert 0 < np.abs(given - expected).max() < 0.02 * np.abs(expected).max()
    kinds = {each.data_type for each in onnx.load(str(after)).graph.initializer}
    assert TensorProto.INT8 in kinds
    scales = [each for each in onnx.load(str(after)).graph.initializer if each.dims == [64]]
    assert scales  # one per channel
    assert [each.value for each in onnx.load(str(after)).metadata_props] == ["a signature"]


def test_no_file_that_is_larger_or_slower(tmp_path, monkeypatch):
    before, after = tmp_path / "network.onnx", tmp_path / "network.int8.onnx"
    write_convolutions(before, 1, count=1)
    with pytest.raises(ValueError, match=r"smaller and not slower.*bytes after .* ms per batch"):
        quantize_onnx(before, after, images(2))
    write_convolutions(before, 64)
    monkeypatch.setattr("jaxcnn.interchange.onnx_quantization._least_times", lambda *_: (1.0, 1.5))
    with pytest.raises(ValueError, match=r"1\.50 ms per batch after 1\.00"):
        quantize_onnx(before, after, images(2))
    with pytest.raises(ValueError, match="at least one image"):
        quantize_onnx(before, after, images(0))
    assert not after.exists()

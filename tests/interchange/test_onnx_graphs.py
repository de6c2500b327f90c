"""Exported ONNX files as graphs of a page: the values of ONNX Runtime, and all layers."""

import json

import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.interchange.onnx_graphs import read_onnx
from jaxcnn.interchange.onnx_runs import run_onnx, run_web
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.web_files import web_network, write_web


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    network = cnn.serial(
        cnn.conv(4, 3, strides=2, padding="SAME"), jnp.tanh, cnn.max_pool(2),
        cnn.residual(cnn.serial(cnn.conv(4, 3, padding=1), cnn.batch_norm())),
        cnn.flatten(), cnn.dense(3),
    )  # fmt: skip
    model = network.build((12, 8, 1), rngs=nnx.Rngs(0))
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    cnn.export(model, path, any_size=False, class_names=("a", "b", "c"))
    return path, model


def test_a_file_gives_the_graph_that_a_page_computes(file, tmp_path):
    path, model = file
    graph, signature = read_onnx(path, (12, 8, 1))
    web = tmp_path / "network.json"
    write_web(graph, signature, web)
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 8, 1)).astype(np.uint8)
    np.testing.assert_allclose(run_web(web)(image), run_onnx(path)(image), atol=1e-6)
    made = web_network(graph, signature)
    assert made["signature"]["class_names"] == ["a", "b", "c"]
    # The layers are those of an export for the page, which knows them from the program.
    cnn.export(model, tmp_path / "traced.json", format="web")
    traced = {
        layer["path"]: layer
        for layer in json.loads((tmp_path / "traced.json").read_text())["layers"]
    }
    found = {layer["path"]: layer for layer in made["layers"]}
    assert {"conv_1", "tanh_1", "max_pool_1", "flatten_1", "dense_1"} <= set(found)
    for path, layer in found.items():
        assert {**layer, "value": "", "kernel": "", "bias": ""} == {
            **traced[path],
            "value": "",
            "kernel": "",
            "bias": "",
        }
    kernels = {layer["path"]: layer["kernel"] for layer in made["layers"]}
    assert kernels["conv_1"] is not None
    assert kernels["max_pool_1"] is None


def test_files_of_others_are_refused(file, tmp_path):
    path, _ = file
    foreign = onnx.load(path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match="is not a file of jaxcnn"):
        read_onnx(tmp_path / "foreign.onnx", (12, 8, 1))


def test_an_operator_with_an_array_is_refused(tmp_path):
    helper, kinds = onnx.helper, onnx.TensorProto
    value = onnx.numpy_helper.from_array(np.float32([1]), "value")
    nodes = [
        helper.make_node("Constant", [], ["one"], value=value),
        helper.make_node("Add", ["images", "one"], ["outputs"]),
    ]
    entry = helper.make_tensor_value_info("images", kinds.FLOAT, ["batch", 4, 4, 1])
    result = helper.make_tensor_value_info("outputs", kinds.FLOAT, ["batch", 4, 4, 1])
    model = helper.make_model(helper.make_graph(nodes, "network", [entry], [result]))
    helper.set_model_props(model, {"jaxcnn": Signature((4, 4, 1)).to_json()})
    onnx.save(model, tmp_path / "array.onnx")
    with pytest.raises(ValueError, match="operator Constant has the attribute value, an array"):
        read_onnx(tmp_path / "array.onnx", (4, 4, 1))


def test_a_file_of_any_size_is_read_at_one_size(tmp_path):
    model = cnn.serial(cnn.conv(2, 3, padding="SAME"), cnn.global_avg_pool(), cnn.dense(3)).build(
        (8, 8, 1), rngs=nnx.Rngs(0)
    )
    cnn.export(model, tmp_path / "any.onnx", any_size=True)
    graph, _ = read_onnx(tmp_path / "any.onnx", (12, 8, 1))
    assert graph.input_shape == (1, 12, 8, 1)
    (conv,) = [layer for layer in graph.layers if layer.path == "conv_1"]
    assert (conv.shape, conv.layout) == ((12, 8, 2), (0, 3, 1, 2))

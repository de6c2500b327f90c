"""The operators of the page's interpreter: their names, and their values against ONNX Runtime."""

import json
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_network_view import INTERPRETER, NODE, PAGE, interpreted, needs_node

import jaxcnn as cnn
from jaxcnn.interchange.network_graphs import network_graph
from jaxcnn.interchange.onnx_runs import run_web
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.web_files import PAGE_OPERATORS, write_web
from jaxcnn.training.forward import to_float

pytest.importorskip("onnxruntime")
same = {"padding": "same"}
relu = jax.nn.relu


def compared(x):
    parts = [x > 0.1, x >= 0.2, x < 0.3, x <= x.mean(), x == 0, ~(x > 0), (x > 0) | (x < -1)]
    parts += [(x > 0) & (x < 1), x.astype(bool)]
    return jnp.concatenate([jnp.where(part, x, 0.5 * x - n) for n, part in enumerate(parts)], -1)


def taken(x):
    return jnp.take(x, jnp.array([[3, 1], [2, 0]]), axis=1).sum(1)


NETWORKS = {
    "pictures": (
        cnn.serial(
            cnn.conv(4, 3, **same), relu,
            cnn.conv_transpose(6, 3, strides=3, padding=1, output_padding=2, groups=2),
            cnn.upsample(2), cnn.resize((20, 9), method="cubic"),
            cnn.resize((9, 17), method="linear", antialias=False),
            cnn.resize((12, 7), method="nearest"), cnn.resize((5, 4), method="linear"), taken,
            cnn.conv(2, 1), compared, cnn.max_pool(2, padding=1),
        ),
        (6, 5, 3),
    ),
    "volumes": (
        cnn.serial(
            cnn.conv(4, 3, **same), relu, cnn.conv(4, (2, 3, 1), strides=(1, 2, 1), groups=2),
            cnn.max_pool(2, padding=1), cnn.conv_transpose(2, (2, 1, 3), strides=2, use_bias=True),
            cnn.avg_pool(2, strides=1, padding=1), cnn.conv(2, 1),
        ),
        (4, 7, 4, 1),
    ),
    "series": (
        cnn.serial(
            cnn.conv(4, 3, padding="causal", dilation=2), relu, cnn.max_pool(2),
            cnn.conv_transpose(4, 3, strides=2), cnn.ensemble(
                cnn.serial(cnn.conv(3, 3), cnn.global_avg_pool(), cnn.dense(2)), count=2
            ),
        ),
        (24, 3),
    ),
}  # fmt: skip
EMITTED = {
    "pictures": "Where Equal Less LessOrEqual Greater GreaterOrEqual And Not Gather Resize Einsum",
    "volumes": "Conv ConvTranspose MaxPool AveragePool",
    "series": "Conv ConvTranspose Einsum IsInf IsNaN Or Where",
}


def graph_of(name):
    network, shape = NETWORKS[name]
    model = network.build(shape, rngs=nnx.Rngs(0))
    return network_graph(
        model, shape, input_dtype="uint8", to_float=to_float, one_example=True, keeps_layers=True
    )


@needs_node
@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_those_of_onnx_runtime(name, tmp_path):
    graph, path = graph_of(name), tmp_path / "network.json"
    operators = {node.op for node in graph.nodes}
    assert operators >= set(EMITTED[name].split()), operators
    write_web(graph, Signature(NETWORKS[name][1]), path)
    pixels = np.random.default_rng(0).integers(0, 256, NETWORKS[name][1]).astype(np.uint8)
    expected = run_web(path)(pixels[None]).ravel()
    assert np.ptp(expected) > 0.01
    found = interpreted(json.loads(path.read_text("utf-8")), pixels)
    np.testing.assert_allclose(found["outputs"], expected, atol=2e-5, rtol=1e-4)


@needs_node
def test_the_listed_operators_are_those_of_the_scripts():
    script = "".join((PAGE / name).read_text("utf-8") for name in INTERPRETER)
    script += "console.log(Object.keys(Jaxcnn.operators).join(' '))"
    run = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == set(PAGE_OPERATORS)


def test_another_operator_is_refused_with_its_layer(tmp_path):
    def summed(x):
        return jnp.cumsum(x, axis=1)

    model = cnn.serial(cnn.conv(2, 3), cnn.residual(summed)).build((6, 6, 1), rngs=nnx.Rngs(0))
    path = tmp_path / "network.json"
    with pytest.raises(ValueError, match=r"'CumSum' of residual_1/body .*the page has no such"):
        cnn.export(model, path, format="web")
    assert not list(tmp_path.iterdir())

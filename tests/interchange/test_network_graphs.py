"""Graphs of ONNX operators: their values in ONNX Runtime, their size, and what is refused."""

import importlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import jaxcnn as cnn
from jaxcnn.interchange.network_graphs import network_graph
from jaxcnn.interchange.onnx_files import OPSET, onnx_model
from jaxcnn.interchange.onnx_runs import run_web
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.web_files import read_web, write_web
from jaxcnn.models.registry import find_entry
from jaxcnn.training.forward import to_float

runtime = pytest.importorskip("onnxruntime")
BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"
RANDOM = np.random.default_rng(0)
relu = jax.nn.relu
same = {"padding": "same"}
KERNEL = RANDOM.normal(size=(3, 2, 2, 6)).astype(np.float32)
SPREAD = RANDOM.normal(size=(3, 2, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def matrix():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("export_matrix")
    sys.path.remove(str(BENCHMARKS))


def exact_gelu(x):
    return jax.nn.gelu(x, approximate=False)


def grouped(x):
    return lax.conv_general_dilated(
        x,
        jnp.asarray(KERNEL),
        (2, 1),
        ((-1, 2), (1, 0)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=2,
    )


def spread(x):
    return lax.conv_transpose(x, jnp.asarray(SPREAD), (2, 3), "SAME")


def windows(x):
    largest = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 3, 1), (1, 1, 2, 1), "SAME")
    total = lax.reduce_window(x, 0.0, lax.add, (1, 2, 3, 1), (1, 1, 2, 1), "SAME")
    return largest - 0.1 * total


def rolled(x):
    odd = jnp.broadcast_to(x[:, :, 1::2].mean(2, keepdims=True), x.shape)
    return jnp.concatenate([jnp.roll(x, 2, axis=1), x[:, ::-1], odd], -1)


def chosen(x):
    best = jax.nn.one_hot(jnp.argmax(x, -1), x.shape[-1])
    taken = jnp.take(x, jnp.array([3, 1, 2]), axis=1).sum(1, keepdims=True)
    return jnp.where(x > 0.3, jnp.clip(x, 0.1, 0.8), jnp.log1p(jnp.abs(x))) + best + taken * x**3


def looped(x):
    def step(total, _):
        return jnp.tanh(total * 1.1), total.sum(-1)

    total, rows = lax.scan(step, x, None, length=3)
    return total + rows.sum(0)[..., None]


def attended(x):
    scores = jnp.einsum("bhwc,bijc->bhwij", x, x)
    weights = jax.nn.softmax(scores.reshape(*scores.shape[:3], -1), -1)
    return jnp.matmul(weights, x.reshape(x.shape[0], -1, x.shape[-1])[:, None])


SLOW = ("maps", "functions")
NETWORKS = {
    "classifier": (
        cnn.serial(
            cnn.standardize((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)),
            cnn.conv(4, 3, strides=2, **same),
            cnn.batch_norm(),
            jax.nn.relu6,
            cnn.residual(cnn.serial(cnn.depthwise(3, **same), cnn.batch_norm(), jax.nn.silu)),
            cnn.squeeze_excite(ratio=2),
            exact_gelu,
            cnn.parallel(cnn.conv(2, 1), cnn.avg_pool(3, strides=1, **same), combine="concat"),
            cnn.channel_shuffle(2),
            cnn.max_pool(3, strides=2, padding=1, ceil_mode=True),
            cnn.global_avg_pool(),
            cnn.dense(5),
            jax.nn.softmax,
        ),
        (13, 12, 3),
    ),
    "maps": (
        cnn.serial(
            cnn.conv(4, 3, padding=1, padding_mode="reflect"),
            cnn.group_norm(2),
            jax.nn.gelu,
            cnn.conv_transpose(6, 3, strides=3, padding=1, output_padding=2, groups=2),
            cnn.layer_norm(),
            cnn.space_to_depth(2),
            cnn.conv(4, 1),
            cnn.prelu(),
            cnn.upsample(2),
            cnn.resize((20, 9), method="cubic"),
            cnn.resize((9, 17), method="linear"),
            cnn.lp_pool(2, 2),
            cnn.adaptive_avg_pool((3, 2)),
            cnn.flatten(),
            cnn.dense(4),
        ),
        (6, 6, 3),
    ),
    "functions": (
        cnn.serial(
            cnn.conv(4, 3, **same), grouped, cnn.conv(4, 1), spread, windows, rolled, chosen,
            cnn.conv(4, 1), looped, cnn.max_pool(3), attended, cnn.global_max_pool(), cnn.dense(2),
        ),
        (9, 10, 4),
    ),
    "series": (
        cnn.serial(
            cnn.conv(4, 3, padding="causal", dilation=2), cnn.batch_norm(), relu, cnn.max_pool(2),
            cnn.ensemble(cnn.serial(cnn.conv(3, 3), cnn.global_avg_pool(), cnn.dense(2)), count=2),
        ),
        (24, 3),
    ),
    "volumes": (
        cnn.serial(
            cnn.conv(4, 3, **same), cnn.avg_pool(2), cnn.conv_transpose(2, 2, strides=2),
            cnn.flatten(), cnn.dense(2),
        ),
        (4, 6, 4, 2),
    ),
}  # fmt: skip


def run(graph, images):
    signature = Signature(images.shape[1:], str(images.dtype))
    model = onnx_model(graph, signature)
    assert [each.version for each in model.opset_import] == [OPSET]
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"images": images})[0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in NETWORKS],
)
def test_outputs_are_those_of_the_model(name, matrix):
    network, shape = NETWORKS[name]
    model = matrix.random_model(network, shape)
    graph = network_graph(model, shape, input_dtype="float32", to_float=to_float)
    images = RANDOM.random((3, *shape), np.float32)
    expected = np.asarray(nnx.jit(lambda model, x: model(x, train=False))(model, images))
    assert np.ptp(expected, axis=0).max() > 1e-3  # they depend on the images
    for count in (1, 3):
        found = run(graph, images[:count])
        np.testing.assert_allclose(found, expected[:count], rtol=1e-4, atol=1e-5)


def test_a_convolution_takes_in_what_follows_it(matrix):
    """Transposes stand at the input and before flatten; a batch normalization is in the kernel."""
    network = cnn.serial(
        cnn.conv(4, 3), cnn.batch_norm(), relu, cnn.max_pool(2), cnn.conv(4, 3), relu,
        cnn.flatten(), cnn.dense(3),
    )  # fmt: skip
    model = matrix.random_model(network, (12, 12, 3))
    graph = network_graph(
        model, (12, 12, 3), input_dtype="uint8", to_float=to_float, activation="softmax"
    )
    expected = "Cast Div Transpose Conv Relu MaxPool Conv Relu Transpose Reshape Gemm Softmax"
    assert [node.op for node in graph.nodes] == expected.split()
    assert graph.input_shape == ("batch", 12, 12, 3)
    assert graph.output_shape == (None, 3)


def test_activations_and_the_largest_are_one_operator(matrix):
    network = cnn.serial(
        cnn.conv(4, 3), cnn.batch_norm(), jax.nn.hard_swish, cnn.conv(4, 1), jax.nn.relu6,
        jax.nn.softmax, cnn.max_pool(2), jax.nn.hard_sigmoid, cnn.global_max_pool(),
    )  # fmt: skip
    model = matrix.random_model(network, (8, 8, 3))
    graph = network_graph(model, (8, 8, 3), input_dtype="float32", to_float=to_float)
    expected = "Conv HardSwish Conv Clip Softmax MaxPool HardSigmoid Reshape ReduceMax"
    moves = ("Transpose", "Squeeze")
    assert [node.op for node in graph.nodes if node.op not in moves] == expected.split()
    images = RANDOM.normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(run(graph, images), model(images, train=False), atol=1e-5)


def test_a_layer_that_is_called_twice_is_stored_once(matrix):
    class Twice(nnx.Module):
        def __init__(self):
            self.conv = cnn.modules.Conv(4, 4, (3, 3), padding="same", rngs=nnx.Rngs(1))

        def __call__(self, x):
            return self.conv(relu(self.conv(x)))

    graph = network_graph(Twice(), (8, 8, 4), input_dtype="float32", to_float=to_float)
    assert graph.count("Conv") == 2
    assert [each.size for each in graph.constants.values()] == [4 * 4 * 9, 4]


def test_any_height_and_width(matrix):
    network = cnn.serial(
        cnn.conv(4, 3, strides=2, **same), cnn.avg_pool(3, strides=1, **same), relu,
        cnn.conv(2, 3, strides=2, **same), cnn.upsample(2), cnn.squeeze_excite(ratio=2),
    )  # fmt: skip
    model = matrix.random_model(network, (16, 16, 3))
    graph = network_graph(model, (16, 16, 3), input_dtype="uint8", to_float=to_float, any_size=True)
    for size in ((16, 16), (24, 36)):
        images = RANDOM.integers(0, 256, (2, *size, 3), np.uint8)
        expected = cnn.predict(model, images, activation="none")
        np.testing.assert_allclose(run(graph, images), expected, rtol=1e-4, atol=1e-5)


def test_any_depth_height_and_width(matrix):
    network = cnn.serial(
        cnn.conv(4, 3, strides=2, **same), relu, cnn.max_pool(2), cnn.conv_transpose(2, 2),
    )  # fmt: skip
    model = matrix.random_model(network, (8, 8, 8, 3))
    graph = network_graph(
        model, (8, 8, 8, 3), input_dtype="uint8", to_float=to_float, any_size=True
    )
    assert graph.input_shape == ("batch", "depth", "height", "width", 3)
    for size in ((8, 8, 8), (16, 8, 24)):
        images = RANDOM.integers(0, 256, (2, *size, 3), np.uint8)
        expected = cnn.predict(model, images, activation="none")
        np.testing.assert_allclose(run(graph, images), expected, rtol=1e-4, atol=1e-5)


def test_the_page_reads_every_layer(matrix, tmp_path):
    network = cnn.serial(
        cnn.conv(4, 3), cnn.batch_norm(), relu, cnn.residual(cnn.conv(4, 1)), cnn.flatten(),
        cnn.dense(3),
    )  # fmt: skip
    model, path = matrix.random_model(network, (8, 8, 1)), tmp_path / "network.json"
    graph = network_graph(
        model, (8, 8, 1), input_dtype="uint8", to_float=to_float, one_example=True,
        keeps_layers=True,
    )  # fmt: skip
    signature = Signature((8, 8, 1), class_names=("a", "<b>", "ñ"))
    write_web(graph, signature, path)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["signature"]["class_names"] == ["a", "<b>", "ñ"]
    layers = {each["path"]: each for each in written["layers"]}
    first, normal = layers["conv_1"], layers["batch_norm_1"]
    assert first["value"] != normal["value"]
    assert (first["kind"], first["layout"], first["shape"]) == ("conv", "NCHW", [6, 6, 4])
    assert written["constants"][first["kernel"]]["shape"] == [4, 1, 3, 3]
    assert layers["dense_1"]["bias"] in written["constants"]

    # The values of the layers are those that the model has.
    images = RANDOM.integers(0, 256, (1, 8, 8, 1), np.uint8)
    known = cnn.insight.activations(model, images, ["conv_1", "residual_1/add", "flatten_1"])
    for layer, expected in known.items():
        graph = read_web(path)
        graph.output, graph.output_shape = layers[layer]["value"], (1, *expected.shape[1:])
        if layers[layer]["layout"] == "NCHW":
            expected = jnp.moveaxis(expected, -1, 1)
            graph.output_shape = expected.shape
        found = run(graph, images)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    logits = cnn.predict(model, images, activation="none")
    np.testing.assert_allclose(run_web(path)(images), logits, rtol=1e-5, atol=1e-5)


def test_an_operation_without_operator_is_named_with_its_layer():
    def sorted_(x):
        return lax.sort(x, dimension=1)

    network = cnn.serial(cnn.conv(2, 3), cnn.residual(cnn.serial(relu, sorted_)), cnn.flatten())
    model = network.build((6, 6, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"'sort' of residual_1/body/sorted__1 cannot be exported"):
        network_graph(model, (6, 6, 1), input_dtype="uint8", to_float=to_float)
    fixed = cnn.serial(cnn.flatten(), cnn.dense(2)).build((6, 6, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="any_size must be False for this model"):
        network_graph(fixed, (6, 6, 1), input_dtype="uint8", to_float=to_float, any_size=True)


def smallest_of_families():
    """Return the model of each file of the zoo that has the fewest parameters."""
    found = {}
    for name in sorted(cnn.models.names(), key=lambda name: cnn.models.info(name).parameters or 0):
        found.setdefault(find_entry(name).family, name)
    return sorted(found.values())


@pytest.mark.long
@pytest.mark.parametrize("name", [*smallest_of_families(), "inception_time_ensemble", "unet_small"])
def test_every_family_of_the_zoo(name, matrix):
    """All models: ``python examples/benchmarks/export_matrix.py --all``."""
    found = matrix.measure(name, times=False)
    assert found.difference < 1e-4
    assert found.transposes <= 20

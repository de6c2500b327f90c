"""Intermediate values against passes that are written out, and their names against the summary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import models, ops
from jaxcnn.insight import activations, intermediates, summarize
from jaxcnn.insight.layers_shown import first_kernel, layers_to_show
from jaxcnn.insight.observed_model import ObservedModel
from jaxcnn.layers import conv, dense, flatten, max_pool, remat, residual, serial


def build(layer, shape):
    return layer.build(shape, rngs=nnx.Rngs(0))


def images_of(shape, count=2):
    return np.random.default_rng(0).random((count, *shape), np.float32)


def without_values(name):
    """Return a network of the zoo in which every number is zero, and the shape of its input."""
    network, shape = models.create(name), models.input_shape(name)
    graphdef, state = nnx.split(network.abstract(shape))
    zeros = jax.tree.map(lambda array: np.zeros(array.shape, array.dtype), state)
    return nnx.merge(graphdef, zeros), shape


@pytest.fixture
def traces(monkeypatch):
    """The shapes of images for which a model was traced to compute its values."""
    seen = []
    run = intermediates.run_collecting

    def counted(structure, arrays, images):
        seen.append(images.shape)
        return run(structure, arrays, images)

    monkeypatch.setattr(intermediates, "run_collecting", counted)
    return seen


def test_values_are_those_of_the_operations():
    model = build(serial(conv(4, 3, strides=2), jax.nn.relu, max_pool(2), flatten(), dense(3)),
                  (9, 9, 2))  # fmt: skip
    x = images_of((9, 9, 2))
    first = ops.conv(x, model.conv_1.kernel[...], model.conv_1.bias[...], strides=2)
    positive = jnp.maximum(first, 0)
    pooled = positive.reshape(2, 2, 2, 2, 2, 4).max((2, 4))
    flat = pooled.reshape(2, -1)
    last = flat @ model.dense_1.kernel[...] + model.dense_1.bias[...][None]
    expected = [first, positive, pooled, flat, last]
    found = activations(model, x)
    assert list(found) == ["conv_1", "relu_1", "max_pool_1", "flatten_1", "dense_1"]
    for ours, theirs in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["dense_1"], model(x, train=False), rtol=1e-5, atol=1e-6)


def test_pixels_become_numbers_between_zero_and_one():
    model = build(serial(conv(1, 1, use_bias=False)), (2, 2, 1))
    pixels = np.array([[[[0], [51]], [[102], [255]]]], np.uint8)
    found = activations(model, pixels, "conv_1")["conv_1"]
    kernel = float(model.conv_1.kernel[0, 0, 0, 0])
    np.testing.assert_allclose(found.ravel(), kernel * np.array([0, 0.2, 0.4, 1]), rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["mnist_cnn", "resnet18_small", "fcn", "vgg11", "inception_time", "r3d_18"]
)
def test_paths_and_shapes_are_the_rows_of_the_summary(name):
    model, shape = without_values(name)
    rows = {row.name: (2, *row.output_shape) for row in summarize(models.create(name), shape).rows}
    found = ObservedModel.of(model).shapes(np.empty((2, *shape), np.float32))
    shapes = {path: array.shape for path, array in found.items()}
    assert [path for path in shapes if path in rows] == list(rows)
    assert {path: shapes[path] for path in rows} == rows
    # The others are blocks, which the summary shows where it is folded.
    for path in shapes.keys() - rows.keys():
        within = [name for name in rows if name.startswith(f"{path}/")]
        assert shapes[path] == rows[within[-1]]


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_100", "inception_v3", "densenet121", "shufflenet_v2_x1_0"]
)
def test_paths_of_large_networks(name):
    test_paths_and_shapes_are_the_rows_of_the_summary(name)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 3, (3,), rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(self.conv(x))) + x


class Own(nnx.Module):
    """A list of blocks, one module that is called twice, and a sum of its own."""

    def __init__(self, rngs):
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.head = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.head(x)) + 1


def normalized(block, x):
    """Return what a block without training adds to its input."""
    kernel, bias = block.conv.kernel[...], block.conv.bias[...]
    padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (0, 0)))
    y = sum(padded[:, k : k + x.shape[1]] @ np.asarray(kernel[k]) for k in range(3)) + bias
    return y / np.sqrt(1 + 1e-5)  # the running mean is 0 and the variance 1


@pytest.mark.implicit_promotion
def test_lists_and_modules_that_are_called_twice():
    model, x = Own(nnx.Rngs(0)), images_of((5, 3))
    found = activations(model, x)
    assert list(found) == [
        *(f"blocks/{n}{part}" for n in (0, 1) for part in ("/conv", "/norm", "/drop", "")),
        "head",
        "head#2",
        "output",
    ]
    first = normalized(model.blocks[0], x)
    np.testing.assert_allclose(found["blocks/0/drop"], first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["blocks/0"], first + x, rtol=1e-4, atol=1e-5)
    second = found["blocks/0"] + normalized(model.blocks[1], found["blocks/0"])
    np.testing.assert_allclose(found["blocks/1"], second, rtol=1e-4, atol=1e-5)
    kernel, bias = model.head.kernel[...], model.head.bias[...]
    np.testing.assert_allclose(found["head"], second @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["head#2"], found["head"] @ kernel + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["output"], found["head#2"] + 1, rtol=1e-6)
    rows = summarize(model, (5, 3)).rows
    assert [row.name for row in rows] == [path for path in found if path]
    # Dots stand for slashes, and the order is that of the call.
    some = activations(model, x, ["head#2", "blocks.1", "blocks/0/norm"])
    assert list(some) == ["head#2", "blocks/1", "blocks/0/norm"]
    np.testing.assert_array_equal(some["blocks/1"], found["blocks/1"])
    assert layers_to_show(model, (5, 3)) == ["blocks/0/conv", "blocks/0", "blocks/1/conv",
                                             "blocks/1", "head", "head#2", "output"]  # fmt: skip


def test_recomputed_blocks_are_observed():
    body = serial(conv(2, 3, padding="SAME"), jax.nn.relu)
    plain, recomputed = (
        build(serial(conv(2, 3), layer), (6, 6, 1))
        for layer in (residual(body), remat(residual(body)))
    )
    x = images_of((6, 6, 1))
    ours, theirs = (list(activations(model, x).items()) for model in (recomputed, plain))
    assert len(ours) == len(theirs) > 3
    for (_, one), (_, other) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    names = [row.name for row in summarize(recomputed).rows]
    assert set(names) <= {name for name, _ in ours}


def test_model_is_unchanged():
    model, x = build(serial(conv(2, 3), remat(serial(conv(2, 1)))), (4, 4, 1)), images_of((4, 4, 1))
    model.eval()

    def described():
        modules = list(nnx.iter_modules(model))
        return [(path, type(module), sorted(vars(module))) for path, module in modules]

    before, arrays = described(), jax.tree.leaves(nnx.state(model))
    copies = [np.array(array) for array in arrays]
    activations(model, x)
    assert described() == before
    for old, new, copy in zip(arrays, jax.tree.leaves(nnx.state(model)), copies, strict=True):
        assert old is new
        np.testing.assert_array_equal(new, copy)


def test_models_of_one_structure_are_compiled_once(traces):
    layer, x = serial(conv(2, 3), jax.nn.relu), images_of((5, 5, 1))
    one, two = build(layer, (5, 5, 1)), layer.build((5, 5, 1), rngs=nnx.Rngs(1))
    first = activations(one, x)["conv_1"]
    assert len(traces) == 1
    np.testing.assert_array_equal(activations(one, x)["conv_1"], first)
    assert not np.allclose(activations(two, x)["conv_1"], first)
    assert len(traces) == 1
    activations(one, x, "relu_1")
    activations(one, x[:1])
    assert len(traces) == 3


class Applies(nnx.Module):
    """A module that passes a layer of its own, and its input, to a function."""

    def __init__(self, function, rngs):
        self.layer = nnx.Linear(3, 3, rngs=rngs)
        self.function = function

    def __call__(self, x):
        return self.function(self.layer, x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda layer, x: x if layer(x).sum() > 0 else -x, "the model branches on the values"),
        (lambda layer, x: x[: int(layer(x).sum())], "the model branches on the values"),
        (lambda layer, x: jnp.asarray(np.asarray(layer(x))), "makes a NumPy array of a value"),
        (lambda layer, x: nnx.jit(lambda m, x: m(x))(layer, x), "a transformation of its own"),
        (lambda layer, x: jax.lax.fori_loop(0, 2, lambda i, x: layer(x), x), "such as nnx.jit or"),
        (lambda layer, x: nnx.remat(lambda m, x: m(x))(layer, x), "from which no values can be"),
    ],
)
def test_models_that_cannot_be_observed(function, message):
    with pytest.raises(TypeError, match=message):
        activations(Applies(function, nnx.Rngs(0)), images_of((4, 3)))


@pytest.mark.parametrize(
    ("paths", "error", "message"),
    [
        (
            "conv_9",
            ValueError,
            r"\(model, input_shape\) lists, such as 'conv_2', 'conv_1'",
        ),
        (["conv_1", "rleu_1"], ValueError, "such as 'relu_1'.*Received: paths='rleu_1'"),
        ("zzzz", ValueError, "such as 'conv_2', 'flatten_1', 'dense_1'. Received: paths='zzzz'"),
        ([1], TypeError, "paths must be a path. Received: paths=1"),
        (1, TypeError, "paths must be a path or a sequence of them. Received: paths=1"),
    ],
)
def test_paths_that_do_not_exist(paths, error, message):
    model = build(serial(conv(2, 3), jax.nn.relu, conv(2, 3), flatten(), dense(2)), (6, 6, 1))
    with pytest.raises(error, match=message):
        activations(model, images_of((6, 6, 1)), paths)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 6, 6, 3), "x must have 1 channels on its last axis"),
        ((1, 7, 6, 1), r"x must be \(batch, in_features\) = \(batch, 32\)"),
        ((6, 6, 1), "add the batch axis"),
        ((1, 1, 16, 16), "which looks channels-first"),
    ],
)
def test_images_that_do_not_fit(shape, message):
    model = build(serial(conv(2, 3), flatten(), dense(2)), (6, 6, 1))
    with pytest.raises(ValueError, match=message):
        activations(model, np.zeros(shape, np.float32))


def test_only_models_with_arrays_have_values():
    layer = serial(conv(2, 3))
    with pytest.raises(TypeError, match="build the description"):
        activations(layer, images_of((6, 6, 1)))
    with pytest.raises(TypeError, match="model must hold arrays, and this one is abstract"):
        activations(layer.abstract((6, 6, 1)), images_of((6, 6, 1)))


@pytest.mark.parametrize(
    ("name", "pools"),
    [("mnist_cnn", ["max_pool_1", "max_pool_2"]), ("resnet18_small", []), ("fcn", [])],
)
def test_layers_that_are_shown(name, pools):
    model, shape = without_values(name)
    layers = layers_to_show(model, shape)
    rows = {row.name: row for row in summarize(models.create(name), shape).rows}
    order = list(rows)
    assert sorted(layers, key=order.index) == layers
    assert 0 < len(set(layers)) == len(layers) <= 8
    assert all(len(rows[path].output_shape) == len(shape) for path in layers)
    assert [path for path in layers if "pool" in path] == pools
    for path in pools:  # and the layer before
        assert order[order.index(path) - 1] in layers


def test_kernel_that_is_shown():
    model = build(serial(conv(3, 1), conv(2, 3), conv(2, 3)), (6, 6, 1))
    path, kernel = first_kernel(model, (6, 6, 1))
    assert path == "conv_2"
    np.testing.assert_array_equal(kernel, model.conv_2.kernel[...])
    path, kernel = first_kernel(model, (6, 6, 1), "conv_1")
    assert (path, kernel.shape) == ("conv_1", (1, 1, 1, 3))
    with pytest.raises(ValueError, match="a convolution, such as conv_1, conv_2, conv_3"):
        first_kernel(model, (6, 6, 1), "relu_1")
    plain = build(serial(flatten(), dense(2)), (6, 6, 1))
    with pytest.raises(ValueError, match="the model has no convolution with a kernel of several"):
        first_kernel(plain, (6, 6, 1))
    with pytest.raises(ValueError, match=r"such as none\. Received: dense_1"):
        first_kernel(plain, (6, 6, 1), "dense_1")
    assert layers_to_show(cnn.serial(flatten(), dense(2)).abstract((6, 6, 1)), (6, 6, 1)) == []

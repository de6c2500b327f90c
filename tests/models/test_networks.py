"""The zoo's networks: shapes, names, options; numbers and values are compared in tests/peers."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxcnn import data, evaluate, fit, models
from jaxcnn.layers import conv
from jaxcnn.models import resnet

# The others take most of the time to trace and compile.
SMALL = ("airbench", "letters_cnn", "mnist_cnn", "pets_cnn", "resnet20", "tiny_cnn")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.long] * (n not in SMALL)) for n in models.names()],
)
def test_every_model_runs_on_its_input(name):
    """Abstractly: the shapes and dtypes of a real run, in none of its time."""
    network, shape = models.create(name), models.input_shape(name)
    graphdef, state = nnx.split(network.abstract(shape))

    def run(state, x, key):
        model = nnx.merge(graphdef, state)
        return model(x), model(x, train=True, key=key), nnx.state(model)

    x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    tested, trained, left = jax.eval_shape(run, state, x, jax.random.key(0))
    expected = (2, *network.output_shape(shape))
    assert (tested.shape, trained.shape) == (expected, expected)
    assert tested.dtype == trained.dtype == jnp.float32
    assert jax.tree.map(lambda leaf: leaf.shape, left) == jax.tree.map(
        lambda leaf: leaf.shape, state
    )


@pytest.mark.parametrize(
    ("name", "options", "sizes"),
    [
        ("resnet18", {}, [56, 28, 14, 7]),
        ("resnet50", {}, [56, 28, 14, 7]),
        ("resnet18_small", {}, [32, 16, 8, 4]),
        ("resnet20", {}, [32, 16, 8]),
        ("airbench", {}, [15, 7, 3]),
        ("mobilenetv2_100", {"width": 0.25}, [112, 56, 28, 14, 14, 7, 7]),
    ],
)
def test_sizes_of_the_stages(name, options, sizes):
    steps = models.create(name, **options).walk(models.input_shape(name))
    last = {step.path[0]: step.output_shape for step in steps}
    stages = [shape for stage, shape in last.items() if stage.startswith("stage_")]
    assert [shape[:2] for shape in stages] == [(size, size) for size in sizes]


def test_names_of_parameters():
    def names(network):
        model = network.abstract((32, 32, 3))
        return {path[:-1] for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))}

    residual = names(models.create("resnet18_small"))
    assert {path[0] for path in residual} == {"stem", *(f"stage_{i}" for i in range(1, 5)), "head"}
    assert ("stage_2", "residual_1", "shortcut", "conv_1") in residual
    assert ("stage_2", "residual_2", "body", "batch_norm_2") in residual
    assert ("stage_2", "block_2", "body", "depthwise_1") in names(models.create("mobilenetv2_100"))
    assert ("stage_3", "conv_2") in names(models.create("airbench"))


def test_an_error_in_a_block_names_its_path(monkeypatch):
    monkeypatch.setattr(resnet, "project", lambda features, strides: conv(features, 1))
    network = resnet._small_resnet(depths=(1, 2), features=4)
    with pytest.raises(ValueError, match=r"^stage_2/residual_1: residual adds outputs that must"):
        network.output_shape((8, 8, 3))
    with pytest.raises(ValueError, match=r"^stage_3/max_pool_1: window must fit"):
        models.create("airbench").output_shape((8, 8, 3))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"features": 0}, r"^features must be at least 1.*=0"),
        ("resnet20", {"num_classes": -1}, r"^num_classes must be at least 0.*=-1"),
        ("mobilenetv2_100", {"width": 0}, r"^width must be above 0. Received: width=0$"),
        ("mobilenetv2_100", {"rate": 1.0}, r"rate .* must be in \[0, 1\).*rate=1.0"),
        ("airbench", {"features": (8, 8)}, r"^features must be three, .* features=\(8, 8\)$"),
    ],
)
def test_errors_of_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, **options)


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_the_tiny_network_learns_digits():
    train, test = (data.load("digits", split=split) for split in ("train", "test"))
    model = models.create("tiny_cnn").build(train.image_shape, rngs=nnx.Rngs(0))
    result = fit(model, train, epochs=6, batch_size=64, learning_rate=1e-2)
    assert evaluate(result.model, test).accuracy > 0.97

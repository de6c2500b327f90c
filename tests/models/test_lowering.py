"""Whole models lowered for each platform: only the CPU's program has the ways of CPU."""

import jax
import pytest
from flax import nnx
from jax import export
from jax.nn import relu

import jaxcnn as cnn

POOLS = cnn.serial(
    cnn.conv(8, 3, padding=1), relu, cnn.max_pool(2, dilation=2, strides=1),
    cnn.conv(32, 3, padding=1), cnn.batch_norm(), cnn.sum_pool(3, strides=2),
    cnn.conv(32, 3, padding=1), cnn.lp_pool(2, 2), cnn.adaptive_avg_pool(2),
    cnn.conv(32, 1, groups=4), cnn.conv(32, 3, padding=1, groups=4),
    cnn.flatten(), cnn.dense(10),
)  # fmt: skip
MODELS = {
    "mnist_cnn": (cnn.models.create("mnist_cnn"), (28, 28, 1)),
    "resnet20": (cnn.models.create("resnet20"), (32, 32, 3)),
    "mobilenetv2_100": (cnn.models.create("mobilenetv2_100", width=0.25), (32, 32, 3)),
    "pools": (POOLS, (32, 32, 3)),
}


def program(layer, input_shape, platform):
    """A training step's gradients, as StableHLO."""
    graphdef, params, others = nnx.split(layer.abstract(input_shape), nnx.Param, ...)
    others = nnx.to_pure_dict(others)

    def loss(params, others, x, key):
        model = nnx.merge(graphdef, params, others)
        return (model(x, train=True, key=key) ** 2).sum()

    arrays = [nnx.to_pure_dict(params), others, jax.ShapeDtypeStruct((8, *input_shape), "float32")]
    lower = export.export(jax.jit(jax.grad(loss)), platforms=[platform])
    return lower(*arrays, jax.eval_shape(lambda: jax.random.key(0))).mlir_module()


LARGE = ("mobilenetv2_100", "resnet20")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in LARGE)) for name in MODELS],
)
def test_accelerators_get_the_plain_program(name):
    layer, input_shape = MODELS[name]
    kinds = [step.layer.kind for step in layer.walk(input_shape)]
    convolutions = sum(kind in ("conv", "depthwise") for kind in kinds)
    for platform in ("cuda", "tpu"):
        text = program(layer, input_shape, platform)
        # Forward and two gradients of each, but for the images'.
        assert text.count("stablehlo.convolution(") == 3 * convolutions - 1
        assert text.count("stablehlo.dot_general") == 3 * kinds.count("dense")
        assert "inlineable" not in text
        plain_pools = sum(kind == "max_pool" for kind in kinds) - (name == "pools")
        assert text.count('"stablehlo.select_and_scatter"') == plain_pools
    text = program(layer, input_shape, "cpu")
    assert text.count("stablehlo.convolution(") != 3 * convolutions - 1
    assert "select_and_scatter" not in text
    assert "inlineable" in text

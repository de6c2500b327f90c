"""Exported programs of symbolic batch, height and width, and programs of plain operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export
from jax.extend.core import jaxprs_in_params
from layers.test_every_layer import LAYERS
from ops.test_every_op import EXAMPLES

import jaxcnn as cnn
from jaxcnn import layers, ops
from jaxcnn.runtime import plain_operations

# By the rank of x: its symbolic shape but the channels, and sizes to call the program with.
SYMBOLIC = {
    3: ("b, 2*h", (3, 12)),
    4: ("b, 2*h, 2*w", (3, 12, 14)),
    5: ("b, d, 2*h, 2*w", (3, 7, 12, 14)),
}


def test_every_operation_with_symbolic_sizes():
    """One program of all operations, called with sizes that it was not written for."""
    names = [name for name, example in EXAMPLES.items() if len(example.shapes[0]) in SYMBOLIC]
    names.remove("filter_image")  # height and width come first
    names.remove("fold")  # the output's size, a number, tells the input's
    # A grid has the batch of the image, and no batch is symbolic but that of the first array.
    names = [name for name in names if "grid" not in name]
    scope = export.SymbolicScope(["h >= 3", "w >= 2"])  # for padding that reflects, and frames
    structs, inputs = {}, {}
    for name in names:
        first, *others = EXAMPLES[name].shapes
        dimensions, sizes = SYMBOLIC[len(first)]
        symbolic = export.symbolic_shape(f"{dimensions}, {first[-1]}", scope=scope)
        shapes = [symbolic, *others]
        structs[name] = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        random = np.random.default_rng(0)
        sizes = [(*sizes, first[-1]), *others]
        inputs[name] = [random.normal(size=size).astype(np.float32) for size in sizes]

    def run(inputs):
        return {name: EXAMPLES[name].function(*arrays) for name, arrays in inputs.items()}

    program = export.export(jax.jit(run), platforms=["cpu", "cuda", "tpu"])(structs)
    outputs, expected = program.call(inputs), jax.jit(run)(inputs)
    for name in names:
        np.testing.assert_allclose(
            outputs[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name
        )


def test_every_layer_with_symbolic_sizes():
    """But `dense` after `flatten`, whose parameters depend on the size, and detectors."""
    rows = [layer for layer, *_ in LAYERS if "dense" not in repr(layer)]
    rows = [layer for layer in rows if "detector" not in repr(layer)]
    sizes = (12, 14, 4)
    models = {repr(layer): nnx.split(layer.build(sizes, rngs=nnx.Rngs(0))) for layer in rows}
    states, structure = jax.tree.flatten({name: state for name, (_, state) in models.items()})

    def run(leaves, x):
        named = jax.tree.unflatten(structure, leaves)
        return {name: nnx.merge(models[name][0], state)(x) for name, state in named.items()}

    x = np.random.default_rng(0).normal(size=(3, *sizes)).astype(np.float32)
    shape = export.symbolic_shape("b, 2*h, 2*w, 4", constraints=["h >= 2", "w >= 2"])
    kinds = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), states)
    program = export.export(jax.jit(run))(kinds, jax.ShapeDtypeStruct(shape, jnp.float32))
    outputs, expected = program.call(states, x), jax.jit(run)(states, x)
    for name in models:
        np.testing.assert_allclose(
            outputs[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name
        )


def primitives(jaxpr):
    """The names of all primitives of a program, at any depth."""
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for inner in jaxprs_in_params(equation.params):
            found |= primitives(inner)
    return found


def network():
    model = cnn.serial(
        cnn.conv(8, 3, padding="SAME"), jax.nn.relu, cnn.max_pool(2), cnn.batch_norm(),
        cnn.conv_transpose(4, 3, strides=2), cnn.avg_pool(2), layers.upsample(2, method="linear"),
        cnn.max_pool(2, dilation=2), cnn.flatten(), cnn.dense(3),
    )  # fmt: skip
    return model.build((12, 12, 3), rngs=nnx.Rngs(0))


def test_primitives_have_names_of_their_own():
    model = network()
    gradient = jax.grad(lambda x: model(x).sum())
    names = primitives(jax.make_jaxpr(gradient)(jnp.zeros((1, 12, 12, 3))).jaxpr)
    ours = {name for name in names if name.startswith("jaxcnn_")}
    assert {"jaxcnn_conv", "jaxcnn_conv_input_gradient", "jaxcnn_max_pool"} <= ours
    assert not names & {name.removeprefix("jaxcnn_") for name in ours}


@pytest.mark.parametrize("function", [lambda f: f, lambda f: jax.grad(lambda x: (f(x) ** 2).sum())])
def test_plain_operations(function):
    """The same values by JAX's own primitives alone, also where a program was traced before."""
    model, x = network(), np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype("f4")
    program = jax.jit(function(model))
    expected = program(x)
    with plain_operations():
        names = primitives(jax.make_jaxpr(program)(x).jaxpr)
        y = program(x)
    assert "conv_general_dilated" in names
    assert not [name for name in names if "jaxcnn" in name]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    again = primitives(jax.make_jaxpr(program)(x).jaxpr)
    assert [name for name in again if "jaxcnn" in name]


def test_plain_operations_of_interpreters():
    """``jax.experimental.jet`` knows JAX's primitives only."""
    from jax.experimental import jet

    x, kernel = jnp.ones((1, 5, 5, 1)), jnp.ones((3, 3, 1, 2))

    def cubed(x):
        return ops.conv(x, kernel) ** 3

    with plain_operations():
        _, (first, _) = jet.jet(cubed, (x,), ((jnp.ones_like(x), jnp.zeros_like(x)),))
    np.testing.assert_allclose(first, 3 * 9.0**2 * 9 * np.ones((1, 3, 3, 2)), rtol=1e-5)

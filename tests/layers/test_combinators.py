"""Layers made of layers: sums, branches, repetition, and errors with a path."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn
from jaxcnn import modules
from jaxcnn.layers import (
    batch_norm,
    conv,
    dense,
    depth_to_space,
    dropout,
    flatten,
    global_avg_pool,
    group_norm,
    max_pool,
    parallel,
    remat,
    repeat,
    residual,
    serial,
    squeeze_excite,
)
from jaxcnn.runtime import training_options

X = jax.device_put(np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32))


def block(features, strides=1):
    return residual(
        serial(
            conv(features, 3, strides=strides, padding=1, use_bias=False), batch_norm(), relu,
            conv(features, 3, padding=1, use_bias=False), batch_norm(),
        ),
        None if strides == 1 else conv(features, 1, strides=strides),
    )  # fmt: skip


def test_residual_adds():
    model = residual(conv(4, 3, padding=1)).build(X.shape[1:], rngs=nnx.Rngs(0))
    np.testing.assert_allclose(model(X), X + model.body(X), rtol=1e-6)
    model = residual(conv(6, 3, padding=1), conv(6, 1)).build(X.shape[1:], rngs=nnx.Rngs(0))
    np.testing.assert_allclose(model(X), model.body(X) + model.shortcut(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("concat", lambda a, b: jnp.concatenate([a, b], -1)),
        ("add", lambda a, b: a + b),
        ("multiply", lambda a, b: a * b),
    ],
)
def test_parallel_combines(combine, expected):
    layer = parallel(conv(4, 1), wide=conv(4, 3, padding=1), combine=combine)
    model = layer.build(X.shape[1:], rngs=nnx.Rngs(0))
    np.testing.assert_allclose(model(X), expected(model.conv_1(X), model.wide(X)), rtol=1e-6)


def test_each_branch_has_randomness_of_its_own(key):
    branches = parallel(dropout(0.5), dropout(0.5)).build((100,), rngs=nnx.Rngs(0))
    first, second = jnp.split(branches(jnp.ones((1, 100)), train=True, key=key), 2, axis=-1)
    assert not jnp.array_equal(first, second)
    both = residual(dropout(0.5), dropout(0.5)).build((100,), rngs=nnx.Rngs(0))
    assert set(np.unique(both(jnp.ones((1, 100)), train=True, key=key))) == {0, 2, 4}


def test_repeated_layers_have_parameters_of_their_own():
    model = repeat(2, conv(4, 1)).build(X.shape[1:], rngs=nnx.Rngs(0))
    assert not jnp.array_equal(model.conv_1.kernel[...], model.conv_2.kernel[...])


def test_names_of_a_residual_network():
    network = serial(
        conv(4, 3), stage_1=repeat(2, block(4)), stage_2=block(8, strides=2),
        pool=global_avg_pool(), head=dense(10),
    )  # fmt: skip
    rows = [row.name for row in cnn.summarize(network, (16, 16, 3)).rows]
    assert rows[1:8] == [
        "stage_1/residual_1/body/conv_1",
        "stage_1/residual_1/body/batch_norm_1",
        "stage_1/residual_1/body/relu_1",
        "stage_1/residual_1/body/conv_2",
        "stage_1/residual_1/body/batch_norm_2",
        "stage_1/residual_1/add",
        "stage_1/residual_2/body/conv_1",
    ]
    model = network.build((16, 16, 3), rngs=nnx.Rngs(0))
    assert model.stage_1.residual_2.body.conv_1.kernel.shape == (3, 3, 4, 4)
    assert model.stage_2.shortcut.kernel.shape == (1, 1, 4, 8)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            serial(stage_2=serial(block(4), residual(serial(relu, conv(4, 3), conv(4, 9))))),
            "stage_2/residual_2/body/conv_2: kernel_size must fit into the padded input: "
            "n_H = ⌊(6 − 9 + 2·0) / 1⌋ + 1 = -2.",
        ),
        (
            serial(stage=residual(conv(4, 3))),
            "stage: residual adds the body's output (6, 6, 4) to the input (8, 8, 4), which must "
            "have the same shape.",
        ),
        (
            serial(residual(conv(6, 3, strides=2), conv(6, 1, strides=2))),
            "residual_1: residual adds outputs that must have the same shape. "
            "Received: body (3, 3, 6), shortcut (4, 4, 6) for input_shape=(8, 8, 4)",
        ),
        (
            residual(relu, conv(6, 9)),
            "shortcut: kernel_size must fit into the padded input",
        ),
        (
            serial(parallel(conv(6, 1), narrow=conv(6, 3))),
            "parallel_1: branches that are concatenated must have the same shape except for the "
            "channels. Received: conv_1 (8, 8, 6), narrow (6, 6, 6)",
        ),
        (
            parallel(relu, conv(6, 1), combine="add"),
            "branches that are added must have the same shape. "
            "Received: relu_1 (8, 8, 4), conv_1 (8, 8, 6)",
        ),
        (
            parallel(relu, max_pool(2), combine="multiply"),
            "branches that are multiplied must have the same shape, or 1 on an axis. "
            "Received: relu_1 (8, 8, 4), max_pool_1 (4, 4, 4)",
        ),
        (
            serial(parallel(wide=serial(conv(6, 1), group_norm(4)))),
            "parallel_1/wide/group_norm_1: groups must divide the channels. "
            "Received: groups=4, input_shape=(8, 8, 6)",
        ),
        (
            serial(head=serial(depth_to_space(3))),
            "head/depth_to_space_1: block**2 = 9 must divide the channels.",
        ),
        (
            serial(flatten(), squeeze_excite()),
            "squeeze_excite_1: input_shape must be (*spatial, channels)",
        ),
    ],
)
def test_errors_name_the_path(layer, message):
    for method in (
        layer.output_shape,
        lambda shape: layer.build(shape, rngs=nnx.Rngs(0)),
        lambda shape: cnn.summarize(layer, shape),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            method((8, 8, 4))


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_a_residual_network_learns(key):
    """Twenty steps on one batch halve the loss; statistics are the state's, not the model's."""
    network = serial(
        conv(8, 3, padding=1), block(8), block(16, strides=2), squeeze_excite(ratio=4),
        parallel(global_avg_pool(), serial(max_pool(4), flatten())), dense(4),
    )  # fmt: skip
    model = network.build((8, 8, 4), rngs=nnx.Rngs(0))
    optimizer = optax.adam(1e-2)
    step, state = (
        cnn.make_training(model, optimizer).step,
        cnn.make_training(model, optimizer).init(key),
    )
    images = jax.random.normal(key, (16, 8, 8, 4))
    batch = cnn.Batch(images, jnp.arange(16) % 4, jnp.ones(16, bool))
    losses = []
    for _ in range(20):
        state, metrics = step(state, batch)
        losses.append(float(metrics.loss))
    assert losses[-1] < losses[0] / 2
    untouched = model.residual_1.body.batch_norm_1.mean[...]
    np.testing.assert_array_equal(untouched, np.zeros(8))
    trained = state.to_model(model).residual_1.body.batch_norm_1.mean[...]
    assert not np.array_equal(trained, untouched)


def plain_and_remat():
    """Two networks of the same arrays; blocks of the second are computed again."""
    blocks = [serial(conv(4, 3, padding=1), batch_norm(), relu, dropout(0.5)), block(4)]
    networks = (serial(*map(wrap, blocks), flatten(), dense(3)) for wrap in (lambda b: b, remat))
    return [network.build((8, 8, 4), rngs=nnx.Rngs(0)) for network in networks]


def test_remat_keeps_values_gradients_statistics_and_names(key):
    def loss(params, statistics, graphdef):
        model = nnx.merge(graphdef, params, statistics)
        y = model(X, train=True, key=key)
        return (y**2).mean(), (y, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)))

    results = []
    for model in plain_and_remat():
        graphdef, params, statistics = nnx.split(model, nnx.Param, ...)
        differentiated = jax.value_and_grad(loss, has_aux=True)
        arrays = map(nnx.to_pure_dict, (params, statistics))
        results.append(jax.jit(differentiated, static_argnums=2)(*arrays, graphdef))
    plain, again = results
    assert jax.tree.structure(plain) == jax.tree.structure(again)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, again)
    # Moved once, by a tenth of the way from 0 to the batch's mean.
    plain_model, model = plain_and_remat()
    y = plain_model.serial_1.conv_1(X)
    model(X, train=True, key=key)
    expected = 0.1 * np.asarray(y).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(model.serial_1.batch_norm_1.mean[...], expected, atol=1e-6)


def test_remat_needs_less_memory_for_a_deep_network():
    def temporary_bytes(wrap):
        deep = serial(*[wrap(serial(*[conv(8, 3, padding=1), jnp.tanh] * 3))] * 6)
        model = deep.build((16, 16, 8), rngs=nnx.Rngs(0))
        graphdef, params, _ = nnx.split(model, nnx.Param, ...)
        gradient = jax.grad(lambda params, x: (nnx.merge(graphdef, params)(x) ** 2).mean())
        compiled = jax.jit(gradient, compiler_options=training_options()).lower(
            nnx.to_pure_dict(params), jnp.zeros((8, 16, 16, 8))
        )
        return compiled.compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(remat) < 0.6 * temporary_bytes(lambda layer: layer)


def test_remat_has_second_derivatives_in_both_modes():
    def along_ones(function):
        gradient = jax.grad(lambda x: jnp.sum(function(x) ** 3))
        return jax.jit(lambda x: jax.jvp(gradient, (x,), (jnp.ones_like(x),)))(X)

    again = along_ones(remat(jnp.tanh).abstract(X.shape[1:]))
    for a, b in zip(along_ones(jnp.tanh), again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_remat_names_errors_and_prints_as_written():
    network = serial(remat(serial(conv(4, 3), max_pool(9))))
    assert repr(network) == "serial(remat(serial(conv(4, 3), max_pool(9))))"
    with pytest.raises(ValueError, match=r"^serial_1/max_pool_1: "):
        network.output_shape((8, 8, 4))
    with pytest.raises(ValueError, match=r"^serial_1/max_pool_1: "):
        network.build((8, 8, 4), rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="a layer must be a description"):
        remat(3)


def test_remat_of_a_module_of_flax():
    module = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    again = modules.remat(module)
    np.testing.assert_allclose(again(X[:, 0, 0], train=True), module(X[:, 0, 0]))
    assert isinstance(again, nnx.Linear)
    assert again.kernel is module.kernel

"""Every kind of layer: its shape, its module, its description, its place in a training step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import assume, given
from hypothesis import strategies as st
from jax.nn import relu

import jaxcnn as cnn
from jaxcnn import layers, ops
from jaxcnn.layers import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    batch_norm,
    channel_shuffle,
    conv,
    conv_transpose,
    dense,
    depth_to_space,
    depthwise,
    detector,
    drop_path,
    dropout,
    flatten,
    function,
    global_avg_pool,
    global_max_pool,
    group_norm,
    identity,
    instance_norm,
    layer_norm,
    layer_scale,
    local_response_norm,
    lp_pool,
    max_pool,
    pad,
    parallel,
    prelu,
    remat,
    repeat,
    residual,
    resize,
    rms_norm,
    separable,
    serial,
    space_to_depth,
    spatial_dropout,
    squeeze_excite,
    standardize,
    sum_pool,
    upsample,
)

IMAGE = (8, 6, 4)
# Layer, what it makes of IMAGE, parameters that train, and other numbers that it keeps.
LAYERS = [
    (conv(6, 3), (6, 4, 6), 9 * 4 * 6 + 6, 0),
    (conv(6, 3, padding=2, padding_mode="circular"), (10, 8, 6), 9 * 4 * 6 + 6, 0),
    (conv_transpose(6, 3, strides=2, padding="SAME"), (16, 12, 6), 9 * 4 * 6 + 6, 0),
    (conv_transpose(6, 3, strides=2, padding=1, output_padding=1, groups=2, use_bias=False),
     (16, 12, 6), 9 * 2 * 6, 0),
    (depthwise(3), (6, 4, 4), 9 * 4 + 4, 0),
    (depthwise((3, 2), multiplier=2, strides=2, padding="SAME", use_bias=False), (4, 3, 8), 48, 0),
    (separable(6, 3), (6, 4, 6), 9 * 4 + 4 * 6 + 6, 0),
    (separable(6, 3, multiplier=2, strides=2, use_bias=False), (3, 2, 6), 9 * 8 + 8 * 6, 0),
    (max_pool(2), (4, 3, 4), 0, 0),
    (avg_pool(3, strides=2, padding=1, count_include_pad=True), (4, 3, 4), 0, 0),
    (sum_pool((2, 3)), (4, 2, 4), 0, 0),
    (lp_pool(2, 3, ceil_mode=True), (4, 3, 4), 0, 0),
    (global_max_pool(), (4,), 0, 0),
    (global_avg_pool(keepdims=True), (1, 1, 4), 0, 0),
    (adaptive_max_pool((3, 5)), (3, 5, 4), 0, 0),
    (adaptive_avg_pool(7), (7, 7, 4), 0, 0),
    (pad(((1, 2), (0, 3)), mode="reflect"), (11, 9, 4), 0, 0),
    (pad(((-2, 1), (0, -3)), mode="replicate"), (7, 3, 4), 0, 0),
    (pad(1, value=1.0), (10, 8, 4), 0, 0),
    (resize((5, 9), method="cubic"), (5, 9, 4), 0, 0),
    (identity(), IMAGE, 0, 0),
    (resize(5, method="bicubic", coordinates="align_corners"), (5, 5, 4), 0, 0),
    (upsample((1.5, 0.7), coordinates="asymmetric"), (12, 4, 4), 0, 0),
    (upsample((2, 3), method="linear"), (16, 18, 4), 0, 0),
    (space_to_depth(2), (4, 3, 16), 0, 0),
    (depth_to_space(2), (16, 12, 1), 0, 0),
    (channel_shuffle(2), IMAGE, 0, 0),
    (batch_norm(), IMAGE, 8, 8),
    (batch_norm(momentum=0.5, use_scale=False, use_bias=False), IMAGE, 0, 8),
    (layer_norm(), IMAGE, 8, 0),
    (group_norm(2, use_bias=False), IMAGE, 4, 0),
    (instance_norm(), IMAGE, 8, 0),
    (rms_norm(), IMAGE, 4, 0),
    (local_response_norm(3), IMAGE, 0, 0),
    (dropout(0.5), IMAGE, 0, 0),
    (spatial_dropout(0.5), IMAGE, 0, 0),
    (drop_path(0.5), IMAGE, 0, 0),
    (function(relu), IMAGE, 0, 0),
    (serial(flatten(), dense(5)), (5,), 8 * 6 * 4 * 5 + 5, 0),
    (residual(conv(4, 3, padding="SAME")), IMAGE, 9 * 4 * 4 + 4, 0),
    (residual(conv(6, 3, strides=2, padding=1), conv(6, 1, strides=2)), (4, 3, 6),
     9 * 4 * 6 + 6 + 4 * 6 + 6, 0),
    (parallel(conv(2, 1), max_pool(3, strides=1, padding=1)), (8, 6, 6), 4 * 2 + 2, 0),
    (parallel(relu, jnp.tanh, conv(4, 1), combine="add"), IMAGE, 4 * 4 + 4, 0),
    (parallel(relu, global_avg_pool(keepdims=True), combine="multiply"), IMAGE, 0, 0),
    (repeat(3, conv(4, 1)), IMAGE, 3 * 20, 0),
    (remat(serial(conv(4, 1), batch_norm())), IMAGE, 20 + 8, 8),
    (remat(conv(6, 3)), (6, 4, 6), 9 * 4 * 6 + 6, 0),
    (remat(relu), IMAGE, 0, 0),
    (standardize((0.5, 0.4, 0.3, 0.2), 0.25), IMAGE, 0, 0),
    (prelu(), IMAGE, 4, 0),
    (layer_scale(init=1e-6), IMAGE, 4, 0),
    (squeeze_excite(ratio=2), IMAGE, 4 * 2 + 2 + 2 * 4 + 4, 0),
    (detector(serial(conv(4, 3, strides=2, padding=1), conv(4, 2, strides=2)),
              serial(conv(7, 1), jnp.tanh),
              maps=("conv_1", "conv_2"), features=4),
     (4 * 3 + 2, 3 + 7), 148 + 68 + 2 * (20 + 148) + 35 + 2, 0),
]  # fmt: skip
every = pytest.mark.parametrize(
    ("layer", "output_shape", "trainable", "kept"), LAYERS, ids=[repr(row[0]) for row in LAYERS]
)


def images(batch=3, shape=IMAGE):
    numbers = np.random.default_rng(0).normal(size=(batch, *shape))
    return jax.device_put(numbers.astype(np.float32))


def run(state, graphdef, x, key):
    """Both outputs of a model, without and with training."""
    model = nnx.merge(graphdef, state)
    return model(x), model(x, train=True, key=key)


OTHERS = ("Layer", "Preprocessing", "Step", "pretrained", "pyramid")  # no kinds


def test_every_kind_has_an_example():
    kinds = {name for name in layers.__all__ if name not in OTHERS}
    used = {name for layer, *_ in LAYERS for name in kinds if f"{name}(" in repr(layer)}
    # Compositions print as what they are made of, and a function as its own name.
    functions = {"fully_convolutional", "sliding_windows"}  # test_sliding.py
    elsewhere = {
        "ensemble",
        "masked",
        "mel_spectrogram",
        "skip_decoder",
        "spectrogram",
    }  # with tests of their own
    assert kinds - used - functions - elsewhere == {"separable", "repeat", "function"}


@every
def test_shape_and_parameters(layer, output_shape, trainable, kept, key):
    assert layer.output_shape(IMAGE) == output_shape
    graphdef, state = nnx.split(layer.abstract(IMAGE))
    outputs = jax.eval_shape(
        lambda state, *inputs: run(state, graphdef, *inputs), state, images(), key
    )
    assert [y.shape for y in outputs] == [(3, *output_shape)] * 2
    model = nnx.merge(graphdef, state)
    sizes = [
        sum(array.size for array in jax.tree.leaves(nnx.state(model, kind)))
        for kind in (nnx.Param, nnx.BatchStat)
    ]
    assert sizes == [trainable, kept]
    summary = cnn.summarize(layer, IMAGE)
    assert (summary.trainable, summary.non_trainable) == (trainable, kept)
    assert summary.rows[-1].output_shape == output_shape


@every
def test_the_abstract_module_is_the_built_one(layer, output_shape, trainable, kept):
    def shapes(model):
        return jax.tree.map(
            lambda array: (array.shape, array.dtype), nnx.to_pure_dict(nnx.state(model))
        )

    built = layer.build(IMAGE, rngs=nnx.Rngs(0))
    assert shapes(layer.abstract(IMAGE)) == shapes(built)
    assert nnx.graphdef(built) == nnx.graphdef(layer.build(IMAGE, rngs=nnx.Rngs(1)))


@every
def test_description_is_a_value(layer, output_shape, trainable, kept):
    names = {name: getattr(layers, name) for name in layers.__all__} | {"relu": relu}
    copy = eval(f"serial({layer!r})", names | {"tanh": jnp.tanh}).children[0][1]
    assert copy == layer
    assert hash(copy) == hash(layer)


@every
def test_a_step_trains_it(layer, output_shape, trainable, kept, key):
    """Every parameter has a finite gradient, and the statistics move."""
    network = serial(layer, flatten()) if len(output_shape) > 1 else layer
    model = network.build(IMAGE, rngs=nnx.Rngs(0))
    optimizer = optax.sgd(0.1)
    state = cnn.make_training(model, optimizer).init(key)
    before = jax.tree.map(np.asarray, (state.params, state.statistics))
    batch = cnn.Batch(images(), np.arange(3, dtype=np.int32), np.ones(3, bool))
    after, metrics = cnn.make_training(model, optimizer).step(state, batch)
    assert np.isfinite(metrics.loss)
    for old, new in zip(
        jax.tree.leaves(before), jax.tree.leaves((after.params, after.statistics)), strict=True
    ):
        assert np.isfinite(new).all()
        assert not np.array_equal(old, new)


@pytest.mark.implicit_promotion
@every
def test_bfloat16(layer, output_shape, trainable, kept, key):
    """Computes in half precision, and keeps its parameters and statistics in float32."""
    if "dtype" not in vars(layer):
        pytest.skip("it follows its input")
    half = type(layer)(**vars(layer) | {"dtype": jnp.bfloat16})
    model = half.build(IMAGE, rngs=nnx.Rngs(0))
    in_full = nnx.graphdef(layer.abstract(IMAGE))

    @jax.jit
    def trained(state, x):
        models = nnx.merge(nnx.graphdef(model), state), nnx.merge(in_full, state)
        outputs = [model(x, train=True, key=key) for model in models]
        return *outputs, nnx.to_pure_dict(nnx.state(models[0]))

    y, full, after = trained(nnx.state(model), images())
    assert y.dtype == jnp.bfloat16
    assert {array.dtype for array in jax.tree.leaves(after)} <= {jnp.dtype("float32")}
    np.testing.assert_allclose(np.asarray(y, np.float32), full, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@every
def test_halves_under_strict_promotion(layer, output_shape, trainable, kept, key, dtype):
    """Images in half precision, beside parameters in float32 and in half precision."""
    graphdef, state = nnx.split(layer.abstract(IMAGE))
    x = jax.ShapeDtypeStruct((3, *IMAGE), dtype)

    def outputs(state, x):
        y, trained = run(state, graphdef, x, key)
        return y.astype(jnp.float32).sum() + trained.astype(jnp.float32).sum()

    def cast(array):
        return jax.ShapeDtypeStruct(array.shape, dtype)

    for arrays in (state, jax.tree.map(cast, state)):
        _, gradient = jax.eval_shape(jax.grad(outputs, argnums=(0, 1), allow_int=True), arrays, x)
        assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)


@given(st.data())
def test_predicted_shape_is_computed_shape(data):
    """The kinds that the table shows once, with options and sizes drawn."""
    axes = data.draw(st.integers(1, 3))
    small, size = st.integers(1, 3), st.integers(1, 7)
    shape = (*data.draw(st.tuples(*[size] * axes)), 4)
    strides, dilation = (data.draw(st.tuples(*[small] * axes)) for _ in range(2))
    window = data.draw(st.tuples(*[small] * axes))
    layer = data.draw(
        st.sampled_from(
            [
                conv_transpose(6, window, strides=strides, dilation=dilation, groups=2,
                               padding=data.draw(st.sampled_from(["VALID", "SAME", 0, 1])),
                               output_padding=tuple(s - 1 for s in strides)),
                depthwise(window, strides=strides, dilation=dilation, padding="SAME", multiplier=2),
                separable(5, window, strides=strides, padding="SAME"),
                sum_pool(window, strides=strides, padding="SAME", ceil_mode=True),
                lp_pool(window, 2, strides=strides, dilation=dilation, padding="SAME_LOWER"),
                adaptive_max_pool(window),
                adaptive_avg_pool(strides),
                pad([(low, high) for low, high in zip(strides, dilation, strict=True)],
                    mode="replicate"),
                resize(window),
                upsample(strides),
                serial(upsample(2), space_to_depth(2)),
                serial(conv(4 * 2**axes, 1), depth_to_space(2)),
                serial(group_norm(2), batch_norm(), squeeze_excite(ratio=3)),
                residual(depthwise(3, padding="SAME"), conv(4, 1)),
                parallel(conv(3, 1), depthwise(3, padding="SAME"), spatial_dropout(0.5)),
            ]
        )
    )  # fmt: skip
    try:
        predicted = layer.output_shape(shape)
    except ValueError:  # a crop that leaves nothing of a transposed convolution
        assume(False)
    graphdef, state = nnx.split(layer.abstract(shape))
    y = jax.eval_shape(
        lambda state, x: nnx.merge(graphdef, state)(x),
        state,
        jax.ShapeDtypeStruct((2, *shape), jnp.float32),
    )
    assert y.shape == (2, *predicted)


def test_depthwise_and_separable_are_the_operations():
    x = images()
    model = separable(6, 3, padding="SAME").build(IMAGE, rngs=nnx.Rngs(0))
    first, second = model.depthwise_1, model.conv_1
    assert (first.kernel.shape, first.bias) == ((3, 3, 1, 4), None)
    each = ops.conv(x, first.kernel[...], padding="SAME", groups=4)
    expected = ops.conv(each, second.kernel[...], second.bias[...])
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-5)


def test_squeeze_excite_weighs_channels():
    x = np.asarray(images())
    model = squeeze_excite(ratio=2).build(IMAGE, rngs=nnx.Rngs(0))
    weights = x.mean((1, 2))
    for convolution, activation in (
        (model.weights.conv_1, relu),
        (model.weights.conv_2, nnx.sigmoid),
    ):
        kernel, bias = (np.asarray(array[...]) for array in (convolution.kernel, convolution.bias))
        weights = np.asarray(activation(weights @ kernel[0, 0] + bias))
    np.testing.assert_allclose(
        model(jnp.asarray(x)), x * weights[:, None, None, :], rtol=1e-5, atol=1e-6
    )


def test_running_statistics_are_used_at_inference(key):
    model = batch_norm(momentum=0.0, epsilon=0.0).build(IMAGE, rngs=nnx.Rngs(0))
    x = images() * 3 + 100
    model(x, train=True, key=key)
    y, x = model(x), np.asarray(x, np.float64)
    np.testing.assert_allclose(model.mean[...], x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(model.var[...], x.var((0, 1, 2)), rtol=1e-3)
    expected = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layer", [batch_norm(), layer_norm(), group_norm(2), instance_norm()])
def test_a_large_mean_costs_no_digits(layer):
    """E[x²] − E[x]² in float32 would leave nothing of a deviation of 1 beside a mean of 10,000."""
    x = images() + 10_000
    y = layer.build(IMAGE, rngs=nnx.Rngs(0))(x, train=True)
    axes = {"batch_norm": (0, 1, 2), "layer_norm": (3,), "instance_norm": (1, 2)}.get(layer.kind)
    exact = np.asarray(x, np.float64)
    if axes is None:
        grouped = exact.reshape(3, 8, 6, 2, 2)
        normal = grouped - grouped.mean((1, 2, 4), keepdims=True)
        expected = (normal / grouped.std((1, 2, 4), keepdims=True)).reshape(x.shape)
    else:
        expected = (exact - exact.mean(axes, keepdims=True)) / exact.std(axes, keepdims=True)
    np.testing.assert_allclose(y, expected, atol=0.05)

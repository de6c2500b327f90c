"""Modules against Flax's own, value and gradient, and what they promise beside."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import layers, modules, ops


def outcome(module, arrays, x):
    """Returns the output and the gradients of a weighted sum by parameters and input."""

    def objective(parameters, x):
        y = nnx.merge(nnx.graphdef(module), parameters)(x)
        weights = np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape)
        return (weights * y.astype(jnp.float32)).sum(), y

    gradients, y = jax.grad(objective, argnums=(0, 1), has_aux=True)(arrays, x)
    return {"y": y, "parameters": gradients[0], "x": gradients[1]}


def assert_same(ours, theirs, x, **tolerances):
    """Gives both modules the same random arrays, then compares values and gradients."""
    shapes = {name: leaf.shape for name, leaf in nnx.to_pure_dict(nnx.state(ours)).items()}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    received, expected = jax.jit(
        lambda *inputs: (outcome(ours, *inputs), outcome(theirs, *inputs))
    )(arrays, x)
    assert jax.tree.map(lambda leaf: leaf.dtype, received) == jax.tree.map(
        lambda leaf: leaf.dtype, expected
    )
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerances), received, expected)


def images(*shape):
    return jax.device_put(np.random.default_rng(1).standard_normal(shape, np.float32))


CONV_OPTIONS = [
    ((9,), {}, {}),
    ((9,), {"padding": "CAUSAL", "dilation": 2}, {"padding": "CAUSAL", "kernel_dilation": 2}),
    ((7, 6), {"use_bias": False}, {"use_bias": False}),
    ((7, 6), {"strides": (2, 1), "padding": "same"}, {"strides": (2, 1), "padding": "SAME"}),
    ((7, 6), {"padding": ((0, 1), (2, 0))}, {"padding": ((0, 1), (2, 0))}),
    ((7, 6), {"dilation": 2, "groups": 2}, {"kernel_dilation": 2, "feature_group_count": 2}),
    ((4, 5, 4), {"padding": 1}, {"padding": 1}),
]


@pytest.mark.parametrize(("spatial", "options", "flax_options"), CONV_OPTIONS, ids=str)
def test_conv_is_that_of_flax(spatial, options, flax_options):
    size = (3,) * len(spatial)
    ours = modules.Conv(4, 6, size, rngs=nnx.Rngs(0), **options)
    theirs = nnx.Conv(
        4, 6, size, rngs=nnx.Rngs(0), **({"padding": "VALID", "strides": 1} | flax_options)
    )
    assert_same(ours, theirs, images(2, *spatial, 4), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("use_bias", [True, False])
def test_dense_is_that_of_flax(use_bias):
    ours = modules.Dense(5, 3, use_bias=use_bias, rngs=nnx.Rngs(0))
    theirs = nnx.Linear(5, 3, use_bias=use_bias, rngs=nnx.Rngs(0))
    assert_same(ours, theirs, images(4, 5), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x_dtype", [jnp.float32, jnp.bfloat16])
def test_bfloat16_computation_with_float32_parameters(x_dtype):
    options = {"dtype": jnp.bfloat16, "param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    dense, linear = modules.Dense(5, 3, **options), nnx.Linear(5, 3, **options)
    conv = modules.Conv(2, 3, (3, 3), **options)
    flax_conv = nnx.Conv(2, 3, (3, 3), padding="VALID", **options)
    assert conv.kernel.dtype == dense.bias.dtype == jnp.float32
    for module, x in ((conv, images(1, 5, 5, 2)), (dense, images(1, 5))):
        assert jax.eval_shape(module, x.astype(x_dtype)).dtype == jnp.bfloat16
    assert_same(dense, linear, images(4, 5).astype(x_dtype), rtol=0.02, atol=0.02)
    assert_same(conv, flax_conv, images(2, 5, 5, 2).astype(x_dtype), rtol=0.02, atol=0.02)


def test_computation_runs_in_param_dtype_by_default():
    conv = modules.Conv(2, 3, (3,), param_dtype=jnp.float16, rngs=nnx.Rngs(0))
    y = jax.eval_shape(conv, images(1, 5, 2))
    assert conv.kernel.dtype == conv.bias.dtype == y.dtype == jnp.float16


def test_flip_kernel_is_numpy_convolve():
    conv = modules.Conv(1, 1, (4,), flip_kernel=True, rngs=nnx.Rngs(3))
    x = images(1, 10, 1)
    expected = np.convolve(x[0, :, 0], conv.kernel[:, 0, 0], mode="valid")
    np.testing.assert_allclose(conv(x)[0, :, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "fan_in"),
    [
        (functools.partial(modules.Conv, 64, 256, (5, 5)), 5 * 5 * 64),
        (functools.partial(modules.Conv, 128, 256, (9, 9), groups=4), 9 * 9 * 32),
        (functools.partial(modules.Dense, 600, 500), 600),
    ],
)
def test_kernels_begin_as_he_normal_and_biases_at_zero(module, fan_in):
    built = module(rngs=nnx.Rngs(0))
    kernel = np.asarray(built.kernel[...], np.float64)
    assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.01)
    assert abs(kernel.mean()) < 0.01 * kernel.std() * 5
    assert not built.bias[...].any()


def test_parameters_come_from_the_rngs():
    def kernel(seed):
        return modules.Conv(2, 3, (3, 3), rngs=nnx.Rngs(seed)).kernel[...]

    np.testing.assert_array_equal(kernel(0), kernel(0))
    assert (kernel(0) != kernel(1)).all()
    rngs = nnx.Rngs(0)
    first, second = (modules.Dense(4, 4, rngs=rngs).kernel[...] for _ in range(2))
    assert (first != second).all()


def test_initializers_get_shape_and_dtype():
    dense = modules.Dense(
        4,
        3,
        kernel_init=nnx.initializers.constant(2.0),
        bias_init=nnx.initializers.constant(-1.0),
        param_dtype=jnp.float16,
        rngs=nnx.Rngs(0),
    )
    np.testing.assert_array_equal(dense.kernel[...], np.full((4, 3), 2, np.float16))
    np.testing.assert_array_equal(dense.bias[...], np.full(3, -1, np.float16))


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (
            functools.partial(modules.Conv, 4, 6, (3, 2), groups=2, param_dtype=jnp.float16),
            {"kernel": (3, 2, 2, 6), "bias": (6,)},
        ),
        (
            functools.partial(modules.Dense, 4, 6, use_bias=False, param_dtype=jnp.float16),
            {"kernel": (4, 6)},
        ),
    ],
)
def test_modules_can_be_abstract(module, shapes):
    before = jax.live_arrays()  # held, so that none of them can die meanwhile
    abstract = nnx.eval_shape(lambda: module(rngs=nnx.Rngs(0)))
    state = nnx.to_pure_dict(nnx.state(abstract, nnx.Param))
    assert len(jax.live_arrays()) == len(before)
    assert state == {
        name: jax.ShapeDtypeStruct(shape, jnp.float16) for name, shape in shapes.items()
    }
    concrete = nnx.to_pure_dict(nnx.state(module(rngs=nnx.Rngs(0)), nnx.Param))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), concrete) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )


MODULES = {
    "conv": lambda rngs: modules.Conv(2, 4, (3, 3), strides=(2, 1), padding=1, rngs=rngs),
    "dense": lambda rngs: modules.Dense(2, 4, rngs=rngs),
    "dropout": lambda rngs: modules.Dropout(0.5),
    "function": lambda rngs: modules.Function(ops.max_pool, window=2),
    "serial": lambda rngs: modules.Serial(
        first=modules.Dense(2, 4, rngs=rngs), relu=modules.Function(jax.nn.relu)
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_two_builds_are_one_program(name):
    first, second = (nnx.graphdef(MODULES[name](nnx.Rngs(seed))) for seed in (0, 1))
    abstract = nnx.graphdef(nnx.eval_shape(lambda: MODULES[name](nnx.Rngs(0))))
    assert first == second == abstract
    assert hash(first) == hash(second) == hash(abstract)


def test_two_options_are_two_programs():
    graphdefs = {
        nnx.graphdef(modules.Conv(2, 4, (3, 3), rngs=nnx.Rngs(0), **options))
        for options in ({}, {"strides": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 2})
    }
    assert len(graphdefs) == 5


class TakesNothing(nnx.Module):
    def __call__(self, x):
        return {}


class TakesTrain(nnx.Module):
    def __call__(self, x, *, train):
        return {"train": train}


class TakesKey(nnx.Module):
    def __call__(self, x, key=None):
        return {"key": key}


class TakesBoth(nnx.Module):
    def __call__(self, x, *, train=False, key=None):
        return {"train": train, "key": key}


@pytest.mark.parametrize(
    ("module", "accepted"),
    [
        (TakesNothing, ()),
        (TakesTrain, ("train",)),
        (TakesKey, ("key",)),
        (TakesBoth, ("train", "key")),
    ],
)
def test_call_passes_what_the_signature_takes(module, accepted):
    options = {"train": True, "key": "a key"}
    expected = {name: options[name] for name in accepted}
    assert modules.call(module(), jnp.zeros(()), **options) == expected


def test_call_passes_nothing_that_a_flax_sequence_would_pass_on():
    linear = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    x = images(4, 2)
    y = modules.call(nnx.Sequential(linear, nnx.relu), x, train=True)
    np.testing.assert_array_equal(y, nnx.relu(linear(x)))


@pytest.mark.parametrize(
    "module", [modules.Dropout(0.0), modules.Serial(drop=modules.Dropout(0.5))]
)
def test_dropout_needs_a_key_while_training(module):
    with pytest.raises(ValueError, match=r"needs a key while training: model\(x, train=True"):
        module(jnp.ones((2, 3)), train=True)


def test_dropout_does_nothing_at_inference(key):
    x = images(2, 3)
    np.testing.assert_array_equal(modules.Dropout(0.9)(x, key=key), x)


def test_serial_gives_each_dropout_its_own_mask(key):
    model = modules.Serial(first=modules.Dropout(0.5), second=modules.Dropout(0.5))
    x = jnp.ones((100, 100))
    y = model(x, train=True, key=key)
    assert np.unique(y).tolist() == [0, 4]
    # One mask used twice would keep a half.
    assert (y != 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(y, model(x, train=True, key=key))
    assert (y != model(x, train=True, key=jax.random.key(1))).any()


def test_serial_is_the_composition_in_order():
    first, second = modules.Dense(3, 4, rngs=nnx.Rngs(0)), modules.Dense(4, 2, rngs=nnx.Rngs(1))
    model = modules.Serial(zeta=first, relu=modules.Function(jax.nn.relu), alpha=second)
    x = images(5, 3)
    hidden = np.maximum(x @ first.kernel[...] + first.bias[...][None], 0)
    expected = hidden @ np.asarray(second.kernel) + np.asarray(second.bias)[None]
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)
    assert model.alpha is second


def test_function_passes_its_options():
    x = images(1, 4, 4, 2)
    pool = modules.Function(ops.max_pool, window=2, strides=(1, 2))
    expected = nnx.max_pool(x, (2, 2), strides=(1, 2))
    np.testing.assert_array_equal(pool(x), expected)


def test_a_pool_before_relu_gives_the_same_bits():
    """Values, and gradients where maxima tie or are negative."""
    x = np.random.default_rng(0).integers(-3, 4, (3, 9, 9, 4)).astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    model = modules.Serial(
        relu_1=modules.Function(jax.nn.relu), pool=modules.Function(ops.max_pool, window=2)
    )

    def plain(x):
        return ops.max_pool(jax.nn.relu(x), 2)

    rewritten = modules.pool_before_relu(model)
    assert (model.call_order, rewritten.call_order) == ((0, 1), (1, 0))
    np.testing.assert_array_equal(rewritten(x), plain(x))
    gradients = [jax.grad(lambda x, f=f: (f(x) ** 2).sum()) for f in (rewritten, plain)]
    np.testing.assert_array_equal(*jax.jit(lambda x: [gradient(x) for gradient in gradients])(x))


def test_a_model_that_is_called_computes_what_its_description_says():
    """The pass is applied by the steps: without it ReLU sees what the summary says."""
    seen = []

    def spy(x):
        seen.append(x.shape)
        return jnp.maximum(x, 0)

    spy.nondecreasing = True
    network = layers.serial(layers.conv(2, 3), spy, layers.max_pool(2))
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    seen.clear()  # the shapes were predicted by calling it
    y = model(images(1, 8, 8, 1))
    np.testing.assert_array_equal(modules.pool_before_relu(model)(images(1, 8, 8, 1)), y)
    assert seen == [(1, 6, 6, 2), (1, 3, 3, 2)]
    assert list(model.names) == ["conv_1", "spy_1", "max_pool_1"]


def test_the_pass_reaches_blocks_inside_modules_and_keeps_the_paths():
    class Own(nnx.Module):
        def __init__(self):
            block = layers.serial(layers.conv(2, 3), jax.nn.relu, layers.max_pool(2))
            self.block = block.build((8, 8, 1), rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.block(x)

    model = Own()
    rewritten = modules.pool_before_relu(model)
    assert rewritten.block.call_order == (0, 2, 1)
    assert model.block.call_order == (0, 1, 2)
    before, after = (nnx.to_pure_dict(nnx.state(module)) for module in (model, rewritten))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    x = images(2, 8, 8, 1)
    np.testing.assert_array_equal(model(x), rewritten(x))


@pytest.mark.parametrize(
    ("function", "is_moved"),
    [
        (jax.nn.relu6, True),
        (jax.nn.sigmoid, True),
        (jnp.tanh, True),
        (modules.mark_nondecreasing(lambda x: 2 * x), True),
        (lambda x: -x, False),
        (jax.nn.gelu, False),
        (jax.nn.swish, False),
    ],
)
def test_only_nondecreasing_functions_are_moved(function, is_moved):
    model = modules.Serial(
        f=modules.Function(function), pool=modules.Function(ops.max_pool, window=2)
    )
    assert (modules.pool_before_relu(model).call_order == (1, 0)) == is_moved
    x = images(2, 6, 6, 3)
    np.testing.assert_array_equal(modules.pool_before_relu(model)(x), model(x))


@pytest.mark.parametrize("dilation", [3, (3, 3)])
def test_a_dilated_pool_stays_after_relu(dilation):
    """Its window steps over the image: the maximum of nothing is −∞, of which ReLU makes 0."""
    x = jnp.ones((1, 1, 1, 1))
    pool = modules.Function(ops.max_pool, window=2, dilation=dilation, padding=2)
    model = modules.Serial(relu=modules.Function(jax.nn.relu), pool=pool)
    expected = ops.max_pool(x, 2, dilation=3, padding=2)
    assert jnp.isneginf(expected).any()
    np.testing.assert_array_equal(modules.pool_before_relu(model)(x), expected)


def test_batch_norm_has_no_option_that_it_does_not_heed():
    for option in ("axis", "axis_index_groups", "use_running_average", "use_fast_variance"):
        with pytest.raises(TypeError, match=option):
            modules.BatchNorm(3, rngs=nnx.Rngs(0), **{option: None})


def test_an_empty_batch_leaves_the_statistics():
    graphdef, params, statistics = nnx.split(
        modules.BatchNorm(3, rngs=nnx.Rngs(0)), nnx.Param, nnx.BatchStat
    )
    statistics = nnx.to_pure_dict(statistics)

    def loss(params):
        module = nnx.merge(graphdef, params, statistics)
        y = module(jnp.zeros((0, 4, 3)), train=True)
        return y.sum(), nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    gradients, after = jax.grad(loss, has_aux=True)(nnx.to_pure_dict(params))
    assert {name: array.tolist() for name, array in gradients.items()} == {
        "scale": [0, 0, 0],
        "bias": [0, 0, 0],
    }
    jax.tree.map(np.testing.assert_array_equal, after, statistics)


NORMS = {
    "batch": lambda **options: modules.BatchNorm(4, **options),
    "layer": lambda **options: modules.LayerNorm(4, **options),
    "group": lambda **options: modules.GroupNorm(4, num_groups=2, **options),
    "instance": lambda **options: modules.InstanceNorm(4, **options),
    "rms": lambda **options: modules.RMSNorm(4, **options),
}


def test_batch_norm_mixes_no_dtypes_by_itself():
    x = images(2, 5, 4).astype("bfloat16")
    assert modules.BatchNorm(4, rngs=nnx.Rngs(0))(x, train=True).dtype == jnp.bfloat16


@pytest.mark.implicit_promotion
@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS)
def test_norms_return_the_dtype_of_their_input(make):
    x = images(2, 5, 4)
    norm = make(rngs=nnx.Rngs(0))
    for dtype in ("float32", "bfloat16", "float16"):
        assert jax.eval_shape(norm, x.astype(dtype)).dtype == dtype
    norm = make(rngs=nnx.Rngs(0), dtype=jnp.float32)
    assert jax.eval_shape(norm, x.astype("bfloat16")).dtype == jnp.float32
    with pytest.raises(TypeError, match=r"x must be floating point\. Received: dtype int32"):
        make(rngs=nnx.Rngs(0))(x.astype(int))
    with pytest.raises(ValueError, match=r"x must have 4 channels .*, as the parameters have"):
        make(rngs=nnx.Rngs(0))(x[..., :3])

"""Descriptions: predicted shapes are computed shapes, names, printing, equality, errors."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from jax.nn import gelu, relu

from jaxcnn.layers import (
    avg_pool,
    conv,
    dense,
    dropout,
    flatten,
    function,
    max_pool,
    serial,
)


def double(x):
    return 2 * x


def per_axis(draw, axes, numbers):
    """Draws one number for all axes, or one each."""
    return draw(numbers | st.tuples(*[numbers] * axes))


def padding(draw, axes, widths):
    pair = st.tuples(widths, widths)
    words = ["VALID", "valid", "SAME", "same_lower", *(["CAUSAL"] if axes == 1 else [])]
    each = st.tuples(*[widths] * axes), st.tuples(*[pair] * axes)
    return draw(st.sampled_from(words) | widths | st.one_of(*each))


@st.composite
def image_layers(draw, axes, channels):
    small = st.integers(1, 3)
    kind = draw(st.sampled_from(["conv", "pool", "serial", "dropout", "function"]))
    if kind == "conv":
        groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        return conv(
            groups * draw(small),
            per_axis(draw, axes, small),
            strides=per_axis(draw, axes, small),
            padding=padding(draw, axes, st.integers(0, 3)),
            dilation=per_axis(draw, axes, small),
            groups=groups,
            flip_kernel=draw(st.booleans()),
            use_bias=draw(st.booleans()),
        )
    if kind == "pool":
        pool = functools.partial(
            draw(st.sampled_from([max_pool, avg_pool])),
            per_axis(draw, axes, small),
            strides=draw(st.none() | st.just(per_axis(draw, axes, small))),
            dilation=per_axis(draw, axes, small),
            ceil_mode=draw(st.booleans()),
        )
        try:
            return pool(padding=padding(draw, axes, st.integers(0, 2)))
        except ValueError:  # as large as the window
            return pool(padding=0)
    if kind == "serial":
        return serial(relu, draw(image_layers(axes, channels)))
    return dropout(0.5) if kind == "dropout" else function(gelu)


@st.composite
def networks(draw):
    """Draws a network that fits its input; a layer that does not fit is left out."""
    axes = draw(st.integers(1, 3))
    shape = input_shape = draw(
        st.tuples(*[st.integers(1, 12)] * axes, st.integers(1, 4)), label="input_shape"
    )
    layers = []
    for _ in range(draw(st.integers(1, 5))):
        layer = draw(image_layers(axes, shape[-1]))
        try:
            shape = layer.output_shape(shape)
        except ValueError:
            continue
        layers.append(layer)
    if not layers or draw(st.booleans()):
        layers += [flatten(), dense(draw(st.integers(1, 5)), use_bias=draw(st.booleans()))]
    return serial(*layers), input_shape


@given(networks(), st.integers(1, 3))
def test_predicted_shape_is_computed_shape(network, batch):
    layer, input_shape = network
    graphdef, state = nnx.split(layer.abstract(input_shape))
    x = jax.ShapeDtypeStruct((batch, *input_shape), jnp.float32)
    y = jax.eval_shape(lambda state, x: nnx.merge(graphdef, state)(x), state, x)
    assert y.shape == (batch, *layer.output_shape(input_shape))
    steps = list(layer.walk(input_shape))
    assert [step.input_shape for step in steps[1:]] == [step.output_shape for step in steps[:-1]]


def test_built_module_computes_what_flax_computes():
    layer = serial(conv(4, (3, 2), strides=2, padding="SAME"), relu, max_pool(2), flatten())
    model = layer.build((7, 6, 3), rngs=nnx.Rngs(0))
    theirs = nnx.Conv(3, 4, (3, 2), strides=2, padding="SAME", rngs=nnx.Rngs(1))
    theirs.kernel[...] = model.conv_1.kernel[...]
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    expected = nnx.max_pool(nnx.relu(theirs(x)), (2, 2), (2, 2)).reshape(2, -1)
    assert jnp.allclose(model(x), expected, rtol=1e-5, atol=1e-6)


def test_options_reach_the_operation():
    x = jnp.arange(1.0, 5.0).reshape(1, 4, 1)
    ones = jax.nn.initializers.ones

    def ramp(key, shape, dtype):
        return jnp.arange(1, 4, dtype=dtype).reshape(shape)

    def outputs(layer):
        return layer.build((4, 1), rngs=nnx.Rngs(0))(x)[0, :, 0].tolist()

    assert outputs(conv(1, 3, kernel_init=ramp)) == [14, 20]
    assert outputs(conv(1, 3, kernel_init=ramp, flip_kernel=True)) == [10, 16]
    assert outputs(conv(1, 2, kernel_init=ones, bias_init=ones, dilation=3)) == [6]
    assert outputs(conv(1, 2, kernel_init=ones, bias_init=ones, use_bias=False)) == [3, 5, 7]
    assert outputs(avg_pool(2, padding=1)) == [1, 2.5, 4]
    assert outputs(avg_pool(2, padding=1, count_include_pad=True)) == [0.5, 2.5, 2]
    assert outputs(max_pool(2, strides=1)) == [2, 3, 4]
    assert outputs(max_pool(3, strides=2, ceil_mode=True)) == [3, 4]


def test_dtypes_reach_the_module():
    options = {"dtype": jnp.bfloat16, "param_dtype": jnp.float16}
    model = serial(conv(2, 3, **options), flatten(), dense(3, **options)).build(
        (4, 1), rngs=nnx.Rngs(0)
    )
    dtypes = {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(model))}
    assert dtypes == {"float16"}
    assert model(jnp.ones((1, 4, 1))).dtype == jnp.bfloat16


def test_layers_of_one_network_begin_differently():
    model = serial(dense(4), dense(4)).build((4,), rngs=nnx.Rngs(0))
    assert (model.dense_1.kernel[...] != model.dense_2.kernel[...]).all()


NAMES = [
    (
        serial(conv(8, 3), relu, conv(8, 3), max_pool(2), relu),
        ["conv_1", "relu_1", "conv_2", "max_pool_1", "relu_2"],
    ),
    (serial(flatten(), dense(3), head=dense(2)), ["flatten_1", "dense_1", "head"]),
    (serial(serial(relu), avg_pool(2)), ["serial_1", "avg_pool_1"]),
    (serial(lambda x: x, lambda x: -x), ["lambda_1", "lambda_2"]),
    (serial(functools.partial(jax.nn.leaky_relu, negative_slope=0.1)), ["leaky_relu_1"]),
    (serial(functools.partial(jnp.sum, axis=-1), jnp.tanh), ["sum_1", "tanh_1"]),
    (serial(relu_1=conv(8, 3), conv_1=relu), ["relu_1", "conv_1"]),
]


@pytest.mark.parametrize(("layer", "names"), NAMES, ids=lambda value: str(value)[:40])
def test_children_are_named_by_kind_and_number(layer, names):
    assert [name for name, _ in layer.children] == names
    module = layer.build((9, 9, 2) if names[0] != "flatten_1" else (9,), rngs=nnx.Rngs(0))
    assert list(module.names) == names
    assert all(isinstance(getattr(module, name), nnx.Module) for name in names)


def test_paths_of_nested_layers():
    layer = serial(serial(relu, serial(conv(2, 1))), flatten())
    assert ["/".join(step.path) for step in layer.walk((4, 4, 1))] == [
        "serial_1/relu_1",
        "serial_1/serial_1/conv_1",
        "flatten_1",
    ]


@pytest.mark.parametrize("name", ["relu_1", "names", "eval", "train", "__call__", "cls", "self"])
def test_name_clashes(name):
    with pytest.raises(ValueError, match=f"the layer name '{name}' is taken; choose another"):
        serial(relu, **{name: dense(3)})


@pytest.mark.parametrize(
    "call",
    [
        "conv(64, 3)",
        "conv(64, (3, 5), strides=2, padding='SAME', dilation=(1, 2), use_bias=False, groups=2)",
        "conv(8, 3, padding=((0, 1), (2, 2)), flip_kernel=True)",
        "dense(10)",
        "dense(10, use_bias=False)",
        "max_pool(2)",
        "max_pool((2, 3), strides=1, ceil_mode=True)",
        "avg_pool(2, padding=1, count_include_pad=True)",
        "flatten()",
        "dropout(0.5)",
        "serial(conv(8, 3), relu, serial(relu, flatten()), head=dense(10))",
        "serial(relu=relu)",
        "serial(conv_7=conv(8, 3))",
        "serial(conv_x=conv(8, 3))",
    ],
)
def test_repr_reads_as_the_call(call):
    layer = eval(call)
    assert repr(layer) == call
    assert eval(repr(layer)) == layer


SAMPLES = [
    (lambda: conv(8, 3), "features"),
    (lambda: conv(8, [3, 3], padding=[(0, 1), (1, 0)], strides=[1, 2]), "strides"),
    (lambda: dense(3), "use_bias"),
    (lambda: max_pool(2), "window"),
    (lambda: avg_pool([2, 1], strides=[1, 1]), "count_include_pad"),
    (lambda: dropout(0.5), "rate"),
    (lambda: function(relu), "function"),
    (lambda: serial(conv(8, 3), relu, head=dense(2)), "children"),
]


@pytest.mark.parametrize(("make", "field"), SAMPLES, ids=[str(make()) for make, _ in SAMPLES])
def test_descriptions_are_immutable_values(make, field):
    layer = make()
    assert layer == make()
    assert hash(layer) == hash(make())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(layer, field, 1)
    assert all(layer != other() for other, _ in SAMPLES if other is not make)


def test_a_list_passed_in_stays_the_callers():
    size = [3, 3]
    layer = conv(8, size)
    size[0] = 5
    assert layer.output_shape((9, 9, 1)) == (7, 7, 8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (conv(8, 3), conv(8, 3, strides=2)),
        (max_pool(2), avg_pool(2)),
        (function(relu), function(gelu)),
        (serial(dense(2)), serial(head=dense(2))),
    ],
    ids=str,
)
def test_different_descriptions_differ(one, other):
    assert one != other


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (lambda x: x[:1], ValueError, r"lambda_1: .* must keep the batch axis.*\(7, 4, 3\) to"),
        (jnp.sum, ValueError, r"sum_1: .* must keep the batch axis.*\(7, 4, 3\) to \(\)"),
        (lambda x: (x, x), TypeError, r"lambda_1: function must return one array .*Received: \("),
        (lambda x: None, TypeError, r"lambda_1: function must return one array .*Received: None"),
    ],
)
def test_functions_that_are_no_layers(bad, kind, message):
    with pytest.raises(kind, match=message):
        serial(relu, bad).output_shape((4, 3))
    with pytest.raises(kind, match=message):
        serial(bad, flatten()).build((4, 3), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("layer", "input_shape", "output_shape"),
    [
        (conv(np.int64(8), np.int32(3), strides=np.int64(2)), (np.int64(7), 7, 1), (3, 3, 8)),
        (dense(np.int64(3)), (np.int64(5),), (3,)),
        (max_pool(np.int64(2)), (4, 4, np.int64(2)), (2, 2, 2)),
        (serial(relu, dense(np.int32(3))), [np.int64(5)], (3,)),
    ],
)
def test_shapes_are_plain_integers(layer, input_shape, output_shape):
    """As json.dumps needs them, whatever ints came in."""
    shape = layer.output_shape(input_shape)
    assert shape == output_shape
    assert {type(shape), *map(type, shape)} == {tuple, int}


def test_plain_function_that_changes_the_shape():
    assert serial(lambda x: x.mean(axis=(1, 2)), dense(3)).output_shape((5, 5, 2)) == (3,)


@pytest.mark.parametrize(
    ("method"),
    [
        lambda layer, shape: layer.output_shape(shape),
        lambda layer, shape: layer.build(shape, rngs=nnx.Rngs(0)),
        lambda layer, shape: list(layer.walk(shape)),
    ],
    ids=["output_shape", "build", "walk"],
)
@pytest.mark.parametrize(
    ("layer", "input_shape", "kind", "message"),
    [
        (
            serial(conv(8, 3), max_pool(2), conv(8, 3), conv(8, 3)),
            (8, 9, 1),
            ValueError,
            r"^conv_3: kernel_size must fit into the padded input: n_H = ⌊\(1 − 3 \+ 2·0\) / 1⌋ "
            r"\+ 1 = -1",
        ),
        (
            serial(relu, serial(conv(8, 3), conv(8, 9, dilation=2)), flatten()),
            (12, 12, 1),
            ValueError,
            r"^serial_1/conv_2: kernel_size .* n_H = ⌊\(10 − \(2·\(9 − 1\) \+ 1\) \+ 2·0\)",
        ),
        (
            serial(serial(block=serial(pool=max_pool(4)))),
            (8, 3, 1),
            ValueError,
            r"^serial_1/block/pool: window must fit .* n_W = ⌊\(3 − 4 \+ 2·0\) / 4⌋",
        ),
        (
            serial(conv(8, 3), dense(10)),
            (8, 8, 1),
            ValueError,
            r"^dense_1: input_shape must be flat.*\(6, 6, 8\).*Put flatten\(\) before it",
        ),
        (
            serial(conv(9, 3), conv(6, 3, groups=2)),
            (8, 8, 1),
            ValueError,
            r"^conv_2: groups must divide .*groups=2, in_features=9, features=6",
        ),
        (
            serial(conv(9, (3, 3))),
            (8, 1),
            ValueError,
            r"^conv_1: kernel_size must be one int or one per spatial axis \(1 here\)",
        ),
        (
            serial(flatten(), conv(9, 3)),
            (8, 8, 1),
            ValueError,
            r"^conv_1: input_shape must be \(\*spatial, channels\).*\(64,\)",
        ),
        (serial(relu), (8, 0), ValueError, r"input_shape must be at least 1 on every axis"),
        (serial(relu), (), TypeError, r"input_shape must be a sequence such as"),
        (serial(relu), 28, TypeError, r"input_shape must be a sequence such as .*=28"),
    ],
)
def test_errors_name_the_layer_and_the_numbers(layer, input_shape, kind, message, method):
    with pytest.raises(kind, match=message):
        method(layer, input_shape)


def test_a_wrong_shape_of_a_function_names_the_layer():
    """The function's own error, whatever it is, says where in the network it stands."""
    with pytest.raises(TypeError, match=r"^serial_1/double_1: |^serial_1/lambda_1: "):
        serial(serial(lambda x: x @ jnp.zeros((9, 9)))).output_shape((8,))


class Broken(Exception):
    pass


def broken(x):
    raise Broken("of the function's own")


def test_an_error_of_a_functions_own_has_the_path_as_a_note():
    layer = serial(relu, serial(conv(4, 1), broken))
    for method in (layer.output_shape, lambda shape: layer.build(shape, rngs=nnx.Rngs(0))):
        with pytest.raises(Broken) as raised:
            method((4, 4, 1))
        assert str(raised.value) == "of the function's own"
        notes = [note for note in raised.value.__notes__ if note.startswith("in ")]
        assert notes == ["in serial_1/broken_1"]


def test_output_shape_creates_no_array():
    layer = serial(conv(64, 3), relu, max_pool(2), double, flatten(), dropout(0.5), dense(10))
    before = jax.live_arrays()  # held, so that none of them can die meanwhile
    assert layer.output_shape((28, 28, 1)) == (10,)
    assert len(jax.live_arrays()) == len(before)


def test_numbers_of_any_library():
    assert dropout(np.float32(0.5)) == dropout(0.5)
    assert conv(8, np.array([3, 3])) == conv(8, (3, 3))
    assert conv(np.array(8), 3, padding=np.array([[1, 2]])) == conv(8, 3, padding=((1, 2),))

"""Descriptions as JSON: what is read equals what was written, and nothing else is read."""

import functools
import json

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.layers.serialization import layer_from_json, layer_to_json


def read_again(layer):
    return layer_from_json(json.loads(json.dumps(layer_to_json(layer))))


# Partial functions are never equal, and initializers are not written.
UNEQUAL = ("airbench", "fcos", "fcos_small")


@pytest.mark.parametrize("name", sorted(set(cnn.models.names()) - set(UNEQUAL)))
def test_models_are_read_as_they_were_written(name):
    layer = cnn.models.create(name)
    assert read_again(layer) == layer


@pytest.mark.parametrize("name", UNEQUAL)
def test_the_text_of_what_is_read_is_the_same(name):
    layer = cnn.models.create(name)
    assert layer_to_json(read_again(layer)) == layer_to_json(layer)


def test_a_partial_function_is_written_with_its_options():
    text = json.dumps(layer_to_json(cnn.models.create("airbench")))
    assert '{"function": "jax.nn.gelu", "options": {"approximate": false}}' in text


def every_form(**options):
    return cnn.serial(
        cnn.conv(4, (3, 3), padding=((1, 0), 0), use_bias=False, **options),
        cnn.parallel(jnp.tanh, cnn.squeeze_excite(ratio=2, gate=jax.nn.tanh), combine="add"),
        cnn.remat(cnn.residual(cnn.batch_norm(), jax.nn.relu)),
        cnn.standardize((0.5, 0.4, 0.3, 0.2), 0.25), cnn.prelu(init=0.1), cnn.layer_scale(),
        cnn.flatten(), own_name=cnn.dense(3),
    )  # fmt: skip


def test_every_form_of_an_option():
    layer = every_form(kernel_init=nnx.initializers.zeros)
    value = layer_to_json(layer)
    assert value["serial"]["children"][0] == [
        "conv_1",
        {"conv": {"features": 4, "kernel_size": [3, 3], "padding": [[1, 0], 0], "use_bias": False}},
    ]
    assert read_again(layer) == every_form()  # an initializer is not written


class own_layer(cnn.Layer):
    def output_shape(self, input_shape):
        return input_shape

    def build(self, input_shape, *, rngs):
        return cnn.modules.Serial()


@pytest.mark.parametrize(
    "layer", [own_layer(), cnn.serial(lambda x: x), cnn.serial(functools.partial(max, 1))]
)
def test_what_is_not_of_the_library_is_not_written(layer):
    with pytest.raises(ValueError, match="cannot be saved"):
        layer_to_json(layer)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"function": "os.remove"}, "no function 'os.remove'"),
        ({"function": "jax.numpy.ndarray"}, "no function"),
        ({"function": "jaxcnn.models.registry.importlib"}, "no function"),
        ({"Layer": {}}, "no layer of the kind 'Layer'|abstract"),
        ({"repeat": {"layer": 1}}, "no layer of the kind 'repeat'"),
        ({"conv": {}, "dense": {}}, "an object of one kind"),
        ({}, "an object of one kind"),
        (5, "an object of one kind. Received: 5"),
    ],
)
def test_other_values_are_refused(value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layer_from_json(value)

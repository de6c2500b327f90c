"""Descriptions through ``pickle``: what a worker process gets is what was sent."""

import copy
import functools
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import jax
import jax.numpy as jnp
import pytest

from jaxcnn import models
from jaxcnn.layers import conv, dense, flatten, function, serial


@jax.jit
def double(x):
    return 2 * x


class Scaled:
    @staticmethod
    def up(x):
        return 3 * x


ACTIVATIONS = (
    jax.nn.relu, jax.nn.silu, jax.nn.gelu, jax.nn.softmax, jnp.tanh, double, Scaled.up,
    functools.partial(jax.nn.leaky_relu, negative_slope=0.2),
    functools.partial(jax.nn.silu), functools.partial(jnp.power, 2),
)  # fmt: skip


@pytest.mark.parametrize("name", models.names())
def test_every_model_of_the_registry(name):
    model = models.create(name)
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert repr(copied) == repr(model)
        assert copied.output_shape(models.input_shape(name)) == (
            model.output_shape(models.input_shape(name))
        )
    if name != "airbench":  # two partial functions are not equal
        assert copied == model
        assert hash(copied) == hash(model)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda each: repr(function(each)))
def test_functions_are_stored_by_name(activation):
    model = serial(conv(4, 3, dtype=jnp.bfloat16), activation, flatten(), head=dense(2))
    copied = pickle.loads(pickle.dumps(model))
    restored = copied.children[1][1].function
    if isinstance(activation, functools.partial):
        assert restored.func is activation.func
        assert (restored.args, restored.keywords) == (activation.args, activation.keywords)
    else:
        assert restored is activation
        assert copied == model


def test_a_function_without_a_name_is_refused_by_pickle():
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(function(lambda x: x))


def test_a_fresh_process_gets_the_description():
    model = models.create("tiny_cnn", features=4)
    workers = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=workers) as pool:
        assert pool.submit(type(model).output_shape, model, (8, 8, 1)).result() == (10,)

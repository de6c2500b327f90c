"""Training options: declared once, checked when made, shown in signatures."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.recipes.schema import TrainingTable
from jaxcnn.training import StepOptions, TrainingOptions
from jaxcnn.training.task import Task

FIELDS = {field.name: field for field in dataclasses.fields(TrainingOptions)}


def test_signatures_show_every_option_with_its_default():
    for function, kind in ((cnn.fit, TrainingOptions), (cnn.make_training, StepOptions)):
        parameters = inspect.signature(function).parameters
        assert "options" not in parameters
        for field in dataclasses.fields(kind):
            assert parameters[field.name].default == field.default


def test_every_option_is_documented():
    for kind in (StepOptions, TrainingOptions):
        own = set(vars(kind)["__annotations__"])
        described = inspect.cleandoc(kind.__doc__)  # Python 3.13 strips the indentation itself
        assert all(f"\n  {name}: " in described for name in own)


def test_a_recipe_has_the_options_of_fit():
    assert issubclass(TrainingTable, TrainingOptions)
    assert FIELDS.keys() <= {field.name for field in dataclasses.fields(TrainingTable)}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"precision": "float46"}, ValueError, "precision must be 'float32', .*Did you mean"),
        ({"precision": None}, TypeError, "precision must be 'float32', 'bfloat16' or 'float16'"),
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1. Received: accumulate=0"),
        ({"accumulate": 2.0}, TypeError, "accumulate must be an integer"),
        ({"ema": 1.0}, ValueError, r"ema must be in \(0, 1\). Received: ema=1.0"),
        ({"ema": "0.9"}, TypeError, "ema must be a number"),
        ({"on_nan": "stop"}, ValueError, "on_nan must be 'raise', 'skip' or 'ignore'"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"balanced": 1}, TypeError, "balanced must be True or False"),
        ({"restore_best": "yes"}, TypeError, "restore_best must be True or False"),
        ({"monitor": 3}, TypeError, "monitor must be the name of a metric"),
        ({"better": "larger"}, ValueError, "better says how to compare a monitor"),
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"min_improvement": 0.1}, ValueError, "min_improvement needs patience"),
        ({"batch_size": 9, "accumulate": 2}, ValueError, "accumulate must divide batch_size"),
        (
            {"epochs": 10**30},
            ValueError,
            "epochs must be at most 2147483647. Received: epochs=1",
        ),
        (
            {"seed": 2**64},
            ValueError,
            "seed must be at most 9223372036854775807. Received",
        ),
        ({"batch_size": 10**30}, ValueError, "batch_size must be at most 2147483647"),
        ({"keep_best": 0}, ValueError, "keep_best must be at least 1"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be at least 1"),
    ],
)
def test_errors(options, kind, message):
    with pytest.raises(kind, match=message):
        TrainingOptions(**options)


def test_numpy_scalars_are_stored_as_plain_values():
    options = TrainingOptions(ema=np.float32(0.5), epochs=np.int64(3), seed=np.uint8(1))
    assert options == TrainingOptions(ema=0.5, epochs=3, seed=1)
    assert {type(options.ema), type(options.epochs), type(options.seed)} == {float, int}


def test_an_unknown_argument_is_named_with_the_nearest():
    with pytest.raises(TypeError, match=r"fit has no argument 'epoch'\. Did you mean 'epochs'"):
        cnn.fit(None, None, epoch=3)
    with pytest.raises(TypeError, match=r"fit has no argument 'valdation'\. Did you mean 'val"):
        cnn.fit(None, None, valdation=None)
    with pytest.raises(TypeError, match="make_training has no argument 'average'"):
        cnn.make_training(None, None, average=0.9)


def dense():
    return cnn.serial(cnn.flatten(), cnn.dense(3)).build((4, 4, 1), rngs=nnx.Rngs(0))


def test_the_fingerprint_leaves_out_only_what_may_change():
    """Options that may differ when a run is resumed, and the epochs under one's own optimizer."""
    data = cnn.Dataset(np.zeros((6, 4, 4, 1), np.uint8), np.arange(6) % 3)
    model, options = dense(), TrainingOptions(batch_size=3)
    own = Task(model=model, data=data, optimizer=optax.sgd(0.1), options=options).fingerprint()
    default = Task(model=model, data=data, options=options).fingerprint()
    changeable = {"restore_best", "checkpoint_every", "keep_best", "steps_per_epoch"}
    changeable |= {"shard_parameters", "batch_norm"}
    assert FIELDS.keys() - default.keys() == changeable
    assert default.keys() - own.keys() == {"epochs"}
    assert default["optimizer"] == "Adam(0.003)"


def test_a_step_refuses_the_state_of_another_training():
    model, optimizer = dense(), optax.sgd(0.1)
    batch = cnn.Batch(jnp.zeros((3, 4, 4, 1)), jnp.arange(3), jnp.ones(3, bool))
    _, step = cnn.make_training(model, optimizer, ema=0.9)
    other, _ = cnn.make_training(model, optimizer)
    with pytest.raises(ValueError, match="state must be made by the init of the same make_train"):
        step(other(jax.random.key(0)), batch)
    _, step = cnn.make_training(model, optimizer, on_nan="ignore")
    with pytest.raises(ValueError, match="state must be made by the init of the same make_train"):
        step(other(jax.random.key(0)), batch)

"""Training and inference put every model into its mode, Flax's modules and this library's alike."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import modules
from jaxcnn.modules import BatchNorm, Dropout, in_mode

pytestmark = pytest.mark.implicit_promotion
OPTIONS = {"epochs": 1, "batch_size": 8, "optimizer": optax.sgd(0.1), "progress": False}


class Stock(nnx.Module):
    """Modules of Flax, called as ``model(x)``: their mode is an attribute."""

    def __init__(self, rate=0.5):
        rngs = nnx.Rngs(0)
        self.norm = nnx.BatchNorm(3, momentum=0.5, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.head = nnx.Linear(48, 2, rngs=rngs)

    def __call__(self, x):
        x = self.drop(self.norm(x))
        return self.head(x.reshape(len(x), -1))


class Named(nnx.Module):
    """A call that takes the mode under another name."""

    def __init__(self):
        self.norm = nnx.BatchNorm(3, momentum=0.5, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(48, 2, rngs=nnx.Rngs(0))

    def __call__(self, x, training=False):
        x = self.norm(x, use_running_average=not training)
        return self.head(x.reshape(len(x), -1))


def flat(x):
    return x.reshape(len(x), -1)


def sequential():
    """Modules of this library in a container of Flax, which passes no mode on."""
    norm, head = BatchNorm(3, momentum=0.5, rngs=nnx.Rngs(0)), nnx.Linear(48, 2, rngs=nnx.Rngs(0))
    return nnx.Sequential(norm, flat, head)


def described():
    """A description of this library with a module of Flax in it."""
    model = cnn.serial(cnn.batch_norm(momentum=0.5), cnn.flatten(), cnn.dense(2)).build(
        (4, 4, 3), rngs=nnx.Rngs(0)
    )
    model.flatten_1 = nnx.Sequential(nnx.Dropout(0.5, rngs=nnx.Rngs(1)), flat)
    return model


def data(count=24):
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = random.integers(0, 100, (count, 4, 4, 3)) + 100 * labels[:, None, None, None]
    return cnn.Dataset(images.astype(np.uint8), labels)


def norm_of(model):
    return next(m for _, m in nnx.iter_modules(model) if isinstance(m, nnx.BatchNorm))


@pytest.mark.parametrize("make", [Stock, Named, sequential, described])
@pytest.mark.parametrize("given", ["as built", "train", "eval"])
def test_a_model_is_trained_and_evaluated_in_its_modes(make, given):
    model, train = make(), data()
    if given != "as built":
        getattr(model, given)()
    result = cnn.fit(model, train, validation=train, **OPTIONS)
    # In training, each of the three batches moved the running mean, from 0 towards its own.
    mean = norm_of(result.model).mean[...]
    assert (mean > 0.2).all()

    # At inference, an answer does not depend on its neighbors, nor on the mode that was given.
    answers = cnn.predict(result.model, train.images)
    alone = cnn.predict(result.model, train.images, batch_size=1)
    np.testing.assert_allclose(alone, answers, rtol=1e-5)
    result.model.eval()
    logits = modules.call(result.model, jnp.asarray(train.images, jnp.float32) / 255)
    np.testing.assert_allclose(jax.nn.softmax(logits), answers, rtol=1e-4)
    accuracy = (answers.argmax(-1) == train.labels).mean()
    assert cnn.evaluate(result.model, train, batch_size=5).accuracy == pytest.approx(accuracy)
    assert result.history[-1].validation_accuracy == pytest.approx(accuracy)


def test_dropout_of_flax_drops_in_training_whatever_the_mode_was():
    """Under a rate of almost 1 nothing but the bias of the head is learned."""
    trained = []
    for mode in ("train", "eval"):
        model = Stock(rate=1.0)
        getattr(model, mode)()
        trained.append(cnn.fit(model, data(), **OPTIONS).model)
        kernel = model.head.kernel[...]
        np.testing.assert_array_equal(trained[-1].head.kernel[...], kernel)
        assert (trained[-1].head.bias[...] != model.head.bias[...]).any()
        assert trained[-1].drop.deterministic == (mode == "eval")  # as it was given
    np.testing.assert_array_equal(trained[0].head.bias[...], trained[1].head.bias[...])


def test_modules_of_this_library_have_a_mode():
    x = jax.random.normal(jax.random.key(0), (8, 3))
    model = cnn.serial(cnn.batch_norm(), cnn.dropout(0.5)).build((3,), rngs=nnx.Rngs(0))
    at_inference = model(x)
    model.train()
    with pytest.raises(ValueError, match="needs a key"):
        model(x)
    key = jax.random.key(1)
    in_training = model(x, key=key)
    assert (in_training == 0).any()
    np.testing.assert_array_equal(model(x, train=True, key=key), in_training)
    model.eval()
    assert (model(x) != at_inference).any()  # of the statistics that moved
    np.testing.assert_array_equal(model(x, train=False, key=key), model(x))


def test_a_mode_shares_the_variables():
    model = nnx.Sequential(
        nnx.Linear(3, 4, rngs=nnx.Rngs(0)), Dropout(0.5), BatchNorm(4, rngs=nnx.Rngs(0))
    )
    training = in_mode(model, train=True)
    assert not training.layers[1].deterministic
    assert not training.layers[2].use_running_average
    assert model.layers[1].deterministic
    assert model.layers[2].use_running_average
    assert training.layers[0].kernel is model.layers[0].kernel

"""A softmax or sigmoid at the end of a model: seen, told, and applied once by predict."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import binary_cross_entropy, cross_entropy, dice, focal, squared_error
from jaxcnn.training.metrics import accuracy, calibration_error, precision

pytestmark = pytest.mark.implicit_promotion
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (32, 4, 4, 1)).astype(np.uint8)
CLASSES = cnn.Dataset(IMAGES, np.arange(32) % 3)
SEVERAL = cnn.Dataset(IMAGES, np.arange(32)[:, None] % np.array([2, 3, 4]) == 0)
NUMBERS = cnn.Dataset(IMAGES, RANDOM.standard_normal((32, 3)).astype(np.float32))
OPTIONS = {"epochs": 2, "batch_size": 16, "optimizer": optax.sgd(0.5), "progress": False}
PROBABILITIES = functools.partial(cross_entropy, from_logits=False)
LOGITS = RANDOM.standard_normal((32, 3)).astype(np.float32) * 3


def network(*end, features=3):
    layers = cnn.serial(cnn.flatten(), cnn.dense(features), *end)
    return layers.build((4, 4, 1), rngs=nnx.Rngs(0))


class ByHand(nnx.Module):
    def __init__(self):
        self.head = nnx.Linear(16, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        exponentials = jnp.exp(self.head(x.reshape(len(x), -1)))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_probabilities_train_as_their_logits():
    """The course's network of Keras ends in a softmax."""
    results = [
        cnn.fit(network(), CLASSES, validation=CLASSES, **OPTIONS),
        cnn.fit(
            network(jax.nn.softmax), CLASSES, validation=CLASSES, loss=PROBABILITIES, **OPTIONS
        ),
    ]
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        of_logits, of_probabilities = (getattr(result.history[-1], name) for result in results)
        assert of_probabilities == pytest.approx(of_logits, rel=1e-5), name
    answers = [cnn.predict(result.model, IMAGES) for result in results]
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "data", "loss", "ending"),
    [
        (lambda: network(jax.nn.softmax), CLASSES, cross_entropy, "softmax"),
        (ByHand, CLASSES, functools.partial(cross_entropy, label_smoothing=0.1), "softmax"),
        (lambda: network(jax.nn.sigmoid), CLASSES, focal, "sigmoid"),
        (lambda: network(jax.nn.sigmoid), SEVERAL, binary_cross_entropy, "sigmoid"),
        (lambda: nnx.Sequential(network(), jax.nn.softmax), CLASSES, cross_entropy, "softmax"),
    ],
)
def test_an_activation_before_a_loss_of_logits_is_told_once(make, data, loss, ending):
    with pytest.warns(UserWarning, match=f"ends in a {ending}, and .*from_logits=False") as told:
        result = cnn.fit(make(), data, loss=loss, **OPTIONS | {"epochs": 1})
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match=f"ends in a {ending}, and "):
        cnn.evaluate(result.model, data, loss=loss)


@pytest.mark.parametrize(
    ("end", "data", "loss"),
    [
        ((), CLASSES, cross_entropy),
        ((jax.nn.log_softmax,), CLASSES, cross_entropy),
        ((jax.nn.softmax,), CLASSES, PROBABILITIES),
        ((jax.nn.sigmoid,), NUMBERS, squared_error),
        ((jax.nn.softmax, cnn.dense(3)), CLASSES, cross_entropy),
    ],
)
def test_nothing_is_told_where_the_loss_fits(end, data, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cnn.training.task.Task(
            model=network(*end),
            data=data,
            loss=loss,
            options=cnn.training.TrainingOptions(batch_size=16),
        )


def test_losses_of_probabilities_are_those_of_their_formulas():
    probabilities = np.asarray(jax.nn.softmax(LOGITS))
    labels = np.arange(32) % 3
    expected = -np.log(probabilities[np.arange(32), labels])
    received = jax.jit(PROBABILITIES)(probabilities, jnp.asarray(labels))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)
    unscaled = jax.jit(PROBABILITIES)(probabilities * 2, jnp.asarray(labels))
    np.testing.assert_allclose(unscaled, expected, rtol=1e-4, atol=1e-6)  # as in Keras

    chances = np.asarray(jax.nn.sigmoid(LOGITS))
    yes = (np.arange(96).reshape(32, 3) % 2).astype(np.float32)
    expected = -np.log(np.where(yes > 0, chances, 1 - chances)).mean(axis=1)
    loss = functools.partial(binary_cross_entropy, from_logits=False)
    np.testing.assert_allclose(jax.jit(loss)(chances, yes), expected, rtol=1e-4, atol=1e-6)

    with_logits = [jax.jit(loss)(LOGITS, jnp.asarray(labels)) for loss in (cross_entropy, focal)]
    of_probabilities = [
        jax.jit(functools.partial(loss, from_logits=False))(probabilities, jnp.asarray(labels))
        for loss in (cross_entropy, focal)
    ]
    np.testing.assert_allclose(of_probabilities, with_logits, rtol=1e-4, atol=1e-6)


def test_a_probability_of_almost_0_is_still_learned():
    """Keras' gradient is 0 below 1e-7."""

    def loss(logits):
        return PROBABILITIES(jax.nn.softmax(logits), jnp.array([1]))[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.array([[40.0, 0.0]]))
    assert value == pytest.approx(40, rel=1e-5)
    np.testing.assert_allclose(gradient, [[1.0, -1.0]], rtol=1e-5)
    both = functools.partial(binary_cross_entropy, from_logits=False)
    ends = jnp.array([[0.0, 1.0]])
    values, gradients = jax.jit(jax.value_and_grad(lambda p: both(p, 1 - ends).sum()))(ends)
    assert np.isfinite(values)
    assert np.isfinite(gradients).all()


def test_ignore_index_and_pos_weight_are_those_of_their_formulas():
    labels = np.arange(32) % 3
    ignoring = functools.partial(cross_entropy, ignore_index=1, label_smoothing=0.1)
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    smoothed = 0.9 * log_p[np.arange(32), labels] + 0.1 * log_p.mean(axis=1)
    expected = np.where(labels == 1, 0, -smoothed)
    received = jax.jit(ignoring)(LOGITS, jnp.asarray(labels))
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)

    yes = (np.arange(96).reshape(32, 3) % 2).astype(np.float32)
    for weight in (2.5, [0.0, 1.0, 4.0], np.array([3.0, 2.0, 1.0])):
        z = LOGITS * 20.0
        is_yes, is_no = np.logaddexp(0, -z) * weight, np.logaddexp(0, z)
        expected = np.where(yes > 0, is_yes, is_no).mean(axis=1)
        loss = functools.partial(binary_cross_entropy, pos_weight=weight)
        received = jax.jit(loss)(LOGITS * 20, jnp.asarray(yes))
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="pos_weight must be at least 0"):
        binary_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(yes), pos_weight=-1)


def test_what_a_loss_leaves_out_counts_in_no_metric():
    model, labels = network(), np.asarray(CLASSES.labels)
    answers = cnn.predict(model, IMAGES).argmax(axis=-1)
    loss = functools.partial(cross_entropy, ignore_index=1)
    metrics = {"own": accuracy(), "precision": precision()}
    result = cnn.evaluate(model, CLASSES, loss=loss, metrics=metrics)
    kept = labels != 1
    assert result.metrics["own"] == pytest.approx((answers == labels)[kept].mean())
    for name in (2, 0):
        of_class = (labels == name)[kept & (answers == name)]
        if len(of_class):
            assert result.metrics["precision"][name] == pytest.approx(of_class.mean())
    regions = functools.partial(dice, ignore_index=0)
    outputs, marked = jnp.asarray(LOGITS).reshape(1, 32, 3), jnp.asarray(labels)[None]
    void = jnp.where(marked == 0, 255, marked)
    np.testing.assert_allclose(regions(outputs, marked), dice(outputs, void), rtol=1e-6)


def test_metrics_of_probabilities_are_those_of_their_logits():
    metrics = {"calibration": calibration_error(), "accuracy of several": accuracy()}
    logits = cnn.evaluate(network(), CLASSES, metrics=metrics)
    model = network(jax.nn.softmax)
    probabilities = cnn.evaluate(model, CLASSES, metrics=metrics, loss=PROBABILITIES)
    assert probabilities.metrics == pytest.approx(logits.metrics, rel=1e-4)
    of_logits = cnn.evaluate(network(), SEVERAL, loss=binary_cross_entropy)
    loss = functools.partial(binary_cross_entropy, from_logits=False)
    of_chances = cnn.evaluate(network(jax.nn.sigmoid), SEVERAL, loss=loss)
    assert of_chances.accuracy == of_logits.accuracy
    assert of_chances.loss == pytest.approx(of_logits.loss, rel=1e-5)


@pytest.mark.parametrize(
    ("data", "loss", "end", "function"),
    [
        (CLASSES, cross_entropy, (), jax.nn.softmax),
        (SEVERAL, binary_cross_entropy, (), jax.nn.sigmoid),
        (SEVERAL, lambda logits, labels: optax.sigmoid_binary_cross_entropy(
            logits, labels.astype(jnp.float32)
        ).mean(-1), (), jax.nn.sigmoid),
        (NUMBERS, squared_error, (), lambda outputs: outputs),
        (CLASSES, PROBABILITIES, (jax.nn.softmax,), lambda outputs: outputs),
    ],
)  # fmt: skip
def test_predict_follows_the_training(data, loss, end, function, tmp_path):
    run = tmp_path / "run"
    model = cnn.fit(network(*end), data, loss=loss, run=run, **OPTIONS | {"epochs": 1}).model
    outputs = jax.jit(lambda model, x: model(x))(model, IMAGES.astype(np.float32) / 255)
    expected = np.asarray(function(outputs))
    np.testing.assert_allclose(cnn.predict(model, IMAGES), expected, rtol=1e-4)
    np.testing.assert_allclose(cnn.predict(cnn.load(run), IMAGES), expected, rtol=1e-4)
    raw = cnn.predict(model, IMAGES, activation=None)
    np.testing.assert_allclose(raw, outputs, rtol=1e-4)


def test_predict_of_a_model_that_was_not_trained_here():
    inputs = IMAGES.astype(np.float32) / 255
    one = network(features=1)
    np.testing.assert_allclose(cnn.predict(one, IMAGES), jax.nn.sigmoid(one(inputs)), rtol=1e-5)
    ended = network(jax.nn.softmax)
    np.testing.assert_allclose(cnn.predict(ended, IMAGES), ended(inputs), rtol=1e-5)
    several = network()
    np.testing.assert_allclose(
        cnn.predict(several, IMAGES, activation="sigmoid"), jax.nn.sigmoid(several(inputs)), 1e-5
    )
    with pytest.raises(ValueError, match="Did you mean 'sigmoid'"):
        cnn.predict(several, IMAGES, activation="sigmoidal")
    with pytest.raises(TypeError, match="activation must be"):
        cnn.predict(several, IMAGES, activation=3)

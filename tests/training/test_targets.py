"""Training on every kind of labels, from the set to the predictions, against linear fits."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import (
    accuracy,
    binary_cross_entropy,
    cross_entropy,
    dice,
    f1,
    huber,
    mean_iou,
    squared_error,
)
from jaxcnn.training.named_losses import loss_of_labels


def fit(model, data, **options):
    defaults = {"epochs": 20, "batch_size": 16, "learning_rate": 0.3, "progress": False}
    return cnn.fit(model, data, **(defaults | options)).model


def dense(features, input_shape):
    return cnn.serial(cnn.flatten(), cnn.dense(features)).build(input_shape, rngs=nnx.Rngs(0))


def linear_fit(train, test):
    """Return what least squares on the pixels of one set predicts for another."""
    train_design, test_design = (
        np.concatenate([images.reshape(len(images), -1), np.ones((len(images), 1))], axis=1)
        for images in (train.images, test.images)
    )
    return test_design @ np.linalg.lstsq(train_design, train.labels, rcond=None)[0]


def marked(count, seed):
    """Return noisy images in which each of three rows may be bright, and which are."""
    rng = np.random.default_rng(seed)
    labels = rng.random((count, 3)) < [0.5, 0.3, 0.1]
    images = rng.integers(0, 150, (count, 6, 5, 1))
    images[:, ::2] += 60 * labels[:, :, None, None]
    return cnn.Dataset(images.astype(np.uint8), labels, ("top", "middle", "bottom"))


@pytest.mark.implicit_promotion
def test_several_classes_per_image():
    train, test = marked(200, 0), marked(100, 1)
    model = fit(dense(3, train.image_shape), train, loss=binary_cross_entropy, validation=test)
    metrics = {"accuracy": accuracy(multi_label=True), "f1": f1(macro=True, multi_label=True)}
    evaluation = cnn.evaluate(model, test, loss=binary_cross_entropy, metrics=metrics)
    reference = linear_fit(train, test)
    right = ((reference > 0.5) == test.labels).mean()
    assert evaluation.metrics["accuracy"] >= right - 0.02 >= 0.9
    assert evaluation.accuracy == pytest.approx(evaluation.metrics["accuracy"], rel=1e-6)
    assert evaluation.metrics["f1"] > 0.8
    probabilities = cnn.predict(model, test.images, activation=jax.nn.sigmoid)
    assert ((probabilities > 0.5) == test.labels).mean() == evaluation.metrics["accuracy"]


def squares(count, seed):
    """Return noisy images of a square of one of two kinds, its pixels, and a void edge."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((count, 12, 12), np.uint8)
    for label, (row, column), kind in zip(
        labels, rng.integers(1, 7, (count, 2)), rng.integers(1, 3, count), strict=True
    ):
        label[row : row + 5, column : column + 5] = kind
    images = 60 + 60 * labels[..., None] + rng.normal(0, 30, (count, 12, 12, 1))
    labels[:, 0] = 255
    return cnn.Dataset(images.clip(0, 255).astype(np.uint8), labels, ("none", "gray", "white"))


@pytest.mark.implicit_promotion
@pytest.mark.parametrize("loss", [cross_entropy, dice])
def test_a_class_at_each_position(loss):
    train, test = squares(64, 0), squares(32, 1)
    network = cnn.serial(
        cnn.conv(8, 3, padding="SAME"), jax.nn.gelu, cnn.conv(3, 3, padding="SAME")
    )
    options = {"batch_size": 8, "learning_rate": 0.1}
    model = fit(network.build(train.image_shape, rngs=nnx.Rngs(0)), train, loss=loss, **options)
    metrics = {"iou": mean_iou(), "accuracy": accuracy()}
    evaluation = cnn.evaluate(model, test, loss=loss, metrics=metrics)
    # The nearest of the three grays, pixel by pixel.
    by_brightness = abs(test.images - [60, 120, 180]).argmin(axis=-1)
    counted = test.labels != 255
    reference = (by_brightness == test.labels)[counted].mean()
    assert evaluation.metrics["accuracy"] > max(reference, 0.9)
    assert evaluation.accuracy == pytest.approx(evaluation.metrics["accuracy"])
    assert evaluation.metrics["iou"] > 0.8
    probabilities = cnn.predict(model, test.images, batch_size=20)
    assert probabilities.shape == (32, 12, 12, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    right = (probabilities.argmax(axis=-1) == test.labels)[counted].mean()
    assert right == pytest.approx(evaluation.metrics["accuracy"])


def slopes(count, seed, outliers=0.0):
    """Return images and two numbers that are linear in their pixels, some far off."""
    rng = np.random.default_rng(seed)
    images = rng.random((count, 4, 4, 1)).astype(np.float32)
    weights = np.random.default_rng(9).normal(size=(16, 2))
    targets = images.reshape(count, -1) @ weights + rng.normal(0, 0.05, (count, 2))
    targets[rng.random(count) < outliers] += 20
    return cnn.Dataset(images, targets)


@pytest.mark.implicit_promotion
def test_numbers():
    train, test = slopes(200, 0), slopes(100, 1)
    model = fit(dense(2, (4, 4, 1)), train, loss=squared_error, epochs=40)
    reference = linear_fit(train, test)
    received = cnn.evaluate(model, test, loss=squared_error)
    assert received.loss <= 1.1 * ((reference - test.labels) ** 2).mean()
    predictions = cnn.predict(model, test.images, activation=None)
    assert (predictions.shape, predictions.dtype) == ((100, 2), np.float32)
    error = ((predictions - test.labels) ** 2).mean()
    assert received.loss == pytest.approx(error, rel=1e-4)
    assert np.isnan(received.accuracy)


@pytest.mark.implicit_promotion
def test_huber_is_not_drawn_away_by_outliers():
    train, test = slopes(200, 0, outliers=0.1), slopes(100, 1)
    model = fit(dense(2, (4, 4, 1)), train, loss=functools.partial(huber, delta=0.2), epochs=40)
    received = cnn.evaluate(model, test, loss=squared_error).loss
    assert received < 0.05 < ((linear_fit(train, test) - test.labels) ** 2).mean()


@pytest.mark.implicit_promotion
def test_shares_of_the_classes():
    """Those of a teacher, whose own choice is learned from them."""
    rng = np.random.default_rng(0)
    images = rng.random((200, 4, 4, 1)).astype(np.float32)
    odds = np.exp(4 * images.reshape(200, -1) @ rng.normal(size=(16, 3)))
    teacher = odds / odds.sum(axis=1, keepdims=True)
    model = fit(dense(3, (4, 4, 1)), cnn.Dataset(images, teacher), epochs=30)
    evaluation = cnn.evaluate(model, cnn.Dataset(images, teacher), metrics={"a": accuracy()})
    assert evaluation.accuracy == evaluation.metrics["a"] > 0.95


# The accuracy that comes with the loss.


class Stored(nnx.Module):
    """Put out its input."""

    def __call__(self, x):
        return x


def right(outputs, labels, *, loss=binary_cross_entropy):
    """Return the accuracy of a step whose model puts these out."""
    step = cnn.make_eval_step(Stored(), loss=loss)
    state = cnn.make_training(Stored(), optax.identity()).init(jax.random.key(0))
    outputs = np.asarray(outputs, np.float32)
    metrics = step(state, cnn.Batch(outputs, np.asarray(labels), np.ones(len(outputs), bool)))
    return float(metrics.accuracy)


def test_the_accuracy_is_a_mean_of_the_shares_that_are_right():
    outputs = np.eye(3)[[[0, 1, 2, 2], [1, 1, 0, 0], [0, 0, 0, 0]]]
    labels = np.array([[0, 1, 1, 255], [2, 255, 255, 255], [255, 255, 255, 255]])
    assert right(outputs, labels, loss=dice) == pytest.approx((2 / 3 + 0 + 0) / 3)
    outputs[0, 0, 1] = np.nan
    assert right(outputs, labels, loss=dice) == pytest.approx((1 / 3 + 0 + 0) / 3)


def test_the_accuracy_of_several_classes_is_a_share_of_yes_and_no():
    outputs, labels = [[1.0, -1.0, 2.0, np.nan]], np.array([[True, False, False, False]])
    assert right(outputs, labels) == 0.5
    assert right(outputs, labels.astype(np.float32)) == 0.5

    def own(logits, labels):
        return jnp.zeros(len(logits))

    assert right(outputs, labels, loss=own) == 0.5


def test_the_accuracy_of_numbers_is_unknown():
    assert np.isnan(right([[1.0, 2.0]], [[0.5, 3.0]], loss=squared_error))
    assert np.isnan(right([1.0], [0.5], loss=squared_error))


def test_logits_with_nan_are_wrong():
    """Where all are NaN the first class would have the largest."""
    nothing = np.full((1, 3), np.nan)
    assert right(nothing, np.array([0]), loss=cross_entropy) == 0
    assert right(nothing, np.array([[1.0, 0.0, 0.0]]), loss=cross_entropy) == 0


# What does not fit.


def build(*layers, shape=(6, 6, 1)):
    return cnn.serial(*layers).build(shape, rngs=nnx.Rngs(0))


IMAGES = np.zeros((4, 6, 6, 1), np.uint8)
CLASS, POSITIONS = np.arange(4) % 3, np.full((4, 6, 6), 2)
SEVERAL, NUMBERS = np.ones((4, 3), bool), np.zeros((4, 2))
FLAT, MAP = (
    build(cnn.flatten(), cnn.dense(3)),
    build(cnn.conv(3, 3, padding="SAME")),
)
WIDE = build(cnn.conv(256, 1))
FITS = [
    (FLAT, CLASS, None),
    (FLAT, CLASS + (CLASS == 2), "(batch, classes) with at least 4 classes, as the data has"),
    (MAP, CLASS, "(batch, classes) with at least 3 classes, as the data has"),
    (MAP, POSITIONS, None),
    (MAP, POSITIONS + 1, "(batch, 6, 6, classes) with at least 4 classes, as the data has"),
    (MAP, POSITIONS[:, ::2, ::2], "(batch, 3, 3, classes) with at least 3 classes, as the data"),
    (FLAT, POSITIONS, "(batch, 6, 6, classes) with at least 3 classes, as the data has"),
    (
        WIDE,
        POSITIONS,
        "(batch, 6, 6, classes) with at least 3 classes, as the data has, and at "
        "most 255, which is void",
    ),
    (FLAT, SEVERAL, None),
    (FLAT, SEVERAL[:, :2], "(batch, 2), as labels bool (4, 2) are"),
    (FLAT, NUMBERS, "(batch, 2), as labels float32 (4, 2) are"),
    (FLAT, np.zeros((4, 3)), None),
    (MAP, np.zeros((4, 6, 6, 3)), None),
    (MAP, np.zeros((4, 6, 6, 1)), "(batch, 6, 6, 1), as labels float32 (4, 6, 6, 1) are"),
]


def anything(outputs, labels):
    return jnp.zeros(len(outputs))


@pytest.mark.parametrize(("model", "labels", "needed"), FITS, ids=range(len(FITS)))
def test_the_outputs_must_fit_the_labels(model, labels, needed):
    data = cnn.Dataset(IMAGES, labels)
    if needed is None:
        assert cnn.evaluate(model, data, loss=anything).examples == 4
        return
    shape = jax.eval_shape(model, jax.ShapeDtypeStruct((1, 6, 6, 1), jnp.float32)).shape[1:]
    message = f"the model must map images to {needed}.*Received: {shape} for each image"
    message = re.escape(message).replace(re.escape(".*"), ".*")
    with pytest.raises(ValueError, match=message):
        cnn.evaluate(model, data, loss=anything)
    with pytest.raises(ValueError, match=message):
        cnn.fit(model, data, loss=anything, batch_size=2, progress=False)


@pytest.mark.parametrize("labels", [np.zeros((4, 3)), SEVERAL, POSITIONS])
@pytest.mark.parametrize(
    ("options", "what"),
    [({"mix": cnn.augment.mixup}, "mix"), ({"balanced": True}, "a balanced order")],
)
def test_mixing_and_balancing_need_one_class_per_image(labels, options, what):
    data = cnn.Dataset(IMAGES, labels)
    options = {
        "loss": anything,
        "batch_size": 2,
        "optimizer": optax.sgd(0.1),
        "progress": False,
    } | options
    with pytest.raises(ValueError, match=f"{what} needs one class per image.* Received: labels"):
        cnn.fit(MAP if labels is POSITIONS else FLAT, data, **options)


def test_a_loss_for_other_labels_says_which_to_take():
    with pytest.raises(TypeError, match="for several classes per example use binary_cross_entropy"):
        cnn.evaluate(FLAT, cnn.Dataset(IMAGES, SEVERAL), loss="cross_entropy")
    one = build(cnn.flatten(), cnn.dense(1))
    with pytest.raises(ValueError, match="for numbers to predict use squared_error or huber"):
        cnn.evaluate(one, cnn.Dataset(IMAGES, NUMBERS[:, :1]), loss="cross_entropy")


def test_numbers_are_not_taken_for_shares():
    model = build(cnn.flatten(), cnn.dense(2))
    with pytest.raises(ValueError, match="shares of classes that sum to 1; for numbers to predict"):
        cnn.fit(model, cnn.Dataset(IMAGES, NUMBERS), loss="cross_entropy", batch_size=1)


def test_without_a_loss_the_labels_decide():
    for labels, model in ((SEVERAL, FLAT), (NUMBERS, build(cnn.flatten(), cnn.dense(2)))):
        data = cnn.Dataset(IMAGES, labels)
        name = "binary_cross_entropy" if labels is SEVERAL else "squared_error"
        assert cnn.evaluate(model, data).loss == cnn.evaluate(model, data, loss=name).loss
    shares = cnn.Dataset(IMAGES, np.full((len(IMAGES), 2), 0.5))
    assert loss_of_labels(shares) == "cross_entropy"


# Predictions.


class First(nnx.Module):
    """Put out the first row."""

    def __call__(self, x):
        return x[:, 0]


first_best = functools.partial(jnp.argmax, axis=-1)


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
def test_predictions_of_any_rank(count, shape):
    images = np.random.default_rng(0).normal(size=(count, 1, *shape)).astype(np.float32)
    expected = images[:, 0]
    options = {"batch_size": 2}
    plain = cnn.predict(First(), images, activation=None, **options)
    np.testing.assert_array_equal(plain, expected)
    sigma = cnn.predict(First(), images, activation=jax.nn.sigmoid, **options)
    np.testing.assert_allclose(sigma, 1 / (1 + np.exp(-expected)), rtol=1e-5)
    shares = cnn.predict(First(), images, **options)
    assert shares.shape == expected.shape
    np.testing.assert_allclose(shares.sum(axis=-1), np.ones(expected.shape[:-1]), rtol=1e-5)
    best = cnn.predict(First(), images, activation=first_best, **options)
    np.testing.assert_array_equal(best, expected.argmax(axis=-1))


def test_one_class_is_nothing_to_train_on():
    data = cnn.Dataset(np.zeros((4, 4, 4, 1), np.uint8), np.zeros(4, int), ["images"])
    model = cnn.serial(cnn.flatten(), cnn.dense(1)).build((4, 4, 1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"at least two classes.*Received: the one class 'images'"):
        cnn.fit(model, data, batch_size=4, progress=False)

"""Attributions against hand values, NumPy, and derivatives of the model cut by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.stats import spearmanr

import jaxcnn as cnn
from jaxcnn.insight import (
    class_activation,
    grad_cam,
    grad_cam_plus_plus,
    gradients,
    integrated_gradients,
    occlusion,
    smooth_grad,
)

SHAPES = [(6, 2), (4, 5, 1), (2, 3, 2, 3)]


def linear_model(shape, classes=4):
    """A model of one dense layer, and its weights in the shape of an image, per class."""
    model = cnn.serial(cnn.flatten(), cnn.dense(classes)).build(shape, rngs=nnx.Rngs(0))
    weights = np.moveaxis(np.asarray(model.dense_1.kernel), 1, 0).reshape(classes, *shape)
    return model, weights


def small_network(shape, classes=4):
    network = cnn.serial(
        cnn.conv(6, 3, padding=1), jax.nn.relu, cnn.max_pool(2), cnn.conv(5, 2), jnp.tanh,
        cnn.flatten(), cnn.dense(classes),
    )  # fmt: skip
    return network.build(shape, rngs=nnx.Rngs(1))


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_model(shape, key):
    """Its gradient is its weights, whatever the image; integrated, they are weights × values."""
    model, weights = linear_model(shape)
    x, target = noise(3, *shape), [2, 0, 3]
    chosen = weights[target]
    np.testing.assert_array_equal(gradients(model, x, target), chosen)
    smooth = smooth_grad(key, model, x, target, samples=3, batch_size=4)
    np.testing.assert_allclose(smooth, chosen, rtol=1e-6)
    baseline = noise(*shape[:-1], shape[-1])[..., :1]
    found = integrated_gradients(model, x, target, baseline=baseline, steps=3, batch_size=4)
    np.testing.assert_allclose(found, (x - baseline) * chosen, rtol=1e-4, atol=1e-6)
    covered = occlusion(model, x, target, window=1, value=0.5, batch_size=4)
    np.testing.assert_allclose(covered, ((x - 0.5) * chosen).sum(-1), rtol=1e-4, atol=1e-5)


def test_pixels_count_as_numbers_up_to_one():
    model, weights = linear_model((4, 5, 1))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 1), np.uint8)
    np.testing.assert_array_equal(gradients(model, pixels, 1)[0], weights[1])
    found = integrated_gradients(model, pixels, 1, steps=2)
    np.testing.assert_allclose(found, pixels / 255 * weights[1], rtol=1e-5)


def test_windows_of_occlusion():
    """Windows of 3 with a step of 2 over 6 pixels: the last one reaches over the edge."""
    model, weights = linear_model((6, 1))
    x = noise(2, 6, 1)
    part = (x * weights[1])[..., 0]
    windows = [part[:, :3].sum(1), part[:, 2:5].sum(1), part[:, 4:].sum(1)]
    covering = [[0], [0], [0, 1], [1], [1, 2], [2]]
    expected = np.stack([np.mean([windows[w] for w in pixel], axis=0) for pixel in covering], 1)
    found = occlusion(model, x, 1, window=3, strides=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 2), (8, 7, 1), (6, 4, 5, 1)])
def test_class_activation_by_numpy(shape):
    model = small_network(shape)
    x = noise(2, *shape)
    front, behind = ["conv_1", "relu_1"], ["max_pool_1", "conv_2", "tanh_1", "flatten_1", "dense_1"]

    @jax.jit
    def cut(x):
        """The outputs of the ReLU, and the gradients of the scores of class 3 there."""
        for name in front:
            x = getattr(model, name)(x)

        def score(y):
            for name in behind:
                y = getattr(model, name)(y)
            return y[:, 3].sum()

        return x, jax.grad(score)(x)

    value, gradient = (np.asarray(each, np.float64) for each in cut(x))
    axes = tuple(range(1, gradient.ndim - 1))
    weights = gradient.mean(axes, keepdims=True)
    expected = np.maximum((weights * value).sum(-1), 0)
    found = grad_cam(model, x, 3, layer="relu_1")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with np.errstate(invalid="ignore"):
        total = value.sum(axes, keepdims=True)
        alpha = gradient**2 / (2 * gradient**2 + gradient**3 * total)
    alpha = np.where(gradient == 0, 0, alpha)
    weights = (alpha * np.maximum(gradient, 0)).sum(axes, keepdims=True)
    found = grad_cam_plus_plus(model, x, 3, layer="relu_1")
    np.testing.assert_allclose(found, np.maximum((weights * value).sum(-1), 0), rtol=1e-4)
    np.testing.assert_allclose(gradients(model, x, 3, layer="relu_1"), gradient, atol=1e-6)


def test_maps_are_resized_to_the_images():
    """By default those of the last output with several positions."""
    shape = (8, 7, 1)
    model, x = small_network(shape), noise(2, *shape)
    small = grad_cam(model, x, resize=False)
    np.testing.assert_array_equal(small, grad_cam(model, x, layer="tanh_1", resize=False))
    assert small.shape == (2, 3, 2)
    large = grad_cam(model, x)
    expected = jax.image.resize(small, (2, 8, 7), "linear")
    np.testing.assert_allclose(large, expected, rtol=1e-5, atol=1e-7)
    assert (np.asarray(large) >= 0).all()


def test_integrated_gradients_are_complete():
    """Over the images and over a layer that all paths cross, up to the error of the sum."""
    shape = (8, 7, 1)
    model, x = small_network(shape), noise(3, *shape)
    scores = np.asarray(model(x))
    target = scores.argmax(1)
    difference = scores[range(3), target] - np.asarray(model(np.zeros_like(x)))[range(3), target]
    for layer in (None, "conv_2"):
        found = np.asarray(integrated_gradients(model, x, layer=layer, steps=200))
        total = found.reshape(3, -1).sum(1)
        np.testing.assert_allclose(total, difference, rtol=2e-3, atol=1e-4)
    other = integrated_gradients(model, x, layer="conv_2", steps=200, batch_size=7)
    np.testing.assert_allclose(other, found, rtol=1e-4, atol=1e-6)


def test_noise_of_smooth_grad(key):
    """It is a share of the range of the image, another for each copy, and the key decides it."""
    shape = (8, 7, 1)
    model, x = small_network(shape), noise(2, *shape)
    plain = gradients(model, x)
    still = smooth_grad(key, model, x, samples=2, noise=0)
    np.testing.assert_allclose(still, plain, rtol=1e-5, atol=1e-7)
    first, again, other = (
        np.asarray(smooth_grad(jax.random.key(n), model, x, samples=50)) for n in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert 0 < np.abs(first - other).max() < np.abs(first - plain).max()
    few = smooth_grad(key, model, x, samples=50, batch_size=9)
    np.testing.assert_allclose(few, first, rtol=1e-4, atol=1e-6)


def test_the_predicted_class():
    model, x = small_network((8, 7, 1)), noise(3, 8, 7, 1)
    predicted = np.asarray(model(x)).argmax(1)
    assert len(set(predicted)) > 1
    for found in (gradients, integrated_gradients, grad_cam):
        np.testing.assert_array_equal(found(model, x), found(model, x, predicted))


class OneNumber(nnx.Module):
    """A user's module with one number per image."""

    def __init__(self, *, axes):
        self.kernel = nnx.Param(jnp.arange(6.0))
        self.axes = axes

    def __call__(self, x):
        score = jax.nn.sigmoid(x.reshape(len(x), -1) @ self.kernel[...])
        return score if self.axes == 1 else score[:, None]


@pytest.mark.parametrize("axes", [1, 2])
def test_one_number_per_image(axes):
    x = np.full((2, 6, 1), 0.01, np.float32)
    s = 1 / (1 + np.exp(-0.15))
    expected = np.broadcast_to(np.arange(6)[:, None] * s * (1 - s), (2, 6, 1))
    model = OneNumber(axes=axes)
    np.testing.assert_allclose(gradients(model, x), expected, rtol=1e-5)
    np.testing.assert_allclose(gradients(model, x, 0), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"in \[0, 0\]. Received: target=1"):
        gradients(model, x, 1)


def test_equal_structures_share_a_program():
    x = noise(3, 8, 7, 1)
    grad_cam(small_network((8, 7, 1), classes=3), x)
    count = class_activation._maps._cache_size()
    for target in (None, 1, [0, 1, 2]):
        grad_cam(small_network((8, 7, 1), classes=3), x, target)
    assert class_activation._maps._cache_size() == count


def test_attributions_depend_on_the_weights(key):
    """As Adebayo et al. (2018) ask: with random weights, the attributions are others.

    Those of a network that was trained a second time, from the same start, resemble the first.
    """
    digits = cnn.data.load("digits")
    network = cnn.serial(
        cnn.conv(8, 3), jax.nn.relu, cnn.conv(16, 3), jax.nn.relu, cnn.flatten(), cnn.dense(10)
    )
    first = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    train = functools.partial(cnn.fit, first, digits, epochs=2, progress=False)
    trained, again = (train(seed=seed).model for seed in (0, 1))
    random = network.build((8, 8, 1), rngs=nnx.Rngs(5))
    x, labels = digits.images[:32], digits.labels[:32]
    for attribute in (
        gradients,
        functools.partial(smooth_grad, key, samples=10),
        functools.partial(integrated_gradients, steps=10),
        functools.partial(occlusion, window=2),
        grad_cam,
    ):
        found, *others = (
            np.asarray(attribute(model, x, labels)).ravel() for model in (trained, again, random)
        )
        same, other = (spearmanr(found, each)[0] for each in others)
        assert abs(other) < 0.2
        assert same > 0.8


BAD = [
    (
        {"layer": "rel_1"},
        r"layer must be a path .*such as .*'relu_1'.*layer='rel_1'",
    ),
    (
        {"layer": "flatten_1"},
        r"layer must have the spatial axes.*layer='flatten_1', with the output \(N, 30\)\. The "
        r"last output with spatial axes is 'tanh_1'",
    ),
    ({"target": 4}, r"target must be a class of the model, in \[0, 3\]. Received: target=4"),
    ({"target": -1}, r"target must be a class of the model, in \[0, 3\]. Received: target=-1"),
    ({"target": [0, 1, 2]}, r"one for each of the 2 images. Received: target of shape \(3,\)"),
    (
        {"x": np.zeros((2, 12, 7, 1), np.float32)},
        r"x must fit the model, which was built for \(N, 8, 7, 1\). .* shape \(2, 12, 7, 1\)",
    ),
    ({"x": np.zeros((2, 8, 7, 3), np.float32)}, r"\(N, 8, 7, 1\).*\(2, 8, 7, 3\).*must have 1 ch"),
    ({"x": np.zeros((0, 8, 7, 1), np.float32)}, "at least one image"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_errors(change, message):
    given = {"model": small_network((8, 7, 1)), "x": noise(2, 8, 7, 1)} | change
    with pytest.raises(ValueError, match=message):
        grad_cam(**given)


def test_errors_of_options(key):
    model, x = small_network((8, 7, 1)), noise(2, 8, 7, 1)
    maps = cnn.conv(3, 1).build((8, 7, 1), rngs=nnx.Rngs(0))
    for call, error, message in (
        (lambda: gradients(maps, x), ValueError, r"return \(N, classes\).*\(2, 8, 7, 3\) for im"),
        (lambda: gradients(model, x, 1.5), TypeError, r"target must be a class.*target=1.5"),
        (lambda: gradients(model, x, "1"), TypeError, r"target must be a class.*target='1'"),
        (lambda: smooth_grad(key, model, x, noise=-1), ValueError, "noise must be at least 0"),
        (lambda: smooth_grad(key, model, x, samples=0), ValueError, "samples must be at least 1"),
        (lambda: occlusion(model, x, window=9), ValueError, r"size of the images, \(8, 7\)"),
        (lambda: occlusion(model, x, window=2, strides=3), ValueError, "at most the window"),
        (lambda: occlusion(model, x, window=2, value=[1, 2]), ValueError, "value must be a number"),
        (lambda: integrated_gradients(model, x, baseline="0"), TypeError, "must be numbers"),
        (lambda: integrated_gradients(model, x, baseline=np.nan), ValueError, "must be finite"),
        (lambda: grad_cam(linear_model((6, 1))[0], x[:, :6, 0]), ValueError, "more than one posi"),
    ):
        with pytest.raises(error, match=message):
            call()


class RootOfZero(nnx.Module):
    def __init__(self):
        self.scale = nnx.Param(jnp.ones(2))

    def __call__(self, x):
        return jnp.sqrt(x.reshape(len(x), -1)) * self.scale[...][None]


def test_numbers_that_are_not_finite_are_located():
    model, x = small_network((8, 7, 1)), noise(2, 8, 7, 1)
    model.conv_2.bias[...] = jnp.full(5, jnp.nan)
    for call in (gradients, grad_cam, integrated_gradients):
        with pytest.raises(ValueError, match=r"NaN or infinity, first in the output of 'conv_2'"):
            call(model, x)
    with pytest.raises(ValueError, match="derivative of a square root"):
        gradients(RootOfZero(), np.zeros((1, 2, 1), np.float32))

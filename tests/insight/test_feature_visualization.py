"""Images that maximize a channel, against what the weights of small models say they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.insight import activations, feature_visualization, visualize_features

STILL = {"jitter": 0, "rotation": 0.0, "scale": 0.0, "progress": False}


def edges(axes, channels=1):
    """A model whose channels are the derivatives along its axes."""
    network = cnn.serial(cnn.conv(axes, 3), jnp.abs)
    model = network.build((16,) * axes + (channels,), rngs=nnx.Rngs(0))
    kernel = np.zeros(model.conv_1.kernel.shape, np.float32)
    for axis in range(axes):
        center = [1] * axes
        for place, weight in ((0, -1), (2, 1)):
            kernel[(*center[:axis], place, *center[axis + 1 :], slice(None), axis)] = weight
    model.conv_1.kernel[...] = jnp.asarray(kernel)
    return model


@pytest.mark.parametrize(("axes", "channels"), [(1, 1), (2, 3), (3, 1)])
def test_edges_lie_across_the_derivative_that_is_maximized(axes, channels, key):
    model = edges(axes, channels)
    wanted = list(range(axes))
    options = {"steps": 25, "learning_rate": 0.2, "progress": False, "jitter": 2}
    images = visualize_features(key, model, "abs_1", wanted, **options)
    assert images.shape == (axes, *(16,) * axes, channels)
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1
    if axes > 1:
        for channel, image in enumerate(images):
            changes = [np.abs(np.diff(image, axis=axis)).mean() for axis in range(axes)]
            assert np.argmax(changes) == channel
    before = visualize_features(key, model, "abs_1", wanted, **options | {"steps": 1})
    rise = [
        np.asarray(activations(model, x, "abs_1")["abs_1"]).reshape(axes, -1, axes).mean(1)
        for x in (before, images)
    ]
    assert (np.diagonal(rise[1]) > 3 * np.diagonal(rise[0])).all()


def test_a_class_of_a_linear_model(key):
    """Its image has the sign of the class's weights, pixel by pixel, once frequencies are equal."""
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((6, 7, 1), rngs=nnx.Rngs(0))
    options = {"steps": 100, "learning_rate": 0.1, "decay": 0.0} | STILL
    images = visualize_features(key, model, "dense_1", [2, 0], **options)
    weights = np.asarray(model.dense_1.kernel)[:, [2, 0]].T.reshape(2, 6, 7, 1)
    agree = np.sign(images - 0.5) == np.sign(weights)
    assert agree[np.abs(weights) > 0.1].mean() > 0.95


def test_colors_are_decorrelated_and_ranges_kept():
    """The spectrum of one position of color space moves red, green and blue together."""
    ascent = feature_visualization._Ascent((8, 8, 3), 1.0, 0.0, 0, 0.0, (1, 1), 0.0, (-2.0, 2.0))
    spectra = np.zeros((1, 2, 8, 5, 3), np.float32)
    flat = np.asarray(feature_visualization._images(ascent, jnp.asarray(spectra)))
    np.testing.assert_array_equal(flat, 0)
    spectra[0, 0, 0, 0, 0] = 1  # the mean of the first color
    image = np.asarray(feature_visualization._images(ascent, jnp.asarray(spectra)))[0]
    # 8 · 8 (the longest wave) over 8 · 8 (the mean of irfft) and 4, times the first column.
    column = np.array([0.26, 0.27, 0.27]) / np.linalg.norm([0.26, 0.27, 0.27])
    expected = -2 + 4 / (1 + np.exp(-column / 4))
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), rtol=1e-5)


def test_blur_and_total_variation_smooth(key):
    model = edges(2)
    options = {"steps": 10, "learning_rate": 0.2} | STILL
    plain, blurred, smooth = (
        visualize_features(key, model, "abs_1", 0, **options, **more)
        for more in ({}, {"blur": 2.0}, {"total_variation": 20.0})
    )
    roughness = [np.abs(np.diff(image, axis=1)).mean() for image in (plain, blurred, smooth)]
    assert max(roughness[1:]) < 0.5 * roughness[0]


def test_the_key_decides_and_batches_are_joined():
    model = edges(2)
    options = {"steps": 3, "batch_size": 2, "progress": False}
    first, again, other = (
        visualize_features(jax.random.key(seed), model, "abs_1", [0, 1, 0], **options)
        for seed in (0, 0, 1)
    )
    assert first.shape == (3, 16, 16, 1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_errors(key):
    model = edges(1)
    for options, error, message in (
        ({"channels": 1}, ValueError, r"channels must be in \[0, 0\], .*'abs_1' has 1. Rec.*=1"),
        ({"channels": [0.5]}, TypeError, "channels must be a channel or a list"),
        ({"layer": "abs"}, ValueError, "layer must be a path .* such as .*'abs_1'"),
        ({"image_shape": (2, 1)}, ValueError, r"x must fit the model, .* \(N, 16, 1\)"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"scale": (0, 1)}, ValueError, "scale must be above 0"),
    ):
        given = {"layer": "abs_1", "channels": 0, "steps": 1} | options
        with pytest.raises(error, match=message):
            visualize_features(key, model, **given)
    with pytest.raises(ValueError, match=r"image_shape must be .* for a model without input_shape"):
        visualize_features(key, nnx.Conv(1, 2, (3,), rngs=nnx.Rngs(0)), "conv", 0)

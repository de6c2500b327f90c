"""Airbench's own: its whitening against NumPy, its kernels, its activation, its logits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.models.airbench import whiten_first


@pytest.fixture(scope="module")
def network():
    return models.create("airbench", features=(32, 8, 8))


@pytest.fixture(scope="module")
def model(network):
    return network.build((32, 32, 3), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def images():
    """Of pixels that correlate, as real ones do, about a mean that is not zero."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(16, 33, 33, 3)).astype(np.float32)
    mixed = (noise[:, 1:, 1:] + noise[:, :-1, 1:] + 0.5 * noise[:, 1:, :-1]) @ np.float32(
        [[1, 0.8, 0.6], [0, 0.5, 0.2], [0, 0, 0.3]]
    )
    return jnp.asarray(0.5 + 0.2 * mixed)


def patches_of(images):
    """In float64, one by one: rows, columns, channels."""
    images = np.asarray(images, np.float64)
    count, height, width, _ = images.shape
    return np.array([
        images[n, y : y + 2, x : x + 2].ravel()
        for n in range(count) for y in range(height - 1) for x in range(width - 1)
    ])  # fmt: skip


def test_whitened_outputs_are_uncorrelated(model, images):
    whitened = whiten_first(model, images)
    outputs = np.asarray(whitened.stem.conv_1(images), np.float64).reshape(-1, 24)
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=1e-4)
    covariance = np.cov(outputs[:, :12], rowvar=False, bias=True)
    # The constant that is added to the variances makes those of the outputs smaller than 1.
    variances = np.linalg.eigvalsh(np.cov(patches_of(images), rowvar=False, bias=True))[::-1]
    expected = np.diag(variances / (variances + 3e-5))
    np.testing.assert_allclose(covariance, expected, atol=2e-4)
    np.testing.assert_allclose(outputs[:, 12:], -outputs[:, :12], atol=1e-5)


def test_whitening_is_that_of_numpy(model, images):
    patches = patches_of(images)
    variances, vectors = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))
    kernel = (vectors / np.sqrt(variances + 3e-5))[:, ::-1]
    whitened = whiten_first(model, images).stem.conv_1
    ours = np.asarray(whitened.kernel[...]).reshape(12, 24)
    signs = np.sign(np.sum(ours[:, :12] * kernel, axis=0))  # an eigenvector may point either way
    np.testing.assert_allclose(ours, np.hstack([kernel * signs, -kernel * signs]), atol=2e-3)
    np.testing.assert_allclose(whitened.bias[...], -patches.mean(axis=0) @ ours, atol=1e-5)


def test_whitening_leaves_the_model_and_its_other_layers(model, images):
    before = nnx.to_pure_dict(nnx.state(model))
    whitened = nnx.to_pure_dict(nnx.state(whiten_first(model, images)))
    jax.tree.map(np.testing.assert_array_equal, before, nnx.to_pure_dict(nnx.state(model)))
    stem = whitened.pop("stem")["conv_1"], before.pop("stem")["conv_1"]
    assert not np.array_equal(stem[0]["kernel"], stem[1]["kernel"])
    jax.tree.map(np.testing.assert_array_equal, before, whitened)


def test_nearly_constant_images_do_not_whiten_to_noise(model):
    noise = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    whitened = whiten_first(model, jnp.asarray(0.5 + 1e-6 * noise)).stem.conv_1
    assert np.abs(whitened.kernel[...]).max() <= 1 / math.sqrt(3e-5) + 1e-3


def test_convolutions_begin_as_the_identity(model):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 24)), jnp.float32)
    y = model.stage_1.conv_1(x)
    np.testing.assert_allclose(y[..., :24], x, atol=1e-6)
    others = np.asarray(model.stage_1.conv_1.kernel[..., 24:])
    bound = 1 / math.sqrt(9 * 24)
    assert 0.98 * bound < np.abs(others).max() <= bound
    assert others.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    # Where there are fewer features than inputs, all are copies.
    narrow = model.stage_2.conv_1.kernel[...]
    np.testing.assert_array_equal(narrow[1, 1], np.eye(32, 8))
    assert np.count_nonzero(narrow) == 8


def test_logits_are_a_ninth(model, images):
    features = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8)), jnp.float32)
    expected = np.asarray(features, np.float64) @ np.asarray(model.head.kernel[...]) / 9
    np.testing.assert_allclose(model.scale(model.head(features)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x[0], ValueError, r"^images must have 4 axes.*add the batch axis"),
        (lambda x: (255 * x).astype(jnp.int32), TypeError, r"^images must be floating point"),
        (lambda x: x[..., :1], ValueError, r"^images must have 3 channels"),
    ],
)
def test_errors_of_images(model, images, change, error, message):
    with pytest.raises(error, match=message):
        whiten_first(model, change(images))


def test_pixels_are_scaled_as_in_a_step(model):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    from_pixels = whiten_first(model, pixels).stem.conv_1.kernel[...]
    from_floats = whiten_first(model, pixels / np.float32(255)).stem.conv_1.kernel[...]
    np.testing.assert_allclose(from_pixels, from_floats, atol=1e-3)


def test_the_registry_prepares_the_model_that_needs_it(model, images):
    prepared = models.prepare("airbench", model, images)
    expected = whiten_first(model, images)
    np.testing.assert_array_equal(
        prepared.stem.conv_1.kernel[...], expected.stem.conv_1.kernel[...]
    )
    other = models.create("tiny_cnn").build((32, 32, 3), rngs=nnx.Rngs(0))
    assert models.prepare("tiny_cnn", other, images) is other
    with pytest.raises(ValueError, match=r"there is no model 'tiny_cn'\. Did you mean 'tiny_cnn'"):
        models.prepare("tiny_cn", other, images)

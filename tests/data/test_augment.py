"""Random shifts, each image compared with NumPy's shifts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.data import random_shift


def random_images(*shape):
    return np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)


def shifted(image, offset):
    """Returns the image moved by ``offset`` along its spatial axes, zeros coming in."""
    result = np.zeros_like(image)
    sizes = image.shape[:-1]
    target = tuple(slice(max(o, 0), n + min(o, 0)) for o, n in zip(offset, sizes, strict=True))
    source = tuple(slice(max(-o, 0), n + min(-o, 0)) for o, n in zip(offset, sizes, strict=True))
    result[target] = image[source]
    return result


def offsets_of(images, results, pixels):
    """Returns the one offset per image that explains the result."""
    around = range(-pixels, pixels + 1)
    found = []
    for image, result in zip(images, results, strict=True):
        fitting = [
            offset
            for offset in itertools.product(around, repeat=image.ndim - 1)
            if np.array_equal(shifted(image, offset), result)
        ]
        assert len(fitting) == 1
        found += fitting
    return np.array(found)


@pytest.mark.parametrize(
    ("shape", "pixels"), [((300, 6, 5, 2), 2), ((60, 9, 1), 3), ((40, 3, 4, 3, 1), 1)]
)
def test_every_image_is_shifted_on_its_own(key, shape, pixels):
    images = random_images(*shape)
    results = random_shift(key, jnp.asarray(images), pixels=pixels)
    assert (results.shape, results.dtype) == (images.shape, images.dtype)
    offsets = offsets_of(images, np.asarray(results), pixels)
    # Every shift from one bound to the other comes up on every axis, and the axes differ.
    assert all(set(axis) == set(range(-pixels, pixels + 1)) for axis in offsets.T)
    assert len(np.unique(offsets, axis=0)) > 2 * pixels + 1 or offsets.shape[1] == 1


def test_shifts_are_even(key):
    images = np.zeros((5000, 7, 1), np.float32)
    images[:, 3] = 1
    places = np.asarray(random_shift(key, jnp.asarray(images))).argmax(axis=1).ravel()
    assert np.bincount(places, minlength=7) == pytest.approx([0, *[1000] * 5, 0], abs=130)


def test_zero_pixels_change_nothing(key):
    images = random_images(3, 4, 4, 1)
    np.testing.assert_array_equal(random_shift(key, jnp.asarray(images), pixels=0), images)


def test_the_key_decides(key):
    images = jnp.asarray(random_images(8, 6, 6, 1))
    once = random_shift(key, images)
    np.testing.assert_array_equal(once, jax.jit(random_shift)(key, images))
    assert (once != random_shift(jax.random.key(1), images)).any()


def test_pixels_keep_their_dtype(key):
    images = np.random.default_rng(0).integers(1, 256, (4, 5, 5, 3), np.uint8)
    results = np.asarray(random_shift(key, jnp.asarray(images), pixels=1))
    assert results.dtype == np.uint8
    offsets_of(images, results, 1)


@pytest.mark.parametrize(
    ("shape", "pixels", "kind", "message"),
    [
        ((2, 4, 4, 1), -1, ValueError, "pixels must be at least 0. Received: pixels=-1"),
        ((2, 4, 4, 1), 1.5, TypeError, "pixels must be a whole number. Received: pixels=1.5"),
        ((2, 4, 4, 1), (1, 2), TypeError, r"pixels must be a whole number. .*pixels=\(1, 2\)"),
        ((2, 4), 1, ValueError, r"images must have at least 3 axes.*Received: shape \(2, 4\)"),
    ],
)
def test_errors(key, shape, pixels, kind, message):
    with pytest.raises(kind, match=message):
        random_shift(key, jnp.zeros(shape), pixels=pixels)

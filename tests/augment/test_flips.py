"""Flipped images, against NumPy."""

import functools

import jax
import numpy as np
import pytest

from jaxcnn.augment import alternating_flip, random_flip


def random_images(count, dtype=np.float32):
    return np.random.default_rng(0).uniform(0, 1, (count, 4, 5, 2)).astype(dtype)


def flipped(images, results):
    """Return which images are flipped, and check that the others are unchanged."""
    mirrored = [np.array_equal(i[:, ::-1], r) for i, r in zip(images, results, strict=True)]
    same = [np.array_equal(i, r) for i, r in zip(images, results, strict=True)]
    np.testing.assert_array_equal(np.logical_xor(mirrored, same), True)
    return np.array(mirrored)


@pytest.mark.parametrize("rate", [0, 0.2, 0.5, 1])
def test_the_rate_is_the_share_that_is_flipped(key, rate):
    images = random_images(1000)
    flip = jax.jit(functools.partial(random_flip, rate=rate))
    chosen = flipped(images, np.asarray(flip(key, images)))
    assert chosen.mean() == pytest.approx(rate, abs=0.05 if 0 < rate < 1 else 0)


def alternate(images, epoch, seed=0):
    return np.asarray(jax.jit(alternating_flip)(jax.random.key(seed), images, epoch=epoch))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_two_epochs_show_every_image_in_both_orientations(dtype):
    images = random_images(1000, dtype)
    epochs = [flipped(images, alternate(images, epoch)) for epoch in range(4)]
    assert epochs[0].mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(epochs[0], ~epochs[1])
    np.testing.assert_array_equal(epochs[0], epochs[2])
    np.testing.assert_array_equal(epochs[1], epochs[3])


def test_the_orientation_is_a_function_of_the_image_alone():
    """Neither on the order, nor on the batch, nor on the key of the step."""
    images = random_images(300)
    first = flipped(images, alternate(images, 0))
    order = np.random.default_rng(1).permutation(300)[:100]
    again = alternate(images[order], np.int32(2), seed=5)
    np.testing.assert_array_equal(flipped(images[order], again), first[order])


def test_similar_images_differ_in_orientation():
    """Drawings that differ in one slightly brighter pixel."""
    images = np.zeros((1000, 4, 5, 2), np.float32)
    images[:, :, 0] = 1  # so that they are not mirror images of themselves
    images[np.arange(1000), 3, 2 + np.arange(1000) % 2, 1] = np.arange(1, 1001) / 2550
    assert flipped(images, alternate(images, 0)).mean() == pytest.approx(0.5, abs=0.07)

"""Colors, against Pillow's ImageEnhance and the standard library's colorsys."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from jaxcnn.augment import color, color_jitter, gaussian_noise

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
# Compiled once for all turns.
ADJUST_HUE = jax.jit(color.adjust_hue)
ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


@pytest.mark.parametrize("name", ENHANCERS)
@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
def test_factors_are_those_of_pillow(key, name, factor):
    images = jax.device_put((PIXELS / np.float32(255))[None])
    result = 255 * np.asarray(color_jitter(key, images, **{name: (factor, factor)}))[0]
    expected = np.asarray(ENHANCERS[name](Image.fromarray(PIXELS)).enhance(factor), float)
    # Pillow rounds the gray, which the factor enlarges, and the result.
    np.testing.assert_allclose(result, expected, atol=0.5 * abs(1 - factor) + 1.01)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 1 / 3, 0.5])
def test_hues_are_those_of_colorsys(turn):
    grays_and_primaries = [[0, 0, 0], [255, 255, 255], [99, 99, 99], [255, 0, 0], [0, 255, 0],
                           [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255]]  # fmt: skip
    image = np.concatenate([PIXELS, np.reshape(grays_and_primaries, (9, 1, 3))], axis=1) / 255
    result = ADJUST_HUE(jnp.asarray(image, jnp.float32), jnp.float32(turn))
    for pixel, received in zip(image.reshape(-1, 3), np.reshape(result, (-1, 3)), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        np.testing.assert_allclose(received, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("option", "value", "low", "high"),
    [("brightness", 0.4, 0.6, 1.4), ("brightness", (0.2, 0.9), 0.2, 0.9), ("brightness", 2, 0, 3)],
)
def test_factors_are_drawn_evenly(key, option, value, low, high):
    images = jnp.full((2000, 1, 1, 3), 0.25)
    factors = 4 * np.asarray(color_jitter(key, images, **{option: value}))[:, 0, 0, 0]
    shares = np.histogram(factors, bins=4, range=(low, high))[0] / 2000
    np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_changes_come_in_their_order(key):
    """Brightness is first: values that it clips are lost."""
    images = jnp.asarray([0.4, 0.8, 0.8]).reshape(1, 1, 3, 1)
    result = color_jitter(key, images, brightness=(2.0, 2.0), contrast=(0.5, 0.5))
    bright = np.array([0.8, 1.0, 1.0])
    np.testing.assert_allclose(result.ravel(), (bright + bright.mean()) / 2, atol=1e-6)


def test_each_change_is_drawn_by_itself(key):
    images = np.tile(np.float32([0.2, 0.6]).reshape(1, 1, 2, 1), (500, 1, 1, 1))
    result = np.asarray(color_jitter(key, jax.device_put(images), brightness=0.2, contrast=0.2))[
        :, 0, :, 0
    ]
    brightness, contrast = result.mean(axis=1) / 0.4, np.ptp(result, axis=1) / 0.4
    assert abs(np.corrcoef(brightness, contrast / brightness)[0, 1]) < 0.12


def test_noise_is_normal(key):
    noisy = np.asarray(gaussian_noise(key, jnp.full((20, 30, 30, 2), 0.5), deviation=0.1)) - 0.5
    assert noisy.mean() == pytest.approx(0, abs=0.002)
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert np.mean(np.abs(noisy) < 0.1) == pytest.approx(0.6827, abs=0.01)
    strong = gaussian_noise(jax.random.key(1), jnp.full((20, 30, 30, 2), 0.5), deviation=9)
    assert (strong.min(), strong.max()) == (0, 1)

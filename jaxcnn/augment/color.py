"""Changing the values of pixels: brightness, contrast, saturation, hue, noise.

The functions of one image take values in [0, 1] and give such back. Most of them blend the image
with a duller form of itself, as Pillow's ``ImageEnhance`` does: at a factor of 1 the image comes
back bit for bit, at 0 the duller form, and above 1 the difference grows.
"""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import each_image, uniform


def color_jitter(
    key: jax.Array,
    images: jax.Array,
    *,
    brightness: arguments.Range = 0.0,
    contrast: arguments.Range = 0.0,
    saturation: arguments.Range = 0.0,
    hue: arguments.Range = 0.0,
) -> jax.Array:
    """Changes brightness, contrast, saturation and hue of each image, in this order.

    >>> images = jnp.full((2, 4, 4, 3), 0.5)
    >>> jittered = color_jitter(jax.random.key(0), images, brightness=0.4)
    >>> bool((jittered[0] != jittered[1]).all()), bool((jittered <= 0.7).all())
    (True, True)

    Args:
      key: A PRNG key; the same key gives the same colors.
      images: ``(batch, height, width, channels)``, floating point in [0, 1].
      brightness: By how much the factor on all values may differ from 1, or ``(low, high)``.
      contrast: The same for the factor on the distance from the image's mean gray.
      saturation: The same for the factor on the distance from each pixel's own gray; of 3
        channels only.
      hue: By how much of a turn of the color wheel, up to 0.5 either way, or ``(low, high)``;
        of 3 channels only.

    Returns:
      Shape and dtype of ``images``; values in [0, 1].

    Raises:
      TypeError: an option is not made of numbers, or the images are not floating point.
      ValueError: an option is out of its range, or ``images`` has not 4 axes, or not the 3
        channels that it needs.
    """
    checks.rank("images", images, 4)
    brighter = arguments.check_interval("brightness", brightness, center=1, minimum=0)
    starker = arguments.check_interval("contrast", contrast, center=1, minimum=0)
    richer = arguments.check_interval("saturation", saturation, center=1, minimum=0)
    turn = arguments.check_interval("hue", hue, center=0, minimum=-0.5, maximum=0.5)
    steps = [
        (adjust_brightness, brighter, brighter != (1, 1)),
        (adjust_contrast, starker, starker != (1, 1)),
        (adjust_saturation, richer, richer != (1, 1)),
        (adjust_hue, turn, turn != (0, 0)),
    ]
    if steps[2][2] or steps[3][2]:
        check_color(images)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        for place, (adjust, factors, changes) in enumerate(steps):
            if changes:
                image = adjust(image, uniform(jax.random.fold_in(key, place), factors, image))
        return image

    return each_image(one, key, images)


def gaussian_noise(key: jax.Array, images: jax.Array, *, deviation: float = 0.05) -> jax.Array:
    """Adds normal noise to every value, and cuts off what leaves [0, 1].

    >>> noisy = gaussian_noise(jax.random.key(0), jnp.full((1, 64, 64, 1), 0.5), deviation=0.1)
    >>> round(float(noisy.mean()), 2), round(float(noisy.std()), 2)
    (0.5, 0.1)

    Args:
      key: A PRNG key; the same key gives the same noise.
      images: ``(batch, height, width, channels)``, floating point in [0, 1].
      deviation: Standard deviation of the noise, at least 0.

    Returns:
      Shape and dtype of ``images``; values in [0, 1].

    Raises:
      TypeError: ``deviation`` is not a number, or the images are not floating point.
      ValueError: ``deviation`` is below 0, or ``images`` has not 4 axes.
    """
    checks.rank("images", images, 4)
    size = arguments.check_number("deviation", deviation, minimum=0)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, image.shape, image.dtype)
        return jnp.clip(image + size * noise, 0, 1)

    return each_image(one, key, images)


def check_color(images: jax.Array) -> None:
    """Checks that there are 3 channels.

    Raises:
      ValueError: there are not.
    """
    if images.shape[-1] != 3:
        raise ValueError(
            "saturation and hue are those of 3 channels: red, green, blue. "
            f"Received: shape {images.shape}"
        )


def blend(image: jax.Array, duller: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns ``duller + factor · (image − duller)``, cut off at 0 and 1."""
    return jnp.clip(factor * image + (1 - factor) * duller, 0, 1)


def adjust_brightness(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blends with black."""
    return jnp.clip(factor * image, 0, 1)


def adjust_contrast(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blends with the image's mean gray."""
    return blend(image, jnp.mean(gray(image), keepdims=True), factor)


def adjust_saturation(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blends with each pixel's own gray."""
    return blend(image, gray(image), factor)


def gray(image: jax.Array) -> jax.Array:
    """Returns ``(height, width, 1)``: the luma of ITU-R 601 of 3 channels, the mean of others."""
    if image.shape[-1] != 3:
        return image.mean(axis=-1, keepdims=True)
    return 0.299 * image[..., :1] + 0.587 * image[..., 1:2] + 0.114 * image[..., 2:]


def adjust_hue(image: jax.Array, turn: jax.Array) -> jax.Array:
    """Turns the hue of HSV by a share of the color wheel: red by 1/3 is green."""
    value, least = image.max(axis=-1), image.min(axis=-1)
    chroma = value - least
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    # Six parts of the wheel, with the largest channel as the nearest of red, green and blue.
    sixths = jnp.where(
        value == red,
        green - blue,
        jnp.where(value == green, 2 * chroma + blue - red, 4 * chroma + red - green),
    ) / jnp.where(chroma == 0, 1, chroma)
    # Each channel as a function of the hue: (Smith, 1978) without its table of six cases.
    starts = jnp.array([5, 3, 1], image.dtype)[None, None]
    place = (starts + (sixths + 6 * turn)[..., None]) % 6
    ramp = jnp.clip(jnp.minimum(place, 4 - place), 0, 1)
    return value[..., None] - chroma[..., None] * ramp

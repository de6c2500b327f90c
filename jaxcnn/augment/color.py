"""Augmentations of pixel values: brightness, contrast, saturation, hue, noise.

The functions of one image map values in [0, 1] to values in [0, 1]. Most of them blend the image
with a degenerate image, as Pillow's ``ImageEnhance`` does: a factor of 1 gives the image bit for
bit, 0 the degenerate image, and above 1 the difference is amplified.
"""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import each_image, uniform
from jaxcnn.augment.positions import in_place
from jaxcnn.other_names import explained

# Weights of red, green and blue in the luma of ITU-R BT.601, as in Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)


@explained
@in_place
def color_jitter(
    key: jax.Array,
    images: jax.Array,
    *,
    brightness: arguments.Range = 0.0,
    contrast: arguments.Range = 0.0,
    saturation: arguments.Range = 0.0,
    hue: arguments.Range = 0.0,
) -> jax.Array:
    """Change brightness, contrast, saturation and hue of each image at random, in this order.

    >>> images = jnp.full((2, 4, 4, 3), 0.5)
    >>> jittered = color_jitter(jax.random.key(0), images, brightness=0.4)
    >>> bool((jittered[0] != jittered[1]).all()), bool((jittered <= 0.7).all())
    (True, True)

    Args:
      key: A PRNG key; the same key gives the same colors.
      images: ``(batch, [time,] height, width, channels)``, floating point in [0, 1].
      brightness: Largest difference from 1 of the factor on all values, at least 0, or the
        ``(low, high)`` of the factor.
      contrast: The same for the factor on the difference from the image's mean gray.
      saturation: The same for the factor on the difference from each pixel's gray; requires 3
        channels.
      hue: Largest rotation of the color wheel in either direction, in [0, 0.5] turns, or
        ``(low, high)`` in [−0.5, 0.5]; requires 3 channels.

    Returns:
      Shape and dtype of ``images``; values in [0, 1].

    Raises:
      TypeError: An option is not a number or a pair of numbers, or the images are not floating
        point.
      ValueError: An option is outside the range above, ``images`` does not have 4 or 5 axes, or
        ``saturation`` or ``hue`` is given and ``images`` does not have 3 channels.
    """
    checks.pictures("images", images)
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


@explained
@in_place
def gaussian_noise(key: jax.Array, images: jax.Array, *, deviation: float = 0.05) -> jax.Array:
    """Add normal noise to every value, and clip the result to [0, 1].

    >>> noisy = gaussian_noise(jax.random.key(0), jnp.full((1, 64, 64, 1), 0.5), deviation=0.1)
    >>> round(float(noisy.mean()), 2), round(float(noisy.std()), 2)
    (0.5, 0.1)

    Args:
      key: A PRNG key; the same key gives the same noise.
      images: ``(batch, [time,] height, width, channels)``, floating point in [0, 1].
      deviation: Standard deviation of the noise, at least 0.

    Returns:
      Shape and dtype of ``images``; values in [0, 1].

    Raises:
      TypeError: ``deviation`` is not a number, or the images are not floating point.
      ValueError: ``deviation`` is below 0, or ``images`` does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    size = arguments.check_number("deviation", deviation, minimum=0)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        noise = jax.random.normal(key, image.shape, image.dtype)
        return jnp.clip(image + size * noise, 0, 1)

    return each_image(one, key, images, by_frame=False)


def check_color(images: jax.Array) -> None:
    """Check that `images` have 3 channels.

    Raises:
      ValueError: They have not.
    """
    if images.shape[-1] != 3:
        raise ValueError(
            "saturation and hue require images with 3 channels: red, green, blue. "
            f"Received: shape {images.shape}"
        )


def blend(image: jax.Array, degenerate: jax.Array, factor: jax.Array) -> jax.Array:
    """Return ``degenerate + factor · (image − degenerate)``, clipped to [0, 1]."""
    return jnp.clip(factor * image + (1 - factor) * degenerate, 0, 1)


def adjust_brightness(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blend with black."""
    return jnp.clip(factor * image, 0, 1)


def adjust_contrast(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blend with the image's mean gray."""
    return blend(image, jnp.mean(gray(image), keepdims=True), factor)


def adjust_saturation(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Blend with each pixel's gray."""
    return blend(image, gray(image), factor)


def gray(image: jax.Array) -> jax.Array:
    """Return ``(height, width, 1)``: the luma (ITU-R 601) of 3 channels, or the mean of others."""
    if image.shape[-1] != 3:
        return image.mean(axis=-1, keepdims=True)
    red, green, blue = LUMA
    return red * image[..., :1] + green * image[..., 1:2] + blue * image[..., 2:]


def adjust_hue(image: jax.Array, turn: jax.Array) -> jax.Array:
    """Rotate the hue of HSV by `turn` of the color wheel: red by 1/3 becomes green."""
    value, least = image.max(axis=-1), image.min(axis=-1)
    chroma = value - least
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    # Hue in sixths of the wheel; the largest channel is the nearest of red, green and blue.
    sixths = jnp.where(
        value == red,
        green - blue,
        jnp.where(value == green, 2 * chroma + blue - red, 4 * chroma + red - green),
    ) / jnp.where(chroma == 0, 1, chroma)
    # Each channel as a function of the hue (Smith, 1978), in closed form instead of six cases.
    starts = jnp.array([5, 3, 1], image.dtype)[None, None]
    place = (starts + (sixths + 6 * turn)[..., None]) % 6
    ramp = jnp.clip(jnp.minimum(place, 4 - place), 0, 1)
    return value[..., None] - chroma[..., None] * ramp

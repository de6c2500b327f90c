"""Augmentations that erase a part of each image."""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import each_image, uniform
from jaxcnn.augment.geometry import draw_sides
from jaxcnn.augment.positions import in_place
from jaxcnn.other_names import explained


@explained
@in_place
def cutout(key: jax.Array, images: jax.Array, *, size: int = 8, fill: float = 0.0) -> jax.Array:
    """Erase a square from each image (DeVries and Taylor, 2017, arXiv 1708.04552).

    Its center is drawn uniformly from all pixels, so that at the border a part of it is outside.

    >>> erased = cutout(jax.random.key(0), jnp.ones((1, 32, 32, 1)), size=8)
    >>> 16 <= int((erased == 0).sum()) <= 64
    True

    Args:
      key: A PRNG key; the same key gives the same squares.
      images: ``(batch, [time,] height, width, channels)``, floating point.
      size: Side of the square in pixels, at least 0; 0 changes nothing.
      fill: Value of the erased pixels, in [0, 1].

    Returns:
      Shape and dtype of ``images``.

    Raises:
      TypeError: ``size`` is not an integer, ``fill`` is not a number, or the images are not
        floating point.
      ValueError: ``size`` is below 0, ``fill`` is outside [0, 1], or ``images`` does not have 4
        or 5 axes.
    """
    checks.pictures("images", images)
    size = arguments.check_integer("size", size, minimum=0)
    color = arguments.check_number("fill", fill, minimum=0, maximum=1)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        middle = jax.random.randint(key, (2,), 0, jnp.array(image.shape[:2]))
        corner = middle - size // 2
        return jnp.where(
            inside(image, corner, corner + size), jnp.asarray(color, image.dtype), image
        )

    return each_image(one, key, images)


@explained
@in_place
def random_erasing(
    key: jax.Array,
    images: jax.Array,
    *,
    rate: float = 0.5,
    area: arguments.Range = (0.02, 0.33),
    ratio: arguments.Range = (0.3, 3.3),
    fill: float | None = None,
) -> jax.Array:
    """Erase a rectangle from some images (Zhong et al., 2017, arXiv 1708.04896).

    The rectangle is inside the image; its sides are rounded to integers.

    >>> images = jnp.ones((1, 32, 32, 1))
    >>> erased = random_erasing(jax.random.key(0), images, rate=1.0, area=(0.25, 0.25), fill=0.0)
    >>> abs(float((erased == 0).mean()) - 0.25) < 0.03
    True

    Args:
      key: A PRNG key; the same key gives the same rectangles.
      images: ``(batch, [time,] height, width, channels)``, floating point.
      rate: Probability that an image is changed, in [0, 1].
      area: Smallest and largest share of the image's area, in (0, 1].
      ratio: Smallest and largest width divided by height, above 0; its logarithm is drawn
        uniformly, and it is clipped so that the area fits into the image.
      fill: Value of the erased pixels, in [0, 1]; ``None`` means uniform noise.

    Returns:
      Shape and dtype of ``images``.

    Raises:
      TypeError: An option is not a number or a pair of numbers, or the images are not floating
        point.
      ValueError: An option is outside the range above, or ``images`` does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    rate = arguments.check_number("rate", rate, minimum=0, maximum=1)
    shares, ratios = (
        arguments.check_interval("area", area, maximum=1, above=0),
        arguments.check_interval("ratio", ratio, above=0),
    )
    color = None if fill is None else arguments.check_number("fill", fill, minimum=0, maximum=1)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        chosen_key, sides_key, place_key, fill_key = jax.random.split(key, 4)
        sides = jnp.round(draw_sides(sides_key, image, shares, ratios)).astype(int)
        size = jnp.array(image.shape[:2])
        sides = jnp.clip(sides, 1, size)
        corner = jax.random.randint(place_key, (2,), 0, size - sides + 1)
        erased = inside(image, corner, corner + sides) & jax.random.bernoulli(chosen_key, rate)
        if color is None:
            return jnp.where(erased, uniform(fill_key, (0, 1), image, *image.shape), image)
        return jnp.where(erased, jnp.asarray(color, image.dtype), image)

    return each_image(one, key, images)


def inside(image: jax.Array, corner: jax.Array, end: jax.Array) -> jax.Array:
    """Return ``(height, width, 1)`` bool, True from `corner` up to and excluding `end`."""
    height, width = image.shape[:2]
    rows, columns = jnp.arange(height)[:, None, None], jnp.arange(width)[None, :, None]
    (top, left), (bottom, right) = corner, end
    return (top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)

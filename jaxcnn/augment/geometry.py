"""Geometric augmentations: shifts and crops."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks, ops
from jaxcnn.augment.composition import Augmented, each_image, uniform
from jaxcnn.augment.marks import Marks, Move
from jaxcnn.augment.positions import outside, with_channels
from jaxcnn.other_names import explained

# SciPy's names of the padding modes.
MODES = {"zeros": "constant", "reflect": "mirror", "replicate": "nearest", "circular": "wrap"}


@explained
def random_shift(
    key: jax.Array,
    images: jax.Array,
    *,
    pixels: int = 2,
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Shift each image by up to `pixels` along each axis; the border is filled with 0.

    >>> images = jnp.zeros((4, 28, 28, 1)).at[:, 14, 14].set(1.0)
    >>> shifted = random_shift(jax.random.key(0), images)
    >>> shifted.shape, float(shifted.sum())
    ((4, 28, 28, 1), 4.0)

    Args:
      key: A PRNG key; the same key gives the same shifts.
      images: ``(batch, *spatial, channels)``; a video, of 5 axes, is not shifted in time.
      pixels: The largest shift, at least 0.
      labels: As for :func:`random_crop`.
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

    Raises:
      TypeError: ``pixels`` is not an integer.
      ValueError: ``pixels`` is below 0, or ``images`` has no spatial axis.
    """
    arguments.check_integer("pixels", pixels, minimum=0)
    return random_crop(
        key, images, padding=pixels, mode="zeros", labels=labels, boxes=boxes, points=points
    )


@explained
def random_crop(
    key: jax.Array,
    images: jax.Array,
    *,
    padding: int = 4,
    mode: str = "reflect",
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Pad each image on all sides, and crop it to its size at a random position.

    >>> images = jnp.arange(32.0).reshape(2, 4, 4, 1)
    >>> random_crop(jax.random.key(0), images, padding=1).shape
    (2, 4, 4, 1)

    Args:
      key: A PRNG key; the same key gives the same crops.
      images: ``(batch, *spatial, channels)``; a video, of 5 axes, is not shifted in time.
      padding: Pixels on each side of each axis, at least 0.
      mode: Fill of the padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``,
        see :func:`jaxcnn.ops.pad`.
      labels: Labels at positions, ``(batch, *spatial)`` or with channels, moved with the images:
        whole numbers by nearest neighbor, with 255 (void) from outside under ``"zeros"``.
      boxes: ``(batch, M, 4 or more)``, floating point: x1, y1, x2, y2 in pixels from the left and
        upper edge, then any further columns, the first of them a class, with −1 in rows that only
        fill up. They move with the images: to the bounding box of the moved corners, clipped to the
        image. A box that keeps less than 0.3 of its area becomes a row that only fills up, of
        zeros and class −1. Copies under the other modes than ``"zeros"`` get no box.
      points: ``(batch, M, 2 or more)``, floating point: x, y in pixels, then any further columns.
        They move with the images, also to places outside of the image.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

    Raises:
      TypeError: ``padding`` is not an integer, or ``mode`` is not a string.
      ValueError: ``padding`` is below 0 or too large for the mode, ``mode`` is none of the four, or
        ``images`` has no spatial axis.
    """
    checks.images("images", images)
    padding = arguments.check_integer("padding", padding, minimum=0)
    check_mode(mode)
    axes = min(images.ndim - 2, 2)
    offsets = jax.random.randint(key, (len(images), axes), 0, 2 * padding + 1)
    still = images.ndim - 2 - axes  # the time of a video
    margins = (0,) * still + (padding,) * axes

    def shift(x: jax.Array, fill: int = 0) -> jax.Array:
        padded = ops.pad(x, margins, mode=mode, value=fill if mode == "zeros" else 0)

        def crop(image: jax.Array, offset: jax.Array) -> jax.Array:
            return lax.dynamic_slice(image, (*(0,) * still, *offset, 0), x.shape[1:])

        return jax.vmap(crop)(padded, offsets)

    marks = Marks(labels, boxes, points).check(images)
    if labels is not None:
        fill = outside(labels)
        labels = with_channels(lambda x: shift(x, fill), labels, images.ndim)

    def move(offset: jax.Array, marks: Marks) -> Marks:
        return marks.moved(lambda x: x, Move.of_shift(padding - offset), images.shape[1:-1])

    moved = jax.vmap(move)(offsets, marks._replace(labels=None))
    return moved._replace(labels=labels).beside(shift(images))


@explained
def random_resized_crop(
    key: jax.Array,
    images: jax.Array,
    *,
    scale: arguments.Range = (0.08, 1.0),
    ratio: arguments.Range = (3 / 4, 4 / 3),
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Crop a random part of each image, and resize it (bilinear) to the size of the image.

    The standard augmentation of ImageNet networks since GoogLeNet (Szegedy et al., 2014). The part
    always has the drawn area: a ratio at which it does not fit into the image is clipped, where
    other libraries draw again.

    >>> images = jnp.ones((2, 8, 8, 3))
    >>> random_resized_crop(jax.random.key(0), images, scale=(0.25, 1.0)).shape
    (2, 8, 8, 3)

    Args:
      key: A PRNG key; the same key gives the same crops.
      images: ``(batch, [time,] height, width, channels)``, floating point.
      scale: Smallest and largest share of the image's area, in (0, 1]; ``(1, 1)`` changes
        nothing.
      ratio: Smallest and largest width divided by height, above 0; its logarithm is drawn
        uniformly.
      labels: As for :func:`random_crop`.
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

    Raises:
      TypeError: An option is not a pair of numbers, or the images are not floating point.
      ValueError: An option is outside the range above, or ``images`` does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    shares, ratios = (
        arguments.check_interval("scale", scale, maximum=1, above=0),
        arguments.check_interval("ratio", ratio, above=0),
    )
    if shares == (1, 1):
        return Marks(labels, boxes, points).check(images).beside(images)
    size = images.shape[-3:-1]

    def one(key: jax.Array, image: jax.Array, marks: Marks) -> tuple[jax.Array, Marks]:
        sides_key, place_key = jax.random.split(key)
        sides = draw_sides(sides_key, image, shares, ratios)
        room = jnp.array(size, image.dtype) - sides
        corner = uniform(place_key, (0, 1), image, 2) * room

        def crop(x: jax.Array) -> jax.Array:
            return resized_crop(x, corner, sides)

        return crop(image), marks.moved(crop, Move.of_crop(corner, sides, size), size)

    return each_image(one, key, images, Marks(labels, boxes, points))


def resized_crop(image: jax.Array, corner: jax.Array, sides: jax.Array) -> jax.Array:
    """Return the part of an image at `corner`, resized (bilinear) to the size of the image.

    Args:
      image: ``(height, width, channels)``; integers are labels, of which the nearest is taken.
      corner: ``(2,)`` position of the upper left corner, in pixels.
      sides: ``(2,)`` height and width of the part, in pixels.
    """
    if jnp.issubdtype(image.dtype, jnp.integer):
        rows, columns = (
            jnp.floor(
                corner[axis] + (jnp.arange(size, dtype=sides.dtype) + 0.5) * (sides[axis] / size)
            )
            .astype(int)
            .clip(0, size - 1)
            for axis, size in enumerate(image.shape[:2])
        )
        return image[rows[:, None], columns[None]]
    scale = jnp.array(image.shape[:2], image.dtype) / sides
    return jax.image.scale_and_translate(
        image, image.shape, (0, 1), scale, -corner * scale, method="linear", antialias=False
    )


def draw_sides(
    key: jax.Array, image: jax.Array, area: tuple[float, float], ratio: tuple[float, float]
) -> jax.Array:
    """Draw height and width, in pixels, of a rectangle that fits into an image.

    Args:
      key: A PRNG key.
      image: ``(height, width, channels)``.
      area: Smallest and largest share of the image's area.
      ratio: Smallest and largest width divided by height, clipped so that the area fits.
    """
    height, width = image.shape[:2]
    area_key, ratio_key = jax.random.split(key)
    pixels = uniform(area_key, area, image) * (height * width)
    logarithm = uniform(ratio_key, (math.log(ratio[0]), math.log(ratio[1])), image)
    wide = jnp.clip(jnp.exp(logarithm), pixels / height**2, width**2 / pixels)
    return jnp.sqrt(jnp.stack([pixels / wide, pixels * wide]))


def check_mode(mode: str) -> str:
    """Return `mode`, one of the padding modes.

    Raises:
      TypeError: `mode` is not a string.
      ValueError: `mode` is not a padding mode.
    """
    return arguments.check_choice("mode", mode, MODES)

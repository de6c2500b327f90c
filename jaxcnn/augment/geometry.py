"""Geometric augmentations: shifts, crops and affine maps."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.ndimage import map_coordinates

from jaxcnn import arguments, checks, ops
from jaxcnn.augment.composition import Augmented, each_image, uniform
from jaxcnn.augment.positions import check_alignment, outside, with_channels
from jaxcnn.other_names import explained

# SciPy's names of the padding modes.
_MODES = {"zeros": "constant", "reflect": "mirror", "replicate": "nearest", "circular": "wrap"}


@explained
def random_shift(
    key: jax.Array, images: jax.Array, *, pixels: int = 2, labels: jax.Array | None = None
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

    Returns:
      Shape and dtype of ``images``; with labels the images and the labels.

    Raises:
      TypeError: ``pixels`` is not an integer.
      ValueError: ``pixels`` is below 0, or ``images`` has no spatial axis.
    """
    arguments.check_integer("pixels", pixels, minimum=0)
    return random_crop(key, images, padding=pixels, mode="zeros", labels=labels)


@explained
def random_crop(
    key: jax.Array,
    images: jax.Array,
    *,
    padding: int = 4,
    mode: str = "reflect",
    labels: jax.Array | None = None,
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
      labels: Labels at positions, ``(batch, *spatial)`` or with channels, to be moved alike:
        whole numbers by nearest neighbor, with 255 (void) from outside under ``"zeros"``.

    Returns:
      Shape and dtype of ``images``; with labels the images and the labels.

    Raises:
      TypeError: ``padding`` is not an integer, or ``mode`` is not a string.
      ValueError: ``padding`` is below 0 or too large for the mode, ``mode`` is none of the four, or
        ``images`` has no spatial axis.
    """
    checks.images("images", images)
    padding = arguments.check_integer("padding", padding, minimum=0)
    check_mode(mode)
    moved = min(images.ndim - 2, 2)
    offsets = jax.random.randint(key, (len(images), moved), 0, 2 * padding + 1)
    still = images.ndim - 2 - moved  # the time of a video
    margins = (0,) * still + (padding,) * moved

    def shift(x: jax.Array, fill: int = 0) -> jax.Array:
        padded = ops.pad(x, margins, mode=mode, value=fill if mode == "zeros" else 0)

        def crop(image: jax.Array, offset: jax.Array) -> jax.Array:
            return lax.dynamic_slice(image, (*(0,) * still, *offset, 0), x.shape[1:])

        return jax.vmap(crop)(padded, offsets)

    if labels is None:
        return shift(images)
    check_alignment(labels, images)
    fill = outside(labels)
    return shift(images), with_channels(lambda x: shift(x, fill), labels, images.ndim)


@explained
def random_resized_crop(
    key: jax.Array,
    images: jax.Array,
    *,
    scale: arguments.Range = (0.08, 1.0),
    ratio: arguments.Range = (3 / 4, 4 / 3),
    labels: jax.Array | None = None,
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

    Returns:
      Shape and dtype of ``images``; with labels the images and the labels.

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
        return images if labels is None else (images, labels)
    size = images.shape[-3:-1]

    def one(key: jax.Array, image: jax.Array, label: jax.Array | None = None) -> Augmented:
        sides_key, place_key = jax.random.split(key)
        sides = draw_sides(sides_key, image, shares, ratios)
        room = jnp.array(size, image.dtype) - sides
        corner = uniform(place_key, (0, 1), image, 2) * room
        cropped = resized_crop(image, corner, sides)
        if label is None:
            return cropped
        return cropped, with_channels(lambda x: resized_crop(x, corner, sides), label, 3)

    return each_image(one, key, images, labels)


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


@explained
def random_affine(
    key: jax.Array,
    images: jax.Array,
    *,
    rotation: arguments.Range = 0.0,
    translation: arguments.Range = 0.0,
    scale: arguments.Range = (1.0, 1.0),
    shear: arguments.Range = 0.0,
    mode: str = "zeros",
    labels: jax.Array | None = None,
) -> Augmented:
    """Rotate, translate, scale and shear each image about its center, with bilinear sampling.

    >>> images = jnp.ones((2, 8, 8, 3))
    >>> random_affine(jax.random.key(0), images, rotation=15, scale=(0.9, 1.1)).shape
    (2, 8, 8, 3)

    Args:
      key: A PRNG key; the same key gives the same maps.
      images: ``(batch, [time,] height, width, channels)``, floating point.
      rotation: Largest rotation in either direction, in degrees, or ``(low, high)``;
        counterclockwise is positive.
      translation: Largest translation along each axis, as a share of the side in [0, 1], or
        ``(low, high)`` in [−1, 1]; down and right are positive.
      scale: Smallest and largest enlargement, above 0.
      shear: Largest angle of vertical lines in either direction, in [0, 80] degrees, or
        ``(low, high)`` in [−80, 80]; leaning to the right is positive.
      mode: Fill of pixels from outside the image: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
        ``"circular"``.
      labels: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with labels the images and the labels.

    Raises:
      TypeError: An option is not a number or a pair of numbers, ``mode`` is not a string, or the
        images are not floating point.
      ValueError: An option is outside the range above, ``mode`` is none of the four, or ``images``
        does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    degrees = arguments.check_interval("rotation", rotation, center=0)
    share = arguments.check_interval("translation", translation, center=0, minimum=-1, maximum=1)
    sizes = arguments.check_interval("scale", scale, above=0)
    lean = arguments.check_interval("shear", shear, center=0, minimum=-80, maximum=80)
    check_mode(mode)

    def one(key: jax.Array, image: jax.Array, label: jax.Array | None = None) -> Augmented:
        rotation_key, translation_key, scale_key, shear_key = jax.random.split(key, 4)
        matrix = affine_matrix(
            jnp.radians(uniform(rotation_key, degrees, image)),
            uniform(scale_key, sizes, image),
            jnp.radians(uniform(shear_key, lean, image)),
        )
        move = uniform(translation_key, share, image, 2) * jnp.array(image.shape[:2], image.dtype)
        return warp_both(image, label, matrix, -product(matrix, move), mode=mode)

    return each_image(one, key, images, labels)


def affine_matrix(rotation: jax.Array, scale: jax.Array, shear: jax.Array) -> jax.Array:
    """Return the inverse of shear, scale and rotation, in this order, of centered coordinates.

    Args:
      rotation: Radians counterclockwise.
      scale: Enlargement.
      shear: Angle of vertical lines in radians, positive to the right.

    Returns:
      ``(2, 2)``; it maps (row, column) in the result to (row, column) in the image.
    """
    cosine, sine, lean = jnp.cos(rotation), jnp.sin(rotation), jnp.tan(shear)
    unshear = jnp.stack([jnp.ones_like(lean), jnp.zeros_like(lean), lean, jnp.ones_like(lean)])
    unrotate = jnp.stack([cosine, sine, -sine, cosine])
    return product(unshear.reshape(2, 2), unrotate.reshape(2, 2)) / scale


def product(matrix: jax.Array, other: jax.Array) -> jax.Array:
    """Return the product of a small matrix with a matrix or vector, in full float32 precision."""
    return jnp.matmul(matrix, other, precision=lax.Precision.HIGHEST)


def warp_both(
    image: jax.Array,
    label: jax.Array | None,
    matrix: jax.Array,
    offset: jax.Array,
    *,
    mode: str,
) -> Augmented:
    """Warp an image, and its labels at positions if there are any."""
    warped = warp(image, matrix, offset, mode=mode)
    if label is None:
        return warped
    moved = with_channels(lambda x: warp(x, matrix, offset, mode=mode), label, image.ndim)
    return warped, moved


def warp(
    image: jax.Array, matrix: jax.Array, offset: jax.Array, *, mode: str = "zeros"
) -> jax.Array:
    """Sample an image bilinearly at the coordinates of an affine map.

    Args:
      image: ``(height, width, channels)``; integers are labels, of which the nearest is taken.
      matrix: ``(2, 2)``; maps (row, column) in the result to (row, column) in the image, both
        relative to the center. The identity matrix returns the image bit for bit.
      offset: ``(2,)`` pixels, added to the mapped coordinates.
      mode: Fill of pixels from outside the image.
    """
    height, width = image.shape[:2]
    order = 0 if jnp.issubdtype(image.dtype, jnp.integer) else 1
    middle = (jnp.array((height, width), matrix.dtype) - 1) / 2
    rows = jnp.arange(height, dtype=matrix.dtype)[:, None] - middle[0]
    columns = jnp.arange(width, dtype=matrix.dtype)[None] - middle[1]
    start = middle + offset
    places = [matrix[axis, 0] * rows + matrix[axis, 1] * columns + start[axis] for axis in (0, 1)]

    def read(plane: jax.Array) -> jax.Array:
        values = plane.astype(matrix.dtype)  # of integers too: the nearest one exactly
        sampled = map_coordinates(values, places, order, _MODES[mode], outside(image))
        return sampled.astype(image.dtype)

    return jax.vmap(read, in_axes=-1, out_axes=-1)(image)


def check_mode(mode: str) -> str:
    """Return `mode`, one of the padding modes.

    Raises:
      TypeError: `mode` is not a string.
      ValueError: `mode` is not a padding mode.
    """
    return arguments.check_choice("mode", mode, _MODES)

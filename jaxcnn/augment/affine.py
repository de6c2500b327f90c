"""Random affine maps of images, and the marks on them: rotation, translation, scale, shear."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.ndimage import map_coordinates

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented, each_image, uniform
from jaxcnn.augment.geometry import MODES, check_mode
from jaxcnn.augment.marks import Marks, Move
from jaxcnn.augment.positions import outside
from jaxcnn.other_names import explained


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
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
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
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

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

    def one(key: jax.Array, image: jax.Array, marks: Marks) -> tuple[jax.Array, Marks]:
        rotation_key, translation_key, scale_key, shear_key = jax.random.split(key, 4)
        matrix = affine_matrix(
            jnp.radians(uniform(rotation_key, degrees, image)),
            uniform(scale_key, sizes, image),
            jnp.radians(uniform(shear_key, lean, image)),
        )
        move = uniform(translation_key, share, image, 2) * jnp.array(image.shape[:2], image.dtype)
        return warp_both(image, marks, matrix, -product(matrix, move), mode=mode)

    return each_image(one, key, images, Marks(labels, boxes, points))


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
    marks: Marks,
    matrix: jax.Array,
    offset: jax.Array,
    *,
    mode: str,
) -> tuple[jax.Array, Marks]:
    """Warp an image and the marks on it."""

    def move(x: jax.Array) -> jax.Array:
        return warp(x, matrix, offset, mode=mode)

    size = image.shape[:2]
    return move(image), marks.moved(move, Move.of_inverse(matrix, offset, size), size)


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
        sampled = map_coordinates(values, places, order, MODES[mode], outside(image))
        return sampled.astype(image.dtype)

    return jax.vmap(read, in_axes=-1, out_axes=-1)(image)

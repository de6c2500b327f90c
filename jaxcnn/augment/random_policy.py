"""Random augmentation policies: the augmentations of each image are drawn too."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks
from jaxcnn.augment import color
from jaxcnn.augment.affine import affine_matrix, product, warp_both
from jaxcnn.augment.composition import Augmented, each_image
from jaxcnn.augment.geometry import check_mode
from jaxcnn.augment.marks import Marks
from jaxcnn.other_names import explained

# The values at magnitude 10, as in the paper and in torchvision.
_MOST_DEGREES, _MOST_SHEAR, _MOST_SHARE, _MOST_FACTOR = 30.0, 0.3, 0.45, 0.9


@explained
def rand_augment(
    key: jax.Array,
    images: jax.Array,
    *,
    num_ops: int = 2,
    magnitude: float = 9.0,
    mode: str = "zeros",
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Apply `num_ops` of fourteen changes to each image, each drawn uniformly.

    RandAugment (Cubuk et al., 2019, arXiv 1909.13719): identity, autocontrast, equalize,
    solarize, posterize, saturation, contrast, brightness, sharpness, rotation, and shear and
    translation along either axis. Two things differ from the paper: every change grows from the
    identity with the magnitude, including autocontrast and equalize, which are blended with the
    image; and the geometric changes are composed into one map, applied last, so that an image is
    resampled once.

    >>> images = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
    >>> jax.jit(rand_augment)(jax.random.key(1), images).shape
    (2, 16, 16, 3)

    Args:
      key: A PRNG key; the same key gives the same changes.
      images: ``(batch, [time,] height, width, channels)``, floating point in [0, 1].
      num_ops: Number of changes of each image, at least 0.
      magnitude: Strength in [0, 10]: 0 changes nothing; 10 means 30°, a shear of 0.3, a translation
        by 45 % of the side, factors of 0.1 or 1.9, and 4 bits.
      mode: Fill of pixels from outside the image: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
        ``"circular"``.
      labels: As for :func:`random_crop`.
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; values in [0, 1]. With ``labels``, ``boxes`` or ``points``
      a tuple of the images and of those that are given, in this order.

    Raises:
      TypeError: ``num_ops`` is not an integer, ``magnitude`` is not a number, ``mode`` is not a
        string, or the images are not floating point.
      ValueError: ``num_ops`` is below 0, ``magnitude`` is outside [0, 10], ``mode`` is none of the
        four, or ``images`` does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    num_ops = arguments.check_integer("num_ops", num_ops, minimum=0)
    full = arguments.check_number("magnitude", magnitude, minimum=0, maximum=10) / 10
    check_mode(mode)
    if full == 0:
        return Marks(labels, boxes, points).check(images).beside(images)

    def one(key: jax.Array, image: jax.Array, marks: Marks) -> tuple[jax.Array, Marks]:
        matrix, offset = jnp.eye(2, dtype=image.dtype), jnp.zeros(2, image.dtype)
        size = jnp.array(image.shape[:2], image.dtype)
        for place in range(num_ops):
            choice_key, sign_key = jax.random.split(jax.random.fold_in(key, place))
            choice = jax.random.randint(choice_key, (), 0, len(_CHANGES) + 5)
            strength = full * jax.random.rademacher(sign_key, (), image.dtype)
            # Under vmap every branch is computed for every image: (128, 32, 32, 3) takes 15 ms on
            # two cores, equalize 12 of them. A loop over the images that computes only the drawn
            # branch takes 2.5 ms, but processes one image at a time on a GPU. A training step of
            # ResNet-18 on this batch takes 2 s on CPU.
            image = lax.switch(jnp.minimum(choice, len(_CHANGES) - 1), _CHANGES, image, strength)
            turn, lean, tilt, *move = strength * jax.nn.one_hot(
                choice - len(_CHANGES), 5, dtype=image.dtype
            )
            step = affine_matrix(
                jnp.radians(_MOST_DEGREES) * turn, jnp.ones_like(turn), jnp.zeros_like(turn)
            )
            step = step.at[1, 0].add(_MOST_SHEAR * lean).at[0, 1].add(_MOST_SHEAR * tilt)
            matrix = product(matrix, step)
            moved = _MOST_SHARE * jnp.stack(move) * size
            offset -= product(matrix, moved)
        return warp_both(image, marks, matrix, offset, mode=mode)

    return each_image(one, key, images, Marks(labels, boxes, points))


def identity(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Return the image unchanged."""
    del strength
    return image


def autocontrast(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Stretch the values of each channel to [0, 1]; blended with the image by ``|strength|``."""
    least, most = image.min(axis=(0, 1), keepdims=True), image.max(axis=(0, 1), keepdims=True)
    stretched = jnp.where(
        most > least, (image - least) / jnp.where(most > least, most - least, 1), image
    )
    return color.blend(stretched, image, jnp.abs(strength))


def equalize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Equalize the histogram of each channel in 256 levels, as Pillow does; blended likewise."""

    def spread(plane: jax.Array) -> jax.Array:
        levels = jnp.round(255 * plane).astype(jnp.int32)
        counts = jnp.zeros(256, jnp.int32).at[levels].add(1)
        below = jnp.cumsum(counts) - counts
        step = (levels.size - counts[levels.max()]) // 255
        table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
        return jnp.where(step > 0, table[levels].astype(plane.dtype) / 255, plane)

    equal = jax.vmap(spread, in_axes=-1, out_axes=-1)(image)
    return color.blend(equal, image, jnp.abs(strength))


def solarize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Invert the brightest ``256·|strength|`` of 256 levels."""
    return jnp.where(255 * image >= 256 * (1 - jnp.abs(strength)), 1 - image, image)


def posterize(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Keep the ``8 − 4·|strength|`` highest bits, rounded, of 8."""
    unit = 2.0 ** jnp.round(4 * jnp.abs(strength)).astype(image.dtype)
    return jnp.floor(jnp.round(255 * image) / unit) * unit / 255


def sharpen(image: jax.Array, strength: jax.Array) -> jax.Array:
    """Blend with the image smoothed by Pillow's 3×3 filter, which leaves the border unchanged."""
    height, width = image.shape[:2]
    around = sum(
        image[row : height - 2 + row, column : width - 2 + column]
        for row in range(3)
        for column in range(3)
    )
    smooth = image.at[1:-1, 1:-1].set((around + 4 * image[1:-1, 1:-1]) / 13)
    return color.blend(image, smooth, 1 + _MOST_FACTOR * strength)


def _by_factor(
    adjust: Callable[[jax.Array, jax.Array], jax.Array],
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda image, strength: adjust(image, 1 + _MOST_FACTOR * strength)


# The last one is used where a geometric change was drawn.
_CHANGES = (
    autocontrast,
    equalize,
    solarize,
    posterize,
    sharpen,
    _by_factor(color.adjust_saturation),
    _by_factor(color.adjust_contrast),
    _by_factor(color.adjust_brightness),
    identity,
)

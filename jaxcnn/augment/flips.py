"""Horizontal flips: at random, or in alternate epochs."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented
from jaxcnn.augment.marks import Marks, Move
from jaxcnn.other_names import explained


@explained
def random_flip(
    key: jax.Array,
    images: jax.Array,
    *,
    rate: float = 0.5,
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Flip each image horizontally with probability `rate`.

    >>> images = jnp.arange(3.0).reshape(1, 1, 3, 1)
    >>> random_flip(jax.random.key(0), images, rate=1.0).ravel()
    Array([2., 1., 0.], dtype=float32)

    Args:
      key: A PRNG key; the same key flips the same images.
      images: ``(batch, [time,] height, width, channels)``.
      rate: Probability of flipping, in [0, 1].
      labels: Labels at positions, ``(batch, height, width)`` or with channels, flipped with them.
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1], or ``images`` does not have 4 or 5 axes.
    """
    checks.pictures("images", images)
    rate = arguments.check_number("rate", rate, minimum=0, maximum=1)
    return _flip(
        images, jax.random.bernoulli(key, rate, (len(images),)), Marks(labels, boxes, points)
    )


def alternating_flip(
    key: jax.Array,
    images: jax.Array,
    *,
    epoch: jax.Array | int,
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Flip half of the images horizontally in even epochs, and the other half in odd epochs.

    Two epochs show every image in both orientations; with random flips, half of the images have
    the same orientation twice. Networks train faster this way (Jordan, 2024, arXiv 2404.00498).
    The half of an image is a hash of its pixels, which depends neither on the order nor on the
    batch; apply this augmentation before any that changes pixels.

    >>> images = jax.random.uniform(jax.random.key(0), (6, 4, 4, 1))
    >>> even, odd = (alternating_flip(jax.random.key(1), images, epoch=e) for e in (0, 1))
    >>> bool((even == odd[:, :, ::-1]).all())
    True

    Args:
      key: Not used, because the orientation must be the same in every second epoch.
      images: ``(batch, [time,] height, width, channels)``.
      epoch: Number of the epoch, from 0. :func:`jaxcnn.fit` passes it, and so does
        :func:`jaxcnn.make_training` with ``steps_per_epoch``.
      labels: As for :func:`random_flip`.
      boxes: As for :func:`random_crop`.
      points: As for :func:`random_crop`.

    Returns:
      Shape and dtype of ``images``; with ``labels``, ``boxes`` or ``points`` a
      tuple of the images and of those that are given, in this order.

    Raises:
      ValueError: ``images`` does not have 4 or 5 axes.
    """
    del key
    checks.pictures("images", images)
    flipped_first = _parity(images) == 1
    return _flip(
        images, flipped_first ^ (jnp.asarray(epoch) % 2 == 1), Marks(labels, boxes, points)
    )


def _flip(images: jax.Array, chosen: jax.Array, marks: Marks) -> Augmented:
    size = images.shape[1:-1]

    def one(image: jax.Array, chosen: jax.Array, marks: Marks) -> tuple[jax.Array, Marks]:
        def flip(x: jax.Array) -> jax.Array:
            return jnp.where(chosen, x[..., ::-1, :], x)

        sign = jnp.where(chosen, -1.0, 1.0)
        matrix = jnp.diag(jnp.stack([sign, jnp.ones_like(sign)]))
        offset = jnp.stack([jnp.where(chosen, float(size[-1]), 0.0), jnp.zeros_like(sign)])
        return flip(image), marks.moved(flip, Move(matrix, offset), size)

    flipped, moved = jax.vmap(one)(images, chosen, marks.check(images))
    return moved.beside(flipped)


def _parity(images: jax.Array) -> jax.Array:
    """Return 0 or 1 for each image, equally likely: a bit of a hash of its values."""
    bits = lax.bitcast_convert_type(images.astype(jnp.float32), jnp.uint32).reshape(len(images), -1)
    # Odd weights, so that every bit of every value counts; then the finalizer of MurmurHash3, whose
    # highest bit depends on all others. Sums wrap at 2³².
    weights = jnp.arange(bits.shape[1], dtype=jnp.uint32) * jnp.uint32(0x9E3779B2) + jnp.uint32(1)
    mixed = jnp.sum(bits * weights[None], axis=1, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    return mixed >> 31

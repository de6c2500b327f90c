"""Mirroring images left to right: by chance, or in every second epoch."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks


def random_flip(key: jax.Array, images: jax.Array, *, rate: float = 0.5) -> jax.Array:
    """Mirrors each image left to right with probability ``rate``.

    >>> images = jnp.arange(3.0).reshape(1, 1, 3, 1)
    >>> random_flip(jax.random.key(0), images, rate=1.0).ravel()
    Array([2., 1., 0.], dtype=float32)

    Args:
      key: A PRNG key; the same key flips the same images.
      images: ``(batch, height, width, channels)``.
      rate: Probability of flipping, in [0, 1].

    Returns:
      Shape and dtype of ``images``.

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1], or ``images`` has not 4 axes.
    """
    checks.rank("images", images, 4)
    rate = arguments.check_number("rate", rate, minimum=0, maximum=1)
    return _flip(images, jax.random.bernoulli(key, rate, (len(images),)))


def alternating_flip(key: jax.Array, images: jax.Array, *, epoch: jax.Array | int) -> jax.Array:
    """Mirrors half of the images in even epochs, and exactly the others in odd ones.

    Two epochs show every image both ways, where chance would show half of them twice the same
    way; networks learn faster so (Jordan, 2024, arXiv 2404.00498). Which images begin is read
    off their pixels, so that it depends neither on their order nor on the batch: apply it before
    whatever changes them.

    >>> images = jax.random.uniform(jax.random.key(0), (6, 4, 4, 1))
    >>> even, odd = (alternating_flip(jax.random.key(1), images, epoch=e) for e in (0, 1))
    >>> bool((even == odd[:, :, ::-1]).all())
    True

    Args:
      key: Not looked at: an image's way must be the same in every second epoch.
      images: ``(batch, height, width, channels)``.
      epoch: Number of the epoch, from 0. :func:`jaxcnn.fit` gives it; in a loop of one's own
        :func:`jaxcnn.make_training` gives it once it knows ``steps_per_epoch``.

    Returns:
      Shape and dtype of ``images``.

    Raises:
      ValueError: ``images`` has not 4 axes.
    """
    del key
    checks.rank("images", images, 4)
    begins = _parity(images) == 1
    return _flip(images, begins ^ (jnp.asarray(epoch) % 2 == 1))


def _flip(images: jax.Array, chosen: jax.Array) -> jax.Array:
    return jnp.where(chosen[:, None, None, None], images[:, :, ::-1], images)


def _parity(images: jax.Array) -> jax.Array:
    """Returns 0 or 1 for each image, evenly spread: a bit of a hash of its values."""
    bits = lax.bitcast_convert_type(images.astype(jnp.float32), jnp.uint32).reshape(len(images), -1)
    # An odd weight for each place, so that every bit of every value counts; then the mixing of
    # MurmurHash3, whose highest bit depends on all others. Sums go around at 2³².
    weights = jnp.arange(bits.shape[1], dtype=jnp.uint32) * jnp.uint32(0x9E3779B2) + jnp.uint32(1)
    mixed = jnp.sum(bits * weights[None], axis=1, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 13)) * jnp.uint32(0xC2B2AE35)
    return mixed >> 31

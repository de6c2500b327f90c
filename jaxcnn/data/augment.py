"""Random changes of images that keep their label, inside the jitted step."""

import jax
from jax import lax

from jaxcnn import checks, ops, shapes


def random_shift(key: jax.Array, images: jax.Array, *, pixels: int = 2) -> jax.Array:
    """Moves each image by up to ``pixels`` along each axis; what comes in from outside is 0.

    >>> import jax.numpy as jnp
    >>> images = jnp.zeros((4, 28, 28, 1)).at[:, 14, 14].set(1.0)
    >>> shifted = random_shift(jax.random.key(0), images)
    >>> shifted.shape, float(shifted.sum())
    ((4, 28, 28, 1), 4.0)

    Args:
      key: A PRNG key; the same key gives the same shifts.
      images: ``(batch, *spatial, channels)``.
      pixels: The largest shift, at least 0.

    Returns:
      Shape and dtype of ``images``.

    Raises:
      TypeError: ``pixels`` is not a whole number.
      ValueError: ``pixels`` is below 0, or ``images`` has no spatial axis.
    """
    checks.images("images", images)
    padded = ops.pad(images, shapes.whole("pixels", pixels, least=0))
    offsets = jax.random.randint(key, (len(images), images.ndim - 2), 0, 2 * pixels + 1)

    def crop(image: jax.Array, offset: jax.Array) -> jax.Array:
        return lax.dynamic_slice(image, (*offset, 0), images.shape[1:])

    return jax.vmap(crop)(padded, offsets)

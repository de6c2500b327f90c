"""Composition of augmentations, and their application to each image with a separate key."""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxcnn import checks

Augment: TypeAlias = Callable[..., jax.Array]


def compose(*augmentations: Augment) -> Augment:
    """Return the augmentation that applies several in sequence, each with a separate key.

    >>> from functools import partial
    >>> from jaxcnn.augment import random_crop, random_flip
    >>> augment = compose(random_flip, partial(random_crop, padding=4))
    >>> augment(jax.random.key(0), jnp.ones((8, 32, 32, 3))).shape
    (8, 32, 32, 3)

    Args:
      *augmentations: Functions ``(key, images) -> images``; one with a parameter ``epoch`` that
        has no value yet is called with the number of the epoch. Without any, images do not change.

    Returns:
      A function ``(key, images, *, epoch=None) -> images``.
    """

    def composed(
        key: jax.Array, images: jax.Array, *, epoch: jax.Array | int | None = None
    ) -> jax.Array:
        for number, augment in enumerate(augmentations):
            images = apply(augment, jax.random.fold_in(key, number), images, epoch=epoch)
        return images

    return composed


def apply(
    augment: Augment,
    key: jax.Array,
    images: jax.Array,
    *,
    epoch: jax.Array | int | None = None,
) -> jax.Array:
    """Call `augment`, with the number of the epoch if its signature requires it.

    Raises:
      ValueError: `augment` requires the epoch, and `epoch` is ``None``.
    """
    option = inspect.signature(augment).parameters.get("epoch")
    if option is None or option.default not in (None, option.empty):
        return augment(key, images)
    if epoch is None and option.default is option.empty:
        raise ValueError(
            "this augmentation differs from epoch to epoch: give make_training its "
            f"steps_per_epoch. Received: epoch=None for {augment!r}"
        )
    return augment(key, images, epoch=epoch)


def each_image(
    augment: Callable[[jax.Array, jax.Array], jax.Array], key: jax.Array, images: jax.Array
) -> jax.Array:
    """Apply a function of one image, in at least float32, to every image with its own key.

    The key of an image is a function of `key` and its row, so that other rows do not affect it.

    Args:
      augment: Map a key and one image to an image of the same shape.
      key: A PRNG key.
      images: ``(batch, …)``, floating point.

    Returns:
      Shape and dtype of ``images``.

    Raises:
      TypeError: The images are not floating point.
    """
    checks.floating("images", images)
    # float16 is too imprecise for the coordinates and sums of an image.
    precise = images.astype(jnp.float32) if images.dtype.itemsize < 4 else images
    keys = jax.random.split(key, len(images))
    return jax.vmap(augment)(keys, precise).astype(images.dtype)


def uniform(key: jax.Array, interval: tuple[float, float], like: jax.Array, *shape: int) -> Any:
    """Draw uniformly from ``[low, high]``, in the dtype of `like`."""
    low, high = interval
    return jax.random.uniform(key, shape, like.dtype, low, high)

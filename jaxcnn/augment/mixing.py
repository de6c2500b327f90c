"""Mixing of images with other images of the batch, and of their labels."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.erasing import inside

Mix: TypeAlias = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def mixup(
    key: jax.Array, images: jax.Array, targets: jax.Array, *, alpha: float = 0.2
) -> tuple[jax.Array, jax.Array]:
    """Blend each image with another, :math:`λ·image + (1 − λ)·other`, and the labels too.

    λ is drawn for each image from Beta(alpha, alpha); the others are a permutation of the batch
    (Zhang et al., 2017, arXiv 1710.09412).

    >>> images, targets = jnp.arange(2.0).reshape(2, 1, 1, 1), jnp.eye(2)
    >>> mixed, labels = mixup(jax.random.key(3), images, targets, alpha=1.0)
    >>> bool(jnp.allclose(mixed.ravel(), labels[:, 1]))
    True

    Args:
      key: A PRNG key; the same key gives the same pairs and shares.
      images: ``(batch, *spatial, channels)``, floating point.
      targets: ``(batch, classes)``, floating point: the share of each class, such as one-hot rows.
      alpha: Strength, at least 0: 0 changes nothing, 1 draws λ uniformly from [0, 1].

    Returns:
      Images and targets of the same shapes and dtypes.

    Raises:
      TypeError: ``alpha`` is not a number, or an array is not floating point.
      ValueError: ``alpha`` is below 0, or the shapes do not fit together.
    """
    checks.images("images", images)
    alpha = _check(images, targets, alpha)
    if alpha == 0:
        return images, targets
    order_key, share_key = jax.random.split(key)
    others = jax.random.permutation(order_key, len(images))
    share = jax.random.beta(share_key, alpha, alpha, (len(images),), jnp.float32)
    return _blend(share, images, images[others]), _blend(share, targets, targets[others])


def cutmix(
    key: jax.Array, images: jax.Array, targets: jax.Array, *, alpha: float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Paste a rectangle of another image into each image, and mix the labels by area.

    The rectangle has the image's aspect ratio and a share 1 − λ of its area, with λ drawn for each
    image from Beta(alpha, alpha). Its center is any pixel, and it is clipped at the border. The
    labels are mixed by the visible areas (Yun et al., 2019, arXiv 1905.04899).

    >>> images, targets = jnp.zeros((2, 8, 8, 1)).at[1].set(1.0), jnp.eye(2)
    >>> mixed, labels = cutmix(jax.random.key(0), images, targets)
    >>> bool(jnp.allclose(mixed.mean(axis=(1, 2, 3)), labels[:, 1]))
    True

    Args:
      key: A PRNG key; the same key gives the same pairs and shares.
      images: ``(batch, [time,] height, width, channels)``, floating point.
      targets: ``(batch, classes)``, floating point: the share of each class, such as one-hot rows.
      alpha: Strength, at least 0: 0 changes nothing, 1 draws λ uniformly from [0, 1].

    Returns:
      Images and targets of the same shapes and dtypes.

    Raises:
      TypeError: ``alpha`` is not a number, or an array is not floating point.
      ValueError: ``alpha`` is below 0, or the shapes do not fit together.
    """
    checks.pictures("images", images)
    alpha = _check(images, targets, alpha)
    if alpha == 0:
        return images, targets
    order_key, share_key, place_key = jax.random.split(key, 3)
    others = jax.random.permutation(order_key, len(images))
    share = jax.random.beta(share_key, alpha, alpha, (len(images),), jnp.float32)
    size = jnp.array(images.shape[-3:-1])
    sides = jnp.round(jnp.sqrt(1 - share)[:, None] * size.astype(jnp.float32)[None]).astype(int)
    corners = jax.random.randint(place_key, (len(images), 2), 0, size[None]) - sides // 2
    frames = images if images.ndim == 4 else images[:, 0]
    pasted = jax.vmap(inside)(frames, corners, corners + sides)
    kept = 1 - pasted.mean(axis=(1, 2, 3), dtype=jnp.float32)
    if images.ndim == 5:
        pasted = pasted[:, None]
    return jnp.where(pasted, images[others], images), _blend(kept, targets, targets[others])


def _blend(share: jax.Array, x: jax.Array, other: jax.Array) -> jax.Array:
    share = share.reshape(-1, *(1,) * (x.ndim - 1)).astype(x.dtype)
    return share * x + (1 - share) * other


def _check(images: jax.Array, targets: jax.Array, alpha: float) -> float:
    checks.floating("images", images)
    checks.rank("targets", targets, 2)
    checks.floating("targets", targets)
    if len(images) != len(targets):
        raise ValueError(
            "targets must be (batch, classes), one row per image. "
            f"Received: targets {targets.shape} for images {images.shape}"
        )
    return arguments.check_number("alpha", alpha, minimum=0)

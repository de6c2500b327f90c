"""Labels at positions, as in segmentation: which augmentations move them, and how."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxcnn import checks

# The label of a position without a class, as in segmentation data sets since Pascal VOC.
VOID = 255

_F = TypeVar("_F", bound=Callable[..., Any])


def in_place(augment: _F) -> _F:
    """Declare that an augmentation leaves every pixel in its place, and return it.

    Labels at positions, boxes and points then stay as they are. An augmentation that moves pixels
    declares it by a parameter ``labels``: ``augment(key, images, labels=labels)`` returns the
    images and the labels, moved in the same way; and so for ``boxes`` and ``points``.

    >>> @in_place
    ... def invert(key, images):
    ...     return 1 - images
    >>> leaves_in_place(partial(invert))
    True

    Args:
      augment: A function ``(key, images) -> images``.
    """
    augment.leaves_pixels_in_place = True  # type: ignore[attr-defined]  # a mark on a function
    return augment


def leaves_in_place(augment: Callable[..., Any]) -> bool:
    """Return whether an augmentation was declared :func:`in_place`; looks into ``partial``."""
    while isinstance(augment, partial):
        augment = augment.func
    return getattr(augment, "leaves_pixels_in_place", False)


def are_at_positions(labels: jax.Array, images: jax.Array) -> bool:
    """Return whether labels have the axes of the images, with or without channels.

    >>> images = jnp.zeros((2, 8, 8, 3))
    >>> [are_at_positions(jnp.zeros(shape), images) for shape in ((2, 8, 8), (2, 8, 8, 1), (2, 4))]
    [True, True, False]
    """
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return labels.ndim in (images.ndim - 1, images.ndim) and labels.ndim > 1
    return labels.ndim >= max(images.ndim - 1, 3) and labels.dtype != bool


def are_boxes(labels: jax.Array, images: jax.Array) -> bool:
    """Return whether labels are boxes, ``(batch, M, 6)`` floating point, of pictures.

    >>> images = jnp.zeros((2, 8, 8, 3))
    >>> [are_boxes(jnp.zeros(shape), images) for shape in ((2, 5, 6), (2, 8, 8), (2, 6))]
    [True, False, False]
    """
    return (
        labels.ndim == 3
        and images.ndim == 4
        and labels.shape[-1] == 6
        and labels.shape != images.shape[:-1]
        and jnp.issubdtype(labels.dtype, jnp.floating)
    )


def check_alignment(labels: jax.Array, images: jax.Array) -> None:
    """Check that there is a label for each position of the images.

    Raises:
      TypeError: The labels are not an array.
      ValueError: The axes differ.
    """
    labels, spatial = checks.array("labels", labels), images.shape[:-1]
    if labels.shape[: len(spatial)] != spatial or labels.ndim > images.ndim:
        raise ValueError(
            "labels that an augmentation moves must have one label per position of the images, "
            "(batch, *spatial) or (batch, *spatial, channels). "
            f"Received: labels {labels.shape} for images {images.shape}"
        )


def outside(labels: jax.Array) -> int:
    """Return the label of positions from outside the image: void for classes, 0 for numbers."""
    return VOID if jnp.issubdtype(labels.dtype, jnp.integer) else 0


def with_channels(move: Callable[[jax.Array], jax.Array], labels: jax.Array, ndim: int) -> Any:
    """Call a function of arrays of `ndim` axes, the last one channels, on labels without any."""
    if labels.ndim == ndim:
        return move(labels)
    return move(labels[..., None])[..., 0]

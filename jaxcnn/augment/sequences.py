"""Augmentations of sequences, ``(batch, length, channels)``: audio, sensors, text embeddings."""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented, each_image
from jaxcnn.augment.geometry import random_crop
from jaxcnn.augment.positions import in_place


def time_shift(
    key: jax.Array,
    sequences: jax.Array,
    *,
    steps: int = 8,
    mode: str = "zeros",
    labels: jax.Array | None = None,
) -> Augmented:
    """Shift each sequence by up to `steps` in either direction.

    >>> time_shift(jax.random.key(0), jnp.ones((2, 16, 3)), steps=4).shape
    (2, 16, 3)

    Args:
      key: A PRNG key; the same key gives the same shifts.
      sequences: ``(batch, length, channels)``.
      steps: The largest shift, at least 0.
      mode: Fill of the steps from outside: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
        ``"circular"``.
      labels: Labels at positions, ``(batch, length)`` or with channels, to be moved alike:
        whole numbers by nearest neighbor, with 255 (void) from outside under ``"zeros"``.

    Returns:
      Shape and dtype of ``sequences``; with labels the sequences and the labels.

    Raises:
      TypeError: ``steps`` is not an integer, or ``mode`` is not a string.
      ValueError: ``steps`` is below 0 or too large for the mode, ``mode`` is none of the four, or
        ``sequences`` does not have 3 axes.
    """
    checks.rank("sequences", sequences, 3)
    arguments.check_integer("steps", steps, minimum=0)
    return random_crop(key, sequences, padding=steps, mode=mode, labels=labels)


@in_place
def time_mask(key: jax.Array, sequences: jax.Array, *, width: int = 8, count: int = 1) -> jax.Array:
    """Set intervals of time to 0 in each sequence, in all channels.

    The time mask of SpecAugment (Park et al., 2019, arXiv 1904.08779).

    >>> masked = time_mask(jax.random.key(0), jnp.ones((1, 16, 2)), width=4)
    >>> int((masked == 0).sum()) <= 4 * 2
    True

    Args:
      key: A PRNG key; the same key masks the same intervals.
      sequences: ``(batch, length, channels)``, floating point.
      width: Longest interval, drawn uniformly from 0 to this; at most the length.
      count: Number of intervals, which may overlap, at least 0.

    Returns:
      Shape and dtype of ``sequences``.

    Raises:
      TypeError: ``width`` or ``count`` is not an integer, or the sequences are not floating point.
      ValueError: ``width`` or ``count`` is outside the range above, or ``sequences`` does not have
        3 axes.
    """
    return _mask(key, sequences, 0, width, count)


@in_place
def channel_mask(
    key: jax.Array, sequences: jax.Array, *, width: int = 1, count: int = 1
) -> jax.Array:
    """Set bands of adjacent channels to 0 in each sequence, at all times.

    The frequency mask of SpecAugment (Park et al., 2019, arXiv 1904.08779).

    >>> masked = channel_mask(jax.random.key(0), jnp.ones((1, 16, 8)), width=2)
    >>> int((masked == 0).sum()) <= 16 * 2
    True

    Args:
      key: A PRNG key; the same key masks the same bands.
      sequences: ``(batch, length, channels)``, floating point.
      width: Widest band, drawn uniformly from 0 to this; at most the number of channels.
      count: Number of bands, which may overlap, at least 0.

    Returns:
      Shape and dtype of ``sequences``.

    Raises:
      TypeError: ``width`` or ``count`` is not an integer, or the sequences are not floating point.
      ValueError: ``width`` or ``count`` is outside the range above, or ``sequences`` does not have
        3 axes.
    """
    return _mask(key, sequences, 1, width, count)


def _mask(key: jax.Array, sequences: jax.Array, axis: int, width: int, count: int) -> jax.Array:
    checks.rank("sequences", sequences, 3)
    size = sequences.shape[1 + axis]
    width = arguments.check_integer("width", width, minimum=0)
    count = arguments.check_integer("count", count, minimum=0)
    if width > size:
        raise ValueError(
            f"width must be at most the size of the axis, {size}. Received: width={width}"
        )

    def one(key: jax.Array, sequence: jax.Array) -> jax.Array:
        width_key, start_key = jax.random.split(key)
        widths = jax.random.randint(width_key, (count, 1), 0, width + 1)
        starts = jax.random.randint(start_key, (count, 1), 0, size - widths + 1)
        places = jnp.arange(size)[None]
        masked = ((starts <= places) & (places < starts + widths)).any(axis=0)
        return jnp.where(jnp.expand_dims(masked, 1 - axis), jnp.zeros_like(sequence), sequence)

    return each_image(one, key, sequences)

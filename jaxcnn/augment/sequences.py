"""Augmentations of sequences, ``(batch, length, channels)``: audio, sensors, text embeddings."""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented, each_image
from jaxcnn.augment.geometry import random_crop
from jaxcnn.augment.positions import in_place, outside


def time_shift(
    key: jax.Array,
    sequences: jax.Array,
    *,
    steps: int = 8,
    mode: str = "zeros",
    labels: jax.Array | None = None,
) -> Augmented:
    """Shift each sequence by up to `steps` in either direction.

    A sequence with padding, steps after its end that are NaN in every channel, is shifted before
    its end, and keeps its padding.

    >>> time_shift(jax.random.key(0), jnp.ones((2, 16, 3)), steps=4).shape
    (2, 16, 3)

    Args:
      key: A PRNG key; the same key gives the same shifts.
      sequences: ``(batch, length, channels)``.
      steps: The largest shift, at least 0.
      mode: Fill of the steps from outside: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
        ``"circular"``.
      labels: Labels at positions, ``(batch, length)`` or with channels, moved with the images:
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
    labels = None if labels is None else jnp.asarray(labels)
    moved = random_crop(key, sequences, padding=steps, mode=mode, labels=labels)
    shifted, moved_labels = (moved, sequences) if labels is None else moved
    lengths = _lengths(sequences)
    offsets = jax.random.randint(key, (len(sequences), 1), 0, 2 * steps + 1)  # random_crop's
    places = jnp.arange(sequences.shape[1])[None] + offsets - steps
    inside = (places >= 0) & (places < lengths[:, None])
    sources = _sources(places, lengths[:, None], mode)
    is_real = jnp.arange(sequences.shape[1])[None] < lengths[:, None]

    def within(x: jax.Array, plain: jax.Array, fill: int) -> jax.Array:
        """Return `plain`, but for rows with padding what is shifted before the end."""
        values = jnp.take_along_axis(x, sources[..., None], axis=1)
        if mode == "zeros":
            values = jnp.where(inside[..., None], values, jnp.asarray(fill, x.dtype))
        padded = jnp.where(is_real[..., None], values, x)
        return jnp.where(is_real.all(axis=1)[:, None, None], plain, padded)

    shifted = within(sequences, shifted, 0)
    if labels is None:
        return shifted
    whole = labels if labels.ndim == 3 else labels[..., None]
    both = within(whole, moved_labels.reshape(whole.shape), outside(labels))
    return shifted, both.reshape(labels.shape)


@in_place
def time_mask(key: jax.Array, sequences: jax.Array, *, width: int = 8, count: int = 1) -> jax.Array:
    """Set intervals of time to 0 in each sequence, in all channels, before its end.

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


def _lengths(sequences: jax.Array) -> jax.Array:
    """Return the number of steps of each sequence before its padding."""
    present = ~jnp.isnan(sequences).all(axis=-1)
    steps = jnp.arange(1, sequences.shape[1] + 1, dtype=jnp.int32)
    return jnp.where(present, steps[None], 0).max(axis=1, initial=0)


def _sources(places: jax.Array, lengths: jax.Array, mode: str) -> jax.Array:
    """Return the steps from which a sequence of a length is continued at any places."""
    lengths = jnp.maximum(lengths, 1)
    if mode == "circular":
        return places % lengths
    if mode == "reflect":
        period = jnp.maximum(2 * (lengths - 1), 1)
        folded = places % period
        return jnp.where(folded < lengths, folded, period - folded)
    return jnp.clip(places, 0, lengths - 1)


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
        padding = jnp.isnan(sequence).all(axis=1, keepdims=True)
        extent = _lengths(sequence[None])[0] if axis == 0 else size
        width_key, start_key = jax.random.split(key)
        widths = jnp.minimum(jax.random.randint(width_key, (count, 1), 0, width + 1), extent)
        starts = jax.random.randint(start_key, (count, 1), 0, extent - widths + 1)
        places = jnp.arange(size)[None]
        masked = ((starts <= places) & (places < starts + widths)).any(axis=0)
        masked = jnp.expand_dims(masked, 1 - axis) & ~padding
        return jnp.where(masked, jnp.zeros_like(sequence), sequence)

    return each_image(one, key, sequences)

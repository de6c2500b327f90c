"""Padding of the spatial axes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks, shapes
from jaxcnn.other_names import explained
from jaxcnn.shapes.layers import padded_sizes
from jaxcnn.shapes.numbers import is_below

MODES = ("zeros", "reflect", "replicate", "circular")  # PyTorch's words


@explained
def pad(
    x: jax.Array,
    widths: int | Sequence[int] | Sequence[shapes.Pair],
    *,
    mode: str = "zeros",
    value: float = 0.0,
) -> jax.Array:
    """Add a border around the spatial axes, or crop where a width is negative.

    >>> pad(jnp.ones((1, 2, 2, 1)), 1)[0, :, :, 0]
    Array([[0., 0., 0., 0.],
           [0., 1., 1., 0.],
           [0., 1., 1., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    >>> row = jnp.array([1., 2., 3.])[None, :, None]
    >>> {mode: pad(row, 2, mode=mode)[0, :, 0].astype(int).tolist()
    ...  for mode in ("reflect", "replicate", "circular")}
    {'reflect': [3, 2, 1, 2, 3, 2, 1], 'replicate': [1, 1, 1, 2, 3, 3, 3], 'circular': \
[2, 3, 1, 2, 3, 1, 2]}

    Args:
      x: ``(batch, *spatial, channels)``.
      widths: An int (both sides of all axes), one int per spatial axis, or one ``(low, high)``
        per spatial axis. A negative width crops. ``"reflect"`` needs less than the axis's size,
        ``"circular"`` at most what is left of it.
      mode: ``"zeros"`` (or another ``value``), ``"reflect"`` (mirrored at the edge pixel, which
        is not repeated), ``"replicate"`` (the edge pixel) or ``"circular"`` (the other end).
      value: Content of the border with ``"zeros"``; 0 with the other modes.

    Returns:
      ``(batch, *padded, channels)``; see :func:`jaxcnn.shapes.pad_shape`.

    Raises:
      TypeError: a width is not an integer.
      ValueError: ``x`` has no spatial axis, the mode is unknown, or a width is out of range.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    pairs = shapes.pad_widths("widths", widths, x.ndim - 2, minimum=None)
    value = arguments.check_number("value", value)
    check_mode("mode", mode, value, x.shape[1:-1], pairs)
    padded_sizes(x.shape[1:-1], pairs)
    added = [(max(low, 0), max(high, 0)) for low, high in pairs]
    cropped = [(min(low, 0), min(high, 0)) for low, high in pairs]
    if mode == "circular":  # the other end is that of what is left
        return _add_border(_crop(x, cropped), added, mode, value)
    return _crop(_add_border(x, added, mode, value), cropped)


def _crop(x: jax.Array, pairs: Sequence[shapes.Pair]) -> jax.Array:
    for axis, (low, high) in enumerate(pairs, start=1):
        x = lax.slice_in_dim(x, -low, x.shape[axis] + high, axis=axis)
    return x


def _add_border(x: jax.Array, pairs: Sequence[shapes.Pair], mode: str, value: float) -> jax.Array:
    borders = ((0, 0), *pairs, (0, 0))
    if mode == "zeros":
        return jnp.pad(x, borders, constant_values=jnp.asarray(value, x.dtype))
    # jnp.pad compares widths with sizes, which may be symbolic, and slices the batch, which may be
    # sharded.
    for axis, (low, high) in enumerate(pairs, start=1):
        last = x.shape[axis] - 1
        if mode == "reflect":
            before, after = (
                jnp.flip(lax.slice_in_dim(x, *ends, axis=axis), axis)
                for ends in ((1, low + 1), (last - high, last))
            )
        elif mode == "replicate":
            before = jnp.repeat(lax.slice_in_dim(x, 0, 1, axis=axis), low, axis=axis)
            after = jnp.repeat(lax.slice_in_dim(x, last, last + 1, axis=axis), high, axis=axis)
        else:
            before = lax.slice_in_dim(x, last + 1 - low, last + 1, axis=axis)
            after = lax.slice_in_dim(x, 0, high, axis=axis)
        x = jnp.concatenate([before, x, after], axis=axis)
    return x


def check_mode(
    name: str, mode: str, value: float, spatial: Sequence[int], pairs: Sequence[shapes.Pair]
) -> None:
    """Check that a mode is known, and that the axes are large enough for it.

    Args:
      name: Name of the caller's argument, for the error.
      mode: A word in :data:`MODES`.
      value: Content of the border with ``"zeros"``; 0 with the others.
      spatial: Sizes of the axes.
      pairs: ``(low, high)`` of each.

    Raises:
      TypeError: the mode is not a string.
      ValueError: the mode is unknown or takes no value, or a width is too large for it.
    """
    arguments.check_choice(name, mode, MODES)
    if mode != "zeros" and value != 0:
        raise ValueError(f"value belongs to mode='zeros'. Received: mode={mode!r}, value={value}")
    for size, pair in zip(spatial, pairs, strict=True):
        left = size + sum(min(width, 0) for width in pair)
        most = {"reflect": size - 1, "circular": left}.get(mode, max(pair))
        if is_below(most, max(pair)):
            raise ValueError(
                f"padding with mode {mode!r} can be at most {most} on an axis of size {size}. "
                f"Received: {pair}"
            )

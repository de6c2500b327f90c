"""Checks before an operation: an array, its rank, channels and dtype; a name.

This is the one user of chex. ``chex.disable_asserts()`` switches these checks off for the whole
process; what must hold even then is a plain ``raise`` where it belongs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

_LAYOUTS = {
    2: "(batch, features)",
    3: "(batch, length, channels)",
    4: "(batch, height, width, channels)",
    5: "(batch, depth, height, width, channels)",
}

_PIXELS_HINT = " For pixels 0…255, pass {}.astype(jnp.float32) / 255."


def array(name: str, x: Any) -> jax.Array:
    """Return JAX's array of an array of NumPy's, or of a variable of Flax's.

    >>> array("x", np.zeros(2, np.float32))
    Array([0., 0.], dtype=float32)

    Raises:
      TypeError: it is anything else, such as a list.
    """
    if isinstance(x, jax.Array):
        return x
    if isinstance(x, np.ndarray | np.generic) or hasattr(x, "__jax_array__"):
        return jnp.asarray(x)
    hint = f" Pass jnp.asarray({name})." if isinstance(x, list | tuple) else ""
    raise TypeError(f"{name} must be an array. Received: {type(x).__name__}.{hint}")


def rank(name: str, x: jax.Array, expected: int, *, reason: str = "") -> None:
    """Check that ``x`` has exactly ``expected`` axes, for a reason that the message gives.

    >>> rank("x", jnp.zeros((28, 28, 1)), 4)
    Traceback (most recent call last):
    ValueError: x must have 4 axes, (batch, height, width, channels). Received: shape (28, 28, 1). \
For one example, add the batch axis: x[None]; for one channel, its axis: x[..., None].

    Raises:
      ValueError: it has another number of axes.
    """
    layout = _LAYOUTS.get(expected, "(batch, *spatial, channels)")
    hint = ""
    if x.ndim == expected - 1:
        channel = f"; for one channel, its axis: {name}[..., None]" * (expected > 2)
        hint = f" For one example, add the batch axis: {name}[None]{channel}."
    message = (
        f"{name} must have {expected} axes, {layout}{reason}. Received: shape {x.shape}.{hint}"
    )
    with _raising(ValueError(message)):
        chex.assert_rank(x, expected)


def images(name: str, x: jax.Array) -> None:
    """Check that ``x`` is ``(batch, *spatial, channels)`` with at least one position.

    Raises:
      ValueError: it has fewer than three axes, or nothing on a spatial one.
    """
    message = (
        f"{name} must have at least 3 axes, (batch, *spatial, channels). Received: shape {x.shape}"
    )
    with _raising(ValueError(message)):
        chex.assert_scalar_non_negative(x.ndim - 3)
    if 0 in x.shape[1:-1]:
        raise ValueError(
            f"{name} must have at least one position on every spatial axis. "
            f"Received: shape {x.shape}"
        )


def pictures(name: str, x: jax.Array) -> None:
    """Check that ``x`` holds pictures, or video: ``(batch, time, height, width, channels)``.

    Raises:
      ValueError: it has neither 4 nor 5 axes.
    """
    if x.ndim != 5:
        rank(name, x, 4)


def boxes(name: str, x: jax.Array, *, reason: str = "") -> None:
    """Check that ``x`` holds the corners of boxes, ``(count, 4)``.

    Raises:
      TypeError: it is not floating point.
      ValueError: it has another shape.
    """
    floating(name, x)
    if x.ndim != 2 or x.shape[1] != 4:
        raise ValueError(
            f"{name} must be (count, 4), with x1, y1, x2 and y2 of each box{reason}. "
            f"Received: shape {x.shape}"
        )


def channels(name: str, x: jax.Array, expected: int, *, owner: str = "kernel does") -> None:
    """Check that the last axis of ``x`` has ``expected`` channels, as the owner has.

    Raises:
      ValueError: it has another size; the message says so where the channels stand first.
    """
    hint = ""
    if x.ndim > 2 and x.shape[1] == expected:
        hint = f" It looks channels-first: use jnp.moveaxis({name}, 1, -1)."
    message = (
        f"{name} must have {expected} channels on its last axis, as the {owner}. "
        f"Received: shape {x.shape}.{hint}"
    )
    with _raising(ValueError(message)):
        chex.assert_axis_dimension(x, -1, expected)


def floating(name: str, x: jax.Array) -> None:
    """Check that ``x`` is an array of floating-point numbers.

    Raises:
      TypeError: it holds integers or booleans; for ``uint8`` the message says what images need.
    """
    hint = _PIXELS_HINT.format(name) if x.dtype == jnp.uint8 else ""
    with _raising(TypeError(f"{name} must be floating point. Received: dtype {x.dtype}.{hint}")):
        chex.assert_type(x, float)


def real(name: str, x: jax.Array) -> None:
    """Check that ``x`` holds numbers that have an order.

    Raises:
      TypeError: it holds booleans or complex numbers.
    """
    if not jnp.isdtype(x.dtype, ("integral", "real floating")):
        raise TypeError(f"{name} must hold integers or real numbers. Received: dtype {x.dtype}.")


def integers(name: str, x: jax.Array) -> None:
    """Check that ``x`` is an array of integers.

    Raises:
      TypeError: it holds anything else.
    """
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers. Received: dtype {x.dtype}")


def same_dtype(**arrays: jax.Array | None) -> None:
    """Check that the arrays that are not ``None`` share one dtype.

    Raises:
      TypeError: they do not; the message names each with its dtype.
    """
    present = {name: x for name, x in arrays.items() if x is not None}
    received = ", ".join(f"{name} {x.dtype}" for name, x in present.items())
    first, *others = present.values()
    *names, last = present
    message = f"{', '.join(names)} and {last} must have the same dtype. Received: {received}."
    if first.dtype == jnp.uint8:
        message += _PIXELS_HINT.format(next(iter(present)))
    doubles = [name for name, x in present.items() if x.dtype == jnp.float64]
    if doubles:  # NumPy's default
        message += f" For float32, pass {doubles[0]}.astype(jnp.float32)."
    with _raising(TypeError(message)):
        chex.assert_type(others, first.dtype)


@contextmanager
def _raising(error: Exception) -> Iterator[None]:
    """Raise ``error`` in place of chex's own, whose text speaks of its inputs by number."""
    try:
        yield
    except AssertionError:
        raise error from None

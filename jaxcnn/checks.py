"""Checks before an operation: an array's rank, channels and dtype; a name.

This is the one user of chex. ``chex.disable_asserts()`` switches these checks off for the whole
process; what must hold even then is a plain ``raise`` where it belongs.
"""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import chex
import jax
import jax.numpy as jnp

_LAYOUTS = {
    2: "(batch, features)",
    3: "(batch, length, channels)",
    4: "(batch, height, width, channels)",
    5: "(batch, depth, height, width, channels)",
}

_PIXELS_HINT = " For pixels 0…255, pass {}.astype(jnp.float32) / 255."


def rank(name: str, x: jax.Array, expected: int) -> None:
    """Checks that ``x`` has exactly ``expected`` axes.

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
    message = f"{name} must have {expected} axes, {layout}. Received: shape {x.shape}.{hint}"
    with _raising(ValueError(message)):
        chex.assert_rank(x, expected)


def images(name: str, x: jax.Array) -> None:
    """Checks that ``x`` is ``(batch, *spatial, channels)`` with at least one spatial axis.

    Raises:
      ValueError: it has fewer than three axes.
    """
    message = (
        f"{name} must have at least 3 axes, (batch, *spatial, channels). Received: shape {x.shape}"
    )
    with _raising(ValueError(message)):
        chex.assert_scalar_non_negative(x.ndim - 3)


def channels(name: str, x: jax.Array, expected: int) -> None:
    """Checks that the last axis of ``x`` has ``expected`` channels.

    Raises:
      ValueError: it has another size; the message says so where the channels stand first.
    """
    hint = ""
    if x.ndim > 2 and x.shape[1] == expected:
        hint = f" It looks channels-first: use jnp.moveaxis({name}, 1, -1)."
    message = (
        f"{name} must have {expected} channels on its last axis, as the kernel does. "
        f"Received: shape {x.shape}.{hint}"
    )
    with _raising(ValueError(message)):
        chex.assert_axis_dimension(x, -1, expected)


def floating(name: str, x: jax.Array) -> None:
    """Checks that ``x`` is an array of floating-point numbers.

    Raises:
      TypeError: it holds integers or booleans; for ``uint8`` the message says what images need.
    """
    hint = _PIXELS_HINT.format(name) if x.dtype == jnp.uint8 else ""
    with _raising(TypeError(f"{name} must be floating point. Received: dtype {x.dtype}.{hint}")):
        chex.assert_type(x, float)


def same_dtype(**arrays: jax.Array | None) -> None:
    """Checks that the arrays that are not ``None`` share one dtype.

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
    with _raising(TypeError(message)):
        chex.assert_type(others, first.dtype)


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Checks that ``name`` is one of ``names``.

    >>> known("model", "mnist_cn", ["mnist_cnn", "pets_cnn"])
    Traceback (most recent call last):
    ValueError: there is no model 'mnist_cn'. Did you mean 'mnist_cnn'?

    Raises:
      ValueError: it is not; the message names the nearest, or else the first 20.
    """
    choices = list(names)
    if name not in choices:
        raise ValueError(f"there is no {what} {name!r}. {nearest(name, choices)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns what to say after a name that is none of ``names``: the nearest, or the first 20.

    >>> nearest("rat", ["rate", "seed"]), nearest("x", ["rate", "seed"])
    ("Did you mean 'rate'?", 'Known: rate, seed.')
    """
    choices = list(names)
    close = difflib.get_close_matches(name, choices, n=1)
    listed = choices if len(choices) <= 20 else [*choices[:20], "…"]
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(listed)}."


@contextmanager
def _raising(error: Exception) -> Iterator[None]:
    """Raises ``error`` in place of chex's own, whose text speaks of its inputs by number."""
    try:
        yield
    except AssertionError:
        raise error from None

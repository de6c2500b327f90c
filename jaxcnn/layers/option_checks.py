"""Checks of the options of layers, before the shape of an input is known."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxcnn import arguments, shapes
from jaxcnn.layers.layer import Layer
from jaxcnn.shapes.window import check_causal


def check_per_axis(layer: Layer, *names: str, minimum: int = 1) -> None:
    """Check fields that are an int or one int per axis, before the number of axes is known.

    Raises:
      TypeError: a number is not an integer.
      ValueError: a number is below `minimum`.
    """
    for name in names:
        value = getattr(layer, name)
        shapes.per_axis(name, value, _count(value), minimum=minimum)
        count_axes(layer, name)


def check_padding(layer: Layer, words: Sequence[str] = shapes.PADDINGS) -> None:
    """Check the field ``padding`` before the number of spatial axes is known.

    Raises:
      TypeError: a number is not an integer.
      ValueError: a number is below 0, or a word is unknown or for another number of axes.
    """
    padding = getattr(layer, "padding")  # noqa: B009  # not every layer has it
    if shapes.padding_of(padding, _count(padding), words=words) == "CAUSAL":
        check_causal(count_axes(layer, "kernel_size", "window", "strides", "dilation"))


def count_axes(layer: Layer, *names: str) -> int:
    """Return the number of spatial axes that options with one entry per axis say, else 1.

    Raises:
      ValueError: the options have different numbers of entries, or none.
    """
    fields = {name: getattr(layer, name, None) for name in names}
    listed = {name: value for name, value in fields.items() if isinstance(value, tuple)}
    counts = {len(value) for value in listed.values()}
    if len(counts) > 1 or 0 in counts:
        received = ", ".join(f"{name}={value!r}" for name, value in listed.items())
        raise ValueError(
            f"{' and '.join(listed)} must have one entry per spatial axis. Received: {received}"
        )
    return counts.pop() if counts else 1


def check_dtypes(layer: Layer, *names: str) -> None:
    """Check fields that are dtypes: by default ``dtype`` and ``param_dtype``.

    Raises:
      TypeError: one is not a dtype of floating-point numbers.
    """
    for name in names or ("dtype", "param_dtype"):
        value = getattr(layer, name)
        error = TypeError(
            f"{name} must be a floating-point dtype such as jnp.float32. Received: {name}={value!r}"
        )
        try:
            floating = value is None or jnp.issubdtype(jnp.dtype(value), jnp.floating)
        except TypeError:
            raise error from None
        if not floating:
            raise error


def check_flags(layer: Layer, *names: str) -> None:
    """Check fields that are ``True`` or ``False``.

    Raises:
      TypeError: a value is anything else.
    """
    for name in names:
        arguments.check_flag(name, getattr(layer, name))


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple) else 1

"""Sizes of the spatial axes times a factor."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from jaxcnn import arguments
from jaxcnn.shapes.numbers import Shape, image_shape, is_below

Scales: TypeAlias = float | Sequence[float]
"""The type of a factor of all spatial axes, or of one per spatial axis."""


def upsample_shape(input_shape: Sequence[int], scale: Scales) -> Shape:
    """Return the shape with every spatial axis ``scale`` times as large, rounded down.

    >>> upsample_shape((7, 7, 64), 2), upsample_shape((7, 7, 64), (1.5, 0.5))
    ((14, 14, 64), (10, 3, 64))

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      scale: A number or one per spatial axis, above 0.

    Raises:
      TypeError: a factor is not a number.
      ValueError: a factor is 0 or below, there is not one per spatial axis, or nothing would be
        left of an axis.
    """
    *spatial, channels = image_shape(input_shape)
    return (*scaled_sizes(spatial, factors("scale", scale, len(spatial))), channels)


def factors(name: str, value: Scales, axes: int) -> tuple[float, ...]:
    """Return one factor per spatial axis, whole ones as ints; a single one stands for all axes.

    Raises:
      TypeError: a factor is not a number.
      ValueError: a factor is 0 or below, or there is not one per axis.
    """
    plain = arguments.as_python(value)
    listed = tuple(plain) if arguments.is_sequence(plain) else (plain,) * axes
    if len(listed) != axes:
        raise ValueError(
            f"{name} must be one number or one per spatial axis ({axes} here). "
            f"Received: {name}={arguments.shown(value)}"
        )
    numbers = [arguments.check_number(name, factor, above=0) for factor in listed]
    return tuple(int(number) if number.is_integer() else number for number in numbers)


def scaled_sizes(spatial: Sequence[int], scales: Sequence[float]) -> Shape:
    """Return the sizes, which may be symbolic, times the factors, rounded down."""
    sizes = tuple(_scale(size, scale) for size, scale in zip(spatial, scales, strict=True))
    if any(is_below(size, 1) for size in sizes):
        raise ValueError(
            "scale must leave at least one position on every axis. "
            f"Received: scale={tuple(scales)} for sizes {tuple(spatial)}"
        )
    return sizes


def _scale(size: int, scale: float) -> int:
    if isinstance(scale, int):
        return size * scale
    if isinstance(size, int):
        return math.floor(size * scale)
    fraction = Fraction(scale).limit_denominator(1000)  # a symbolic size takes whole numbers only
    return size * fraction.numerator // fraction.denominator

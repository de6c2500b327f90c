"""Checks of the options of augmentations: numbers, intervals, rates."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from jaxcnn.shapes.numbers import is_sequence

Interval: TypeAlias = tuple[float, float]
Range: TypeAlias = float | Sequence[float]


def number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
) -> float:
    """Returns ``value`` as a ``float``, or raises an error that names the argument and the rule.

    >>> number("rate", 0.5, least=0, most=1)
    0.5

    Args:
      name: What the number is, for the error.
      value: An int or a float.
      least: The smallest number allowed.
      above: What the number must be larger than, in place of ``least``.
      most: The largest number allowed.

    Raises:
      TypeError: ``value`` is not a Python number.
      ValueError: ``value`` is out of its range, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a Python number. Received: {name}={value!r}")
    if not (least <= value <= most and above < value and math.isfinite(value)):
        rule = _allowed(least, most) if math.isinf(above) else f"above {above:g} and finite"
        raise ValueError(f"{name} must be {rule}. Received: {name}={value!r}")
    return float(value)


def interval(
    name: str,
    value: Range,
    *,
    center: float | None = None,
    least: float = -math.inf,
    most: float = math.inf,
) -> Interval:
    """Returns ``(low, high)`` from such a pair, or from a distance to both sides of ``center``.

    >>> interval("rotation", 15, center=0), interval("brightness", 0.4, center=1, least=0)
    ((-15.0, 15.0), (0.6, 1.4))

    Args:
      name: What the interval is, for the error.
      value: ``(low, high)``, or one number at least 0 where there is a ``center``.
      center: What a single number is laid around; what falls below ``least`` is cut off.
      least: The smallest number allowed.
      most: The largest number allowed.

    Raises:
      TypeError: it is not made of Python numbers.
      ValueError: it is not a pair in rising order, or a number is out of its range.
    """
    if not is_sequence(value) and center is not None:
        distance = number(name, value, least=0, most=most - center)
        return max(center - distance, least), center + distance
    if not is_sequence(value) or len(value) != 2:
        single = "" if center is None else "a number or "
        raise ValueError(f"{name} must be {single}a pair (low, high). Received: {name}={value!r}")
    low, high = (number(name, end, least=least, most=most) for end in value)
    if low > high:
        raise ValueError(f"{name} must be (low, high) with low ≤ high. Received: {name}={value!r}")
    return low, high


def positive(name: str, value: Range, *, most: float = math.inf) -> Interval:
    """Returns ``(low, high)``, both above 0.

    >>> positive("scale", (0.5, 2))
    (0.5, 2.0)

    Args:
      name: What the interval is, for the error.
      value: ``(low, high)``.
      most: The largest number allowed.

    Raises:
      TypeError: it is not made of Python numbers.
      ValueError: it is not a pair in rising order, or a number is out of its range.
    """
    low, high = interval(name, value, most=most)
    if low <= 0:
        raise ValueError(f"{name} must be above 0. Received: {name}={value!r}")
    return low, high


def _allowed(least: float, most: float) -> str:
    if math.isfinite(least) and math.isfinite(most):
        return f"in [{least:g}, {most:g}]"
    if math.isfinite(least):
        return f"at least {least:g} and finite"
    return f"at most {most:g} and finite" if math.isfinite(most) else "finite"

"""Numbers as options: whole ones, one or one per axis, and shapes made of them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from jaxcnn import arguments

Pairs: TypeAlias = tuple[tuple[int, int], ...]

Shape: TypeAlias = tuple[int, ...]
"""The type of a shape."""

Pair: TypeAlias = tuple[int, int]
"""The type of the padding of one axis, ``(low, high)``."""

PerAxis: TypeAlias = int | Sequence[int]
"""The type of an option that is one int for all spatial axes, or one per spatial axis."""

Padding: TypeAlias = str | int | Sequence[int] | Sequence[Pair]
"""The type of a padding, a word of :data:`PADDINGS`, an int for both sides of all axes, one int per
axis, or one ``(low, high)`` per axis; see :func:`windows`."""

PADDINGS = ("VALID", "SAME", "SAME_LOWER", "CAUSAL")
"""The words that a padding may be, in any letter case; :func:`windows` defines them."""


def per_axis(name: str, value: PerAxis, axes: int, *, minimum: int = 1) -> Shape:
    """Return one whole number per spatial axis; a single one stands for all axes.

    >>> per_axis("strides", 2, 3), per_axis("strides", (2, 1), 2)
    ((2, 2, 2), (2, 1))

    Args:
      name: What the number is, for the error.
      value: An int, or one int per spatial axis.
      axes: The number of spatial axes.
      minimum: The smallest number allowed.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is below `minimum`, or there is not one per axis.
    """
    plain = arguments.as_python(value)
    if not arguments.is_sequence(plain):
        return (arguments.check_integer(name, value, minimum=minimum),) * axes
    values = tuple(plain)
    if len(values) != axes:
        raise ValueError(
            f"{name} must be one int or one per spatial axis ({axes} here). "
            f"Received: {name}={arguments.shown(value)}"
        )
    return _whole_numbers(name, values, value, minimum)


def is_below(size: int, minimum: int) -> bool:
    """Return whether a size is below `minimum`; a symbolic one of ``jax.export`` is not.

    What it may be is known when the exported program is called.
    """
    return isinstance(size, int) and size < minimum


def pad_widths(
    name: str,
    value: int | Sequence[int] | Sequence[Pair],
    axes: int,
    *,
    words: Sequence[str] = (),
    minimum: int | None = 0,
) -> Pairs:
    """Return ``(low, high)`` for each spatial axis from an int, one int or one pair per axis.

    >>> pad_widths("widths", 1, 2), pad_widths("widths", (1, 2), 2)
    (((1, 1), (1, 1)), ((1, 1), (2, 2)))
    >>> pad_widths("widths", ((0, 1), (2, 2)), 2)
    ((0, 1), (2, 2))

    Args:
      name: What the widths are, for the error.
      value: An int, one int per axis, or one ``(low, high)`` per axis.
      axes: The number of spatial axes.
      words: What the caller takes besides, for the errors.
      minimum: The smallest number allowed; ``None`` allows negative ones.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number below `minimum`, not one entry per axis, or a word.
    """
    plain = arguments.as_python(value)
    listed = "".join(f"{word!r}, " for word in words)
    here = f" ({axes} here)" if arguments.is_sequence(plain) else ""
    rule = (
        f"{name} must be {listed}an int, one int per spatial axis or one (low, high) per spatial "
        f"axis{here}. Received: {name}={arguments.shown(value)}"
    )
    if isinstance(plain, str):
        raise ValueError(rule)
    if not arguments.is_sequence(plain):
        try:
            return ((arguments.check_integer(name, value, minimum=minimum),) * 2,) * axes
        except TypeError:
            raise TypeError(rule) from None
    pairs = [
        entry if arguments.is_sequence(entry) else (entry, entry)
        for entry in map(arguments.as_python, plain)
    ]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise ValueError(rule)
    numbers = _whole_numbers(name, [width for pair in pairs for width in pair], value, minimum)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def padding_of(padding: Padding, axes: int, *, words: Sequence[str] = PADDINGS) -> str | Pairs:
    """Return a word for padding in upper case, or ``(low, high)`` for each spatial axis.

    >>> padding_of("same", 2), padding_of(1, 2)
    ('SAME', ((1, 1), (1, 1)))

    Args:
      padding: A word, an int, one int per axis, or one ``(low, high)`` per axis; at least 0.
      axes: The number of spatial axes.
      words: The words that the caller knows.

    Raises:
      TypeError: a number is not whole.
      ValueError: an unknown word, a number below 0, or not one entry per axis.
    """
    if isinstance(padding, str) and padding.upper() in words:
        return padding.upper()
    # A word that is not known is refused there, with the words that are.
    return pad_widths("padding", padding, axes, words=words)  # type: ignore[arg-type]  # checked by its call


def _whole_numbers(name: str, values: Sequence[Any], received: Any, minimum: int | None) -> Shape:
    try:
        return tuple(arguments.check_integer(name, value, minimum=minimum) for value in values)
    except TypeError:
        raise TypeError(
            f"{name} must be integers. Received: {name}={arguments.shown(received)}"
        ) from None
    except ValueError:
        raise ValueError(
            f"{name} must be at least {minimum} on every axis. "
            f"Received: {name}={arguments.shown(received)}"
        ) from None


def check_shape(input_shape: Sequence[int]) -> Shape:
    """Return ``input_shape`` as a tuple of ints, each at least 1.

    >>> check_shape([28, 28, 1])
    (28, 28, 1)

    Args:
      input_shape: The shape of one example, without the batch.

    Raises:
      TypeError: it is not a sequence of whole numbers.
      ValueError: a size is below 1.
    """
    input_shape = arguments.as_python(input_shape)
    if not arguments.is_sequence(input_shape) or not input_shape or None in input_shape:
        raise TypeError(
            "input_shape must be a sequence such as (28, 28, 1), without the batch. "
            f"Received: input_shape={arguments.shown(input_shape)}"
        )
    return per_axis("input_shape", input_shape, len(input_shape))


def image_shape(input_shape: Sequence[int]) -> Shape:
    """Return ``input_shape`` checked to be ``(*spatial, channels)`` with a spatial axis.

    >>> image_shape((28, 28, 1))
    (28, 28, 1)

    Args:
      input_shape: The shape of one example, without the batch.

    Raises:
      TypeError: it is not a sequence of whole numbers.
      ValueError: there is no spatial axis, or a size is below 1.
    """
    shape = check_shape(input_shape)
    if len(shape) < 2:
        raise ValueError(
            "input_shape must be (*spatial, channels) with at least one spatial axis, such as "
            f"(28, 28, 1). Received: input_shape={arguments.shown(input_shape)}"
        )
    return shape

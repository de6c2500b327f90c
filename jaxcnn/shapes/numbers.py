"""Numbers as options: whole ones, one or one per axis, and shapes made of them."""

import numbers
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Pairs: TypeAlias = tuple[Pair, ...]
PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Pair]


# In any letter case; what each means is said in :func:`jaxcnn.shapes.windows`.
PADDINGS = ("VALID", "SAME", "SAME_LOWER", "CAUSAL")


def flag(name: str, value: Any) -> bool:
    """Returns ``value`` as a ``bool``, or raises an error that names the argument.

    >>> flag("ceil_mode", True)
    True

    Args:
      name: What the option is, for the error.
      value: ``True`` or ``False``, Python's or NumPy's.

    Raises:
      TypeError: ``value`` is anything else, such as a word or a number.
    """
    if type(value).__name__ != "bool":
        raise TypeError(f"{name} must be True or False. Received: {name}={value!r}")
    return bool(value)


def number(name: str, value: Any) -> float:
    """Returns ``value`` as a ``float``, or raises an error that names the argument.

    >>> number("rate", 1)
    1.0

    Args:
      name: What the number is, for the error.
      value: A real number, Python's, NumPy's or an array of one.

    Raises:
      TypeError: ``value`` is not a number.
    """
    plain = as_python(value)
    if isinstance(plain, bool) or not isinstance(plain, numbers.Real):
        raise TypeError(f"{name} must be a number. Received: {name}={value!r}")
    return float(plain)


def whole(name: str, value: Any, *, least: int) -> int:
    """Returns ``value`` as an ``int``, or raises an error that names the argument and the rule.

    >>> whole("features", 64, least=1)
    64

    Args:
      name: What the number is, for the error.
      value: An int, or a whole number of another library.
      least: The smallest number allowed.

    Raises:
      TypeError: ``value`` is not a whole number.
      ValueError: ``value`` is below ``least``.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number. Received: {name}={value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}. Received: {name}={value!r}")
    return number


def per_axis(name: str, value: PerAxis, axes: int, *, least: int = 1) -> Shape:
    """Returns one whole number per spatial axis; a single one stands for all axes.

    >>> per_axis("strides", 2, 3), per_axis("strides", (2, 1), 2)
    ((2, 2, 2), (2, 1))

    Args:
      name: What the number is, for the error.
      value: An int, or one int per spatial axis.
      axes: The number of spatial axes.
      least: The smallest number allowed.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is below ``least``, or there is not one per axis.
    """
    plain = as_python(value)
    if not is_sequence(plain):
        return (whole(name, value, least=least),) * axes
    values = tuple(plain)
    if len(values) != axes:
        raise ValueError(
            f"{name} must be one int or one per spatial axis ({axes} here). "
            f"Received: {name}={value!r}"
        )
    return _whole_numbers(name, values, value, least)


def pad_widths(
    name: str, value: int | Sequence[int] | Sequence[Pair], axes: int, *, words: Sequence[str] = ()
) -> Pairs:
    """Returns ``(low, high)`` for each spatial axis from an int, one int or one pair per axis.

    >>> pad_widths("widths", 1, 2), pad_widths("widths", (1, 2), 2)
    (((1, 1), (1, 1)), ((1, 1), (2, 2)))
    >>> pad_widths("widths", ((0, 1), (2, 2)), 2)
    ((0, 1), (2, 2))

    Args:
      name: What the widths are, for the error.
      value: An int, one int per axis, or one ``(low, high)`` per axis; at least 0.
      axes: The number of spatial axes.
      words: What the caller takes besides, for the errors.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number below 0, not one entry per axis, or a word.
    """
    plain = as_python(value)
    listed = "".join(f"{word!r}, " for word in words)
    here = f" ({axes} here)" if is_sequence(plain) else ""
    rule = (
        f"{name} must be {listed}an int, one int per spatial axis or one (low, high) per spatial "
        f"axis{here}. Received: {name}={value!r}"
    )
    if isinstance(plain, str):
        raise ValueError(rule)
    if not is_sequence(plain):
        try:
            return ((whole(name, value, least=0),) * 2,) * axes
        except TypeError:
            raise TypeError(rule) from None
    pairs = [entry if is_sequence(entry) else (entry, entry) for entry in map(as_python, plain)]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise ValueError(rule)
    numbers = _whole_numbers(name, [width for pair in pairs for width in pair], value, 0)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def padding_of(padding: Padding, axes: int, *, words: Sequence[str] = PADDINGS) -> str | Pairs:
    """Returns a word for padding in upper case, or ``(low, high)`` for each spatial axis.

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
    return pad_widths("padding", padding, axes, words=words)  # type: ignore[arg-type]


def _whole_numbers(name: str, values: Sequence[Any], received: Any, least: int) -> Shape:
    try:
        return tuple(whole(name, value, least=least) for value in values)
    except TypeError:
        raise TypeError(f"{name} must be whole numbers. Received: {name}={received!r}") from None
    except ValueError:
        raise ValueError(
            f"{name} must be at least {least} on every axis. Received: {name}={received!r}"
        ) from None


def check_shape(input_shape: Sequence[int]) -> Shape:
    """Returns ``input_shape`` as a tuple of ints, each at least 1.

    >>> check_shape([28, 28, 1])
    (28, 28, 1)

    Args:
      input_shape: The shape of one example, without the batch.

    Raises:
      TypeError: it is not a sequence of whole numbers.
      ValueError: a size is below 1.
    """
    input_shape = as_python(input_shape)
    if not is_sequence(input_shape) or not input_shape or None in input_shape:
        raise TypeError(
            "input_shape must be a sequence such as (28, 28, 1), without the batch. "
            f"Received: input_shape={input_shape!r}"
        )
    return per_axis("input_shape", input_shape, len(input_shape))


def image_shape(input_shape: Sequence[int]) -> Shape:
    """Returns ``input_shape`` checked to be ``(*spatial, channels)`` with a spatial axis.

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
            f"(28, 28, 1). Received: input_shape={input_shape!r}"
        )
    return shape


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether ``value`` is one entry per axis rather than one for all."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def as_python(value: Any) -> Any:
    """Returns an array of any library as Python's numbers, and everything else as it is.

    Args:
      value: Anything.
    """
    array = hasattr(value, "tolist") and not isinstance(value, type)
    return value.tolist() if array else value

"""Checks of plain arguments: numbers, flags and names.

Every check takes the argument's name and value, and either returns the value as a plain Python
object or raises an error that gives the name, the rule and the value received. Python's and NumPy's
scalars are both accepted. Standard library only.
"""

import difflib
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar

Interval: TypeAlias = tuple[float, float]
Range: TypeAlias = float | Sequence[float]
# The most that JAX's default integers hold, such as the number of a step.
LARGEST_INTEGER = 2**31 - 1
_MOST_SHOWN, _MOST_CHOICES = 240, 40  # characters of a value and words in an error, at most
_F = TypeVar("_F", bound=Callable[..., Any])


def check_flag(name: str, value: Any) -> bool:
    """Return `value` as a ``bool``.

    >>> check_flag("ceil_mode", True)
    True

    Args:
      name: Name of the argument, for the error.
      value: ``True`` or ``False``, Python's or NumPy's.

    Raises:
      TypeError: `value` is anything else, such as a word or a number.
    """
    plain = as_python(value)
    if not isinstance(plain, bool):
        raise TypeError(f"{name} must be True or False. Received: {name}={shown(value)}")
    return plain


def check_integer(
    name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None
) -> int:
    """Return `value` as an ``int``.

    >>> check_integer("features", 64, minimum=1)
    64

    Args:
      name: Name of the argument, for the error.
      value: An int, or an integer of another library.
      minimum: The smallest integer allowed.
      maximum: The largest integer allowed.

    Raises:
      TypeError: `value` is not an integer.
      ValueError: `value` is out of range.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer. Received: {name}={shown(value)}") from None
    _check_range(name, value, integer, minimum, maximum)
    return integer


def check_count(name: str, value: Any, *, minimum: int = 1, maximum: int = LARGEST_INTEGER) -> int:
    """Return `value` as an ``int`` that can be counted with; an error gives one bound, not both.

    Args:
      name: Name of the argument, for the error.
      value: An int, or an integer of another library.
      minimum: The smallest integer allowed.
      maximum: The largest integer allowed.

    Raises:
      TypeError: `value` is not an integer.
      ValueError: `value` is out of range.
    """
    return check_integer(name, check_integer(name, value, minimum=minimum), maximum=maximum)


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    meaning: str = "",
) -> float:
    """Return `value` as a finite ``float``.

    >>> check_number("rate", 0.5, minimum=0, below=1)
    0.5
    >>> check_number("rate", 1.5, minimum=0, below=1)
    Traceback (most recent call last):
    ValueError: rate must be in [0, 1). Received: rate=1.5

    Args:
      name: Name of the argument, for the error.
      value: A real number: Python's, NumPy's, or an array without axes.
      minimum: The smallest number allowed.
      maximum: The largest number allowed.
      above: A bound that the number must exceed, instead of `minimum`.
      below: A bound that the number must stay below, instead of `maximum`.
      meaning: A clause about the argument between its name and the rule, such as
        ``"is the probability of dropping and"``.

    Raises:
      TypeError: `value` is not a number.
      ValueError: `value` is out of range or not finite.
    """
    plain = as_python(value)
    if isinstance(plain, bool) or not isinstance(plain, numbers.Real):
        raise TypeError(f"{name} must be a number. Received: {name}={shown(value)}")
    number = float(plain)
    subject = f"{name} {meaning}".rstrip()
    _check_range(name, value, number, minimum, maximum, above, below, subject=subject)
    return number


def check_rate(rate: Any) -> float:
    """Return `rate`, the probability of dropping, as a ``float``.

    >>> check_rate(1.0)
    Traceback (most recent call last):
    ValueError: rate is the probability of dropping and must be in [0, 1). Received: rate=1.0

    Args:
      rate: A number in [0, 1).

    Raises:
      TypeError: `rate` is not a number.
      ValueError: `rate` is out of range.
    """
    meaning = "is the probability of dropping and"
    return check_number("rate", rate, minimum=0, below=1, meaning=meaning)


def check_interval(
    name: str,
    value: Any,
    *,
    center: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
) -> Interval:
    """Return ``(low, high)`` from such a pair, or from a distance to both sides of `center`.

    >>> check_interval("rotation", 15, center=0), check_interval("contrast", 0.4, center=1)
    ((-15.0, 15.0), (0.6, 1.4))

    Args:
      name: Name of the argument, for the error.
      value: ``(low, high)``; a single number of at least 0 where there is a `center`.
      center: Middle of the interval that a single number describes. The part of that interval
        below `minimum` is cut off.
      minimum: The smallest number allowed.
      maximum: The largest number allowed.
      above: A bound that both numbers must exceed, instead of `minimum`.

    Raises:
      TypeError: `value` is not made of numbers.
      ValueError: `value` is not a pair in rising order, or a number is out of range.
    """
    plain = as_python(value)
    if not is_sequence(plain) and center is not None:
        widest = None if maximum is None else maximum - center
        distance = check_number(name, value, minimum=0, maximum=widest)
        low = center - distance
        return low if minimum is None else max(low, minimum), center + distance
    if not is_sequence(plain) or len(plain) != 2:
        single = "" if center is None else "a number or "
        raise ValueError(
            f"{name} must be {single}a pair (low, high). Received: {name}={shown(value)}"
        )
    low, high = (
        check_number(name, end, minimum=minimum, maximum=maximum, above=above) for end in plain
    )
    if low > high:
        raise ValueError(
            f"{name} must be (low, high) with low ≤ high. Received: {name}={shown(value)}"
        )
    return low, high


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value`, one of a few words that an option may be.

    >>> check_choice("padding_mode", "reflec", ["zeros", "reflect"])
    Traceback (most recent call last):
    ValueError: padding_mode must be 'zeros' or 'reflect'. Received: padding_mode='reflec'. Did you mean 'reflect'?

    Args:
      name: Name of the argument, for the error.
      value: A string.
      choices: The words allowed.

    Raises:
      TypeError: `value` is not a string.
      ValueError: `value` is none of the words.
    """  # noqa: E501  # the message of an error is one line
    words = list(choices)
    many = f"one of {len(words):,} words such as " if len(words) > _MOST_CHOICES else ""
    *others, last = map(repr, words[:3] if many else words)
    rule = many + (f"{', '.join(others)} or {last}" if others else last)
    error = TypeError if not isinstance(value, str) else ValueError
    if error is TypeError or value not in words:
        close = difflib.get_close_matches(value, words, n=1) if error is ValueError else []
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise error(f"{name} must be {rule}. Received: {name}={shown(value)}{hint}")
    return str(value)


def check_known(kind: str, name: Any, names: Iterable[str]) -> None:
    """Check that `name` is in a list of names, such as that of the models.

    >>> check_known("model", "mnist_cn", ["mnist_cnn", "pets_cnn"])
    Traceback (most recent call last):
    ValueError: there is no model 'mnist_cn'. Did you mean 'mnist_cnn'?

    Args:
      kind: A noun for the things that have these names, for the error.
      name: A string.
      names: The names that exist.

    Raises:
      TypeError: `name` is not a string.
      ValueError: `name` is not in the list; the message gives the nearest name, or the first 20.
    """
    known = list(names)
    if not isinstance(name, str):
        article = "an" if kind[0] in "aeiou" else "a"
        raise TypeError(
            f"the name of {article} {kind} must be a string. Received: {shown(name)}. "
            f"{nearest('', known)}"
        )
    if name not in known:
        raise ValueError(f"there is no {kind} {shown(name)}. {nearest(name, known)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known one, or the first 20.

    >>> nearest("rat", ["rate", "seed"]), nearest("x", ["rate", "seed"])
    ("Did you mean 'rate'?", 'Known: rate, seed.')

    Args:
      name: The unknown name.
      names: The known ones.
    """
    known = list(names)
    # A name that is far longer resembles none, and would be compared for minutes.
    close = difflib.get_close_matches(name, known, n=1) if len(name) < _MOST_SHOWN else []
    listed = known if len(known) <= 20 else [*known[:20], "…"]
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(listed)}."


def shown(value: Any) -> str:
    """Return `value` as an error shows it: its ``repr``, shortened in the middle if it is long.

    >>> shown("cat"), len(shown("x" * 2_000_000)) < 300
    ("'cat'", True)

    Args:
      value: The value received, of any type and size.
    """
    long = isinstance(value, str | bytes) and len(value) > 4 * _MOST_SHOWN
    text = repr(value[: 2 * _MOST_SHOWN] + value[-2 * _MOST_SHOWN :]) if long else repr(value)
    if len(text) <= _MOST_SHOWN:
        return text
    half = _MOST_SHOWN // 2
    return f"{text[:half]} … {text[-half:]}"


def check_initializer(name: str, value: _F) -> _F:
    """Return `value`, which must be callable.

    Args:
      name: Name of the argument, for the error.
      value: A function of ``(key, shape, dtype)``.

    Raises:
      TypeError: `value` is not callable, as the name of a function is not.
    """
    if not callable(value):
        raise TypeError(
            f"{name} must be a function of (key, shape, dtype), such as "
            f"jax.nn.initializers.zeros. Received: {name}={shown(value)}"
        )
    return value


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Return whether `value` is a sequence other than a string."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def as_python(value: Any) -> Any:
    """Return an array of any library as Python's numbers, and everything else unchanged."""
    is_array = hasattr(value, "tolist") and not isinstance(value, type)
    return value.tolist() if is_array else value


def _check_range(
    name: str,
    value: Any,
    number: float,
    minimum: float | None,
    maximum: float | None,
    above: float | None = None,
    below: float | None = None,
    *,
    subject: str | None = None,
) -> None:
    low = minimum if above is None else above
    high = maximum if below is None else below
    fits = (
        (low is None or number > low or (above is None and number == low))
        and (high is None or number < high or (below is None and number == high))
        and math.isfinite(number)
    )
    if fits:
        return
    if low is not None and high is not None:
        start, end = "[" if above is None else "(", "]" if below is None else ")"
        rule = f"in {start}{_exact(low)}, {_exact(high)}{end}"
    elif low is not None:
        rule = f"at least {_exact(low)}" if above is None else f"above {_exact(low)}"
    elif high is not None:
        rule = f"at most {_exact(high)}" if below is None else f"below {_exact(high)}"
    else:
        rule = "finite"
    if (
        not math.isfinite(number)
        and rule != "finite"
        and not (low is not None and high is not None)
    ):
        rule += " and finite"
    raise ValueError(f"{subject or name} must be {rule}. Received: {name}={shown(value)}")


def _exact(bound: float) -> str:  # not 2.14748e+09
    return str(bound) if isinstance(bound, int) else f"{bound:g}"

"""Nested frozen dataclasses from TOML text, and back.

What may be given, and of which type, is said by the dataclasses alone: a field without a default
must be given, and a field that is a dataclass is a table. A type is ``str``, ``int``, ``float``,
``bool`` or several of these, ``Literal``, ``tuple[X, ...]``, ``tuple[X, Y]``, ``dict[str, X]``,
``Any`` or ``X | None``. TOML has no word for nothing: ``X | None`` must default to ``None``, which
is left out.

What types do not say, a dataclass checks in ``__post_init__``. Where its message begins with the
name of a field, or of one in its tables such as ``optimizer.rate``, the line and the table of that
field are put in front.
"""

import dataclasses
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from jaxcnn import arguments
from jaxcnn.recipes.toml_text import Place, dotted, line_of, load, printable, shown

T = TypeVar("T")

_SCALARS: dict[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}


def parse(
    text: str,
    kind: type[T],
    *,
    source: str = "recipe",
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = lambda values: values,
) -> T:
    r"""Return the dataclass that TOML text describes.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Optimizer:
    ...     name: Literal["adam", "sgd"] = "adam"
    ...     rate: float = 1e-3
    >>> @dataclasses.dataclass(frozen=True)
    ... class Recipe:
    ...     seed: int = 0
    ...     optimizer: Optimizer = Optimizer()
    >>> parse("optimizer.rate = 1", Recipe)
    Recipe(seed=0, optimizer=Optimizer(name='adam', rate=1.0))
    >>> parse("[optimizer]\nraet = 1", Recipe, source="digits.toml")
    Traceback (most recent call last):
    ValueError: digits.toml, line 2: there is no option optimizer.raet. Did you mean 'rate'?

    Args:
      text: TOML 1.0.
      kind: The dataclass; the types of its fields are listed at the top of this file.
      source: Name of the text, for errors.
      upgrade: Maps the values of an older format to those of the present one.

    Returns:
      A ``kind``. Arrays are tuples, and integers in float fields are floats.

    Raises:
      TypeError: a value has the wrong type.
      ValueError: the text is not TOML, or an option is unknown, missing or out of its range. Each
        error is one line and begins with the source, and with the line where there is one.
    """
    try:
        values = load(text)
    except ValueError as error:
        raise ValueError(f"{source}, {error}") from None

    def where(place: Place) -> str:
        line = line_of(place, text)
        return f"{source}, line {line}: " if line else f"{source}: "

    return _Reader(kind, where).read(upgrade(values))


def override(
    value: T,
    assignments: Iterable[str],
    *,
    options: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    source: str = "--set",
) -> T:
    """Return a dataclass with some options changed, all at once.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Optimizer:
    ...     name: str = "adam"
    ...     decay: float | None = None
    >>> override(Optimizer(decay=0.1), ["name=sgd", "decay=none"])
    Optimizer(name='sgd', decay=None)

    Args:
      value: A dataclass as :func:`parse` returns it.
      assignments: Each ``option=value``, as in ``optimizer.rate=0.01``; the last for an option
        counts. The value is TOML, or else a string without quotes; the bare word ``none`` empties
        what may be ``None``. An array is set as a whole.
      options: Options by dotted name, with plain values; an assignment to one of them wins.
      flags: What a user typed for one of `options`, such as ``--rate``, by the dotted name; errors
        name it.
      source: Text before an assignment, for errors.

    Raises:
      TypeError: as :func:`parse`, with the assignment in place of the line.
      ValueError: as :func:`parse`, or an assignment cannot be read.
    """
    changes: dict[Place, Any] = {
        tuple(name.split(".")): new for name, new in (options or {}).items()
    }
    typed: dict[Place, str] = {tuple(name.split(".")): flag for name, flag in (flags or {}).items()}
    texts = {place: f"{dotted(place)}={new}" for place, new in changes.items()}
    for assignment in assignments:
        try:
            option, new = _assignment(assignment)
        except ValueError as error:
            raise ValueError(f"{source} {printable(assignment)}: {error}") from None
        texts[option], changes[option] = printable(assignment), new
        typed.pop(option, None)

    def where(place: Place) -> str:
        if place in typed:  # the error names it
            return ""
        # A check may name an option that was not set, but no longer fits one that was.
        related = [each for each in texts if each[: len(place)] == place[: len(each)]] or texts
        given = [f"{typed[each]} {changes[each]}" for each in related if each in typed]
        assigned = [texts[each] for each in related if each not in typed]
        return f"{' '.join([*given, source, *assigned] if assigned else given)}: "

    values = _plain(value)
    for option, new in changes.items():
        table = values
        for key in option[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        table[option[-1]] = _plain(new)
    return _Reader(type(value), where, typed).read(values)


def dump(value: object) -> str:
    """Return TOML text with every field; :func:`parse` returns an equal value from it.

    Fields stand in their order, those of a table before the tables in it.

    Args:
      value: A dataclass as :func:`parse` returns it.

    Raises:
      TypeError: a field does not hold what its type says.
      ValueError: a number is not finite or does not fit in 64 bits, or a choice is not known.
    """
    import tomlkit  # 5 ms, and only to write

    checked = _Reader(type(value), lambda place: "").read(_plain(value))
    return tomlkit.dumps(_plain(checked))


@dataclass(frozen=True)
class _Reader:
    """A reader of plain values into a dataclass.

    Attributes:
      kind: The outermost dataclass.
      where: Maps a place to the beginning of an error about it.
      typed: What a user typed for a place, where it is not the dotted name.
    """

    kind: type
    where: Callable[[Place], str]
    typed: Mapping[Place, str] = dataclasses.field(default_factory=dict)

    def name(self, place: Place) -> str:
        return self.typed.get(place) or dotted(place)

    def read(self, values: dict[str, Any]) -> Any:
        try:
            return self.table(values, self.kind, ())
        except RecursionError:
            raise ValueError(f"{self.where(())}tables or arrays are nested too deeply") from None

    def table(self, values: Any, kind: type, place: Place) -> Any:
        self.check(isinstance(values, dict), "a table", values, place)
        fields = _fields(kind)
        for key in values:
            if key not in fields:
                raise ValueError(self.unknown(key, fields, place))
        given = {
            name: self.value(values[name], hint, (*place, name))
            for name, (hint, _) in fields.items()
            if name in values
        }
        for name, (_, is_required) in fields.items():
            if is_required and name not in given:
                inner = (*place, name)
                raise ValueError(f"{self.where(inner)}{dotted(inner)} must be given")
        try:
            return kind(**given)
        except (TypeError, ValueError) as error:
            message = printable(str(error))
            name = re.split(r"[^\w.]", message, maxsplit=1)[0].rstrip(".")
            keys = name.split(".")
            if keys[0] in fields:
                place, message = (*place, *keys), message.removeprefix(name)
            elif place:
                message = f": {message}"
            raised = TypeError if isinstance(error, TypeError) else ValueError
            raise raised(f"{self.where(place)}{self.name(place)}{message}") from error

    def value(self, value: Any, kind: Any, place: Place) -> Any:
        if value is None:
            if NoneType in get_args(kind):
                return None
            value = "none"  # the bare word of an assignment, where nothing can be empty
        if kind is Any:
            if not isinstance(value, dict | list):
                return self.scalar(value, tuple(_SCALARS), place)
            kind = dict[str, Any] if isinstance(value, dict) else tuple[Any, ...]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self.table(value, kind, place)
        origin, kinds = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            kinds = tuple(kind for kind in kinds if kind is not NoneType)
            if len(kinds) > 1:
                return self.scalar(value, kinds, place)
            return self.value(value, kinds[0], place)
        if origin is Literal:
            return self.choice(value, kinds, place)
        if origin is dict:
            self.check(isinstance(value, dict), "a table", value, place)
            return {key: self.value(value[key], kinds[1], (*place, key)) for key in value}
        if origin is tuple:
            return self.array(value, kinds, place)
        return self.scalar(value, (kind,), place)

    def array(self, value: Any, kinds: tuple[Any, ...], place: Place) -> tuple[Any, ...]:
        self.check(isinstance(value, list), "an array", value, place)
        if kinds[-1:] == (...,):
            kinds = kinds[:1] * len(value)
        if len(kinds) != len(value):
            raise self.wrong(ValueError, f"an array of {len(kinds)}", value, place)
        places = [(*place, index) for index in range(len(kinds))]
        return tuple(map(self.value, value, kinds, places))

    def choice(self, value: Any, choices: tuple[Any, ...], place: Place) -> Any:
        if any(type(value) is type(choice) and value == choice for choice in choices):
            return value
        if not all(isinstance(name, str) for name in (value, *choices)):
            rule = f"one of {', '.join(map(shown, choices))}"
            raise self.wrong(ValueError, rule, value, place)
        hint = arguments.nearest(value, choices)
        raise ValueError(f"{self.where(place)}there is no {self.name(place)} {value!r}. {hint}")

    def scalar(self, value: Any, kinds: tuple[type, ...], place: Place) -> Any:
        if not set(kinds) <= set(_SCALARS):
            raise TypeError(f"{dotted(place)} is of a type that cannot be read: {kinds}")
        if isinstance(value, bool):  # which to Python is an int
            fits = bool in kinds
        else:
            fits = isinstance(value, (*kinds, int) if float in kinds else kinds)
        self.check(fits, " or ".join(_SCALARS[kind] for kind in kinds), value, place)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong(ValueError, "finite", value, place)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self.wrong(ValueError, "a number of at most 64 bits", value, place)
        return value if isinstance(value, kinds) else float(value)

    def check(self, fits: bool, rule: str, value: Any, place: Place) -> None:
        if not fits:
            raise self.wrong(TypeError, rule, value, place)

    def wrong(self, error: type[Exception], rule: str, value: Any, place: Place) -> Exception:
        name, received = self.name(place), shown(value)
        return error(f"{self.where(place)}{name} must be {rule}. Received: {received}")

    def unknown(self, key: str, names: Iterable[str], place: Place) -> str:
        place = (*place, key)
        hint = f". {arguments.nearest(key, names)}"
        homes = set(_homes(self.kind, key))
        if len(homes) == 1:
            home = dotted(homes.pop())
            table = f"to [{home}]" if home else "at the top, outside any table"
            hint = f": {key!r} belongs {table}"
        return f"{self.where(place)}there is no option {dotted(place)}{hint}"


def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Return the type of each field, and whether it must be given."""
    hints, fields = typing.get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        if NoneType in get_args(hints[field.name]) and field.default is not None:
            raise TypeError(f"{kind.__name__}.{field.name} must default to None, or not take it")
        is_required = field.default is field.default_factory is dataclasses.MISSING
        fields[field.name] = (hints[field.name], is_required)
    return fields


def _homes(kind: type, name: str, place: Place = ()) -> Iterator[Place]:
    """Yield the tables that have an option of this name."""
    for field, (hint, _) in _fields(kind).items():
        if field == name:
            yield place
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                yield from _homes(part, name, (*place, field))


def _assignment(text: str) -> tuple[Place, Any]:
    """Return the keys and the value of ``option=value``."""
    left, equals, right = text.partition("=")
    keys: list[str] = []
    try:
        table: Any = load(f"{left}{equals}0")
        while isinstance(table, dict):
            ((key, table),) = table.items()
            keys.append(key)
    except ValueError:
        raise ValueError("an assignment is written option=value") from None
    right = right.strip()
    if right == "none":
        return tuple(keys), None
    try:
        values = load(f"value = {right}")
    except ValueError:
        if right.startswith(("'", '"', "[", "{")):
            raise ValueError("the value is not TOML, where a string needs quotes") from None
        return tuple(keys), right
    return tuple(keys), values["value"] if len(values) == 1 else right


def _plain(value: Any) -> Any:
    """Return dicts for dataclasses, without what is ``None``, and lists for tuples."""
    if dataclasses.is_dataclass(value):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(inner) for name, inner in fields if inner is not None}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value

"""What each module of a model computes, read off the program that the model traces to.

The input and the output of every module are marked in the program by an operation that changes
nothing. Each operation belongs to the innermost module whose marked input flows into it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Literal

from jaxcnn.insight.multiply_adds import inner_programs, multiply_adds_of
from jaxcnn.insight.window_operations import fields_after
from jaxcnn.shapes.receptive import Fields, pointwise_fields

_ENTER, _LEAVE = "enter:", "leave:"


class Computed(NamedTuple):
    """One call of a module in a program.

    Attributes:
      name: Its path; ``""`` for the model itself.
      output: The type of its first output.
      inputs: The names of the calls whose outputs it reads; ``""`` is the input of the model.
      multiply_adds: Number of multiply-adds of its own, not in modules that it calls.
      operations: Names of its own operations, products with a number apart.
      receptive_field: That of its output, if it moves a window; else ``None``.
    """

    name: str
    output: Any
    inputs: tuple[str, ...]
    multiply_adds: int
    operations: frozenset[str]
    receptive_field: Fields


def entering(name: str, values: Any) -> Any:
    """Mark the input of a call."""
    return _marked(_ENTER + name, values)


def leaving(name: str, values: Any) -> Any:
    """Mark the output of a call."""
    return _marked(_LEAVE + name, values)


def read_program(jaxpr: Any, always: Callable[[str], bool]) -> list[Computed]:
    """Return the calls of modules in a program, in the order in which they end.

    A call that only returns what a module within it has returned is left out.

    Args:
      jaxpr: The program.
      always: Returns whether the call of a path is never left out.
    """
    return list(_Reader(always).read(jaxpr, {}))


def _marked(mark: str, values: Any) -> Any:
    return jax.tree.map(
        lambda value: checkpoint_name(value, mark) if isinstance(value, jax.Array) else value,
        values,
    )


@dataclass
class _Call:
    """A call of a module that is being read.

    Attributes:
      number: The place of its beginning among those of all calls.
      caller: The name of the module that calls it.
      inputs: The names of the rows whose outputs it reads.
      fields: The receptive field of its output, once it moves a window.
    """

    number: int
    caller: str | None
    inputs: tuple[str, ...]
    calls_others: bool = False
    moves_window: bool = False
    multiply_adds: int = 0
    operations: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Value:
    """Where a value in the program is from.

    Attributes:
      module: The innermost module whose input it was computed from, or ``None``.
      sources: The names of the calls whose outputs it was computed from.
      fields: Its receptive field in the input of the model.
      is_output: Whether it is the output of a call, unchanged.
    """

    module: str | None = None
    sources: tuple[str, ...] = ()
    fields: Fields = None
    is_output: bool = False


class _Reader:
    """Follows the values of a program from mark to mark."""

    def __init__(self, always: Callable[[str], bool]) -> None:
        self._always = always
        self._calls: dict[str, _Call] = {}
        self._ended: set[str] = set()

    def read(self, jaxpr: Any, values: dict[Any, _Value]) -> Iterator[Computed]:
        for equation in jaxpr.eqns:
            given = [_value(variable, values) for variable in equation.invars]
            inner = inner_programs(equation)
            if equation.primitive.name == "name":
                yield from self._mark(equation, given[0], values)
            elif equation.primitive.name not in _REPEATED and len(inner) == 1:
                (program,) = inner
                inside = dict(zip(program.invars, given, strict=True))
                yield from self.read(program, inside)
                for outer, result in zip(equation.outvars, program.outvars, strict=True):
                    values[outer] = _value(result, inside)
            else:
                values.update(dict.fromkeys(equation.outvars, self._compute(equation, given)))

    def _compute(self, equation: Any, given: list[_Value]) -> _Value:
        """Count an operation for the module that it belongs to, and return its result."""
        fields, moves_window = fields_after(equation, [value.fields for value in given])
        owners = [value.module for value in given if value.module is not None]
        owner = max(owners, key=lambda name: self._calls[name].number, default=None)
        if owner is not None:
            call = self._calls[owner]
            call.multiply_adds += multiply_adds_of(equation)
            call.moves_window |= moves_window
            is_product = equation.primitive.name in ("mul", "div")
            if not (is_product and any(_is_number(variable) for variable in equation.invars)):
                call.operations.add(equation.primitive.name)
        sources = dict.fromkeys(name for value in given for name in value.sources)
        return _Value(owner, tuple(sources), fields)

    def _mark(self, equation: Any, given: _Value, values: dict[Any, _Value]) -> Iterator[Computed]:
        (result,), mark = equation.outvars, equation.params["name"]
        if mark.startswith(_ENTER):
            name = mark.removeprefix(_ENTER)
            if not name:  # the input of the model
                given = _Value(None, ("",), pointwise_fields(result.aval.ndim - 2))
            self._calls[name] = _Call(len(self._calls), given.module, given.sources)
            if given.module is not None:
                self._calls[given.module].calls_others = True
            values[result] = _Value(name, given.sources, given.fields)
            return
        name = mark.removeprefix(_LEAVE)
        call = self._calls[name]
        is_left_out = given.is_output and call.multiply_adds == 0 and not self._always(name)
        sources = given.sources if is_left_out else (name,)
        values[result] = _Value(call.caller, sources, given.fields, is_output=True)
        if name in self._ended or is_left_out:  # or a further array of its output
            return
        self._ended.add(name)
        yield Computed(
            name,
            result.aval,
            given.sources if call.calls_others else call.inputs,
            call.multiply_adds,
            frozenset(call.operations),
            given.fields if call.moves_window else None,
        )


# Operations with a program that is not computed once; the modules within are not told apart.
_REPEATED = frozenset({"scan", "while", "cond"})


def _value(variable: Any, values: dict[Any, _Value]) -> _Value:
    return _Value() if isinstance(variable, Literal) else values.get(variable, _Value())


def _is_number(variable: Any) -> bool:
    return isinstance(variable, Literal) or variable.aval.ndim == 0

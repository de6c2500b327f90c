"""What every description of a layer can do, and plain functions as layers."""

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, modules, ops, shapes


class Step(NamedTuple):
    """One layer on the way through a network: its name's parts, itself, and both shapes."""

    path: tuple[str, ...]
    layer: "Layer"
    input_shape: shapes.Shape
    output_shape: shapes.Shape


class Layer(abc.ABC):
    """A description of a layer; shapes are without the batch.

    To add a kind of your own, write a frozen dataclass with these two methods.
    """

    def __post_init__(self) -> None:
        """Makes plain, immutable values of the options, so that descriptions compare and hash."""
        for name, value in vars(self).items():
            object.__setattr__(self, name, _plain(value))

    @abc.abstractmethod
    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the shape that the layer makes of ``input_shape``.

        Raises:
          TypeError: an option is not of its type.
          ValueError: ``input_shape`` does not fit; the message names the layer and the rule.
        """

    @abc.abstractmethod
    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> nnx.Module:
        """Returns the module for inputs of ``(batch, *input_shape)``.

        Args:
          input_shape: The shape of one example.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module, whose
            parameters are ``jax.ShapeDtypeStruct`` (what ``nnx.eval_shape`` returns).

        Raises:
          TypeError: an option is not of its type.
          ValueError: ``input_shape`` does not fit; the message names the layer and the rule.
        """

    def explain(self, input_shape: Sequence[int]) -> str:
        """Returns the formula behind the output shape with its numbers, where there is one."""
        return ""

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the layers that compute, in order; a layer without children is its own step."""
        shape = shapes.check_shape(input_shape)
        yield Step((), self, shape, self.output_shape(shape))

    @property
    def kind(self) -> str:
        """The name of this kind of layer, from which its children's names are made."""
        return type(self).__name__

    def __repr__(self) -> str:
        """Returns the call that makes this description."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every kind is a dataclass
        values = {field.name: getattr(self, field.name) for field in fields}
        parts = [repr(values[field.name]) for field in fields if not field.kw_only]
        for field in fields:
            if field.kw_only and values[field.name] is not field.default:
                parts.append(f"{field.name}={values[field.name]!r}")
        return f"{self.kind}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class OpLayer(Layer):
    """A layer without parameters: the op of its own name, with its fields as options."""

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Function:
        """Returns a module that calls the op."""
        self.output_shape(input_shape)
        return modules.Function(getattr(ops, self.kind), **vars(self))


@dataclass(frozen=True, repr=False)
class function(Layer):
    """A plain function of an array, such as ``jax.nn.relu``; it keeps the batch axis.

    ``serial`` makes this of every plain function that it is given. A function defined at the
    top of a module is best: two builds with one lambda written twice count as two models.

    >>> function(jax.nn.relu).output_shape((26, 26, 64))
    (26, 26, 64)

    Attributes:
      function: Maps ``(batch, *input_shape)`` to ``(batch, *output_shape)``.
    """

    function: Callable[[jax.Array], jax.Array]

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the shape that the function gives one example, found by abstract evaluation."""
        batch = 7  # any number; a rare one, so that a function that changes it is found out
        shape = (batch, *shapes.check_shape(input_shape))
        result = jax.eval_shape(self.function, jax.ShapeDtypeStruct(shape, jnp.float32))
        output = getattr(result, "shape", None)
        if output is None:
            raise TypeError(f"a function used as a layer must return one array. Received: {result}")
        if output[:1] != (batch,):
            raise ValueError(
                "a function used as a layer must keep the batch axis. "
                f"Received: {self.kind} maps shape {shape} to {output}"
            )
        return tuple(output[1:])

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Function:
        """Returns a module that calls the function."""
        return modules.Function(self.function)

    @property
    def kind(self) -> str:
        """The function's name, as far as it has one that can be a name."""
        wrapped = getattr(self.function, "func", self.function)  # of a functools.partial
        name = getattr(wrapped, "__name__", "function").strip("<>")
        return name if name.isidentifier() else "function"

    def __repr__(self) -> str:
        """Returns the function's name."""
        return self.kind


def as_layer(layer: Layer | Callable[[jax.Array], jax.Array]) -> Layer:
    """Returns ``layer``, or the description of a plain function.

    Raises:
      TypeError: it is neither.
    """
    if isinstance(layer, Layer):
        return layer
    if not callable(layer) or isinstance(layer, type | nnx.Module):
        given = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
        raise TypeError(
            "a layer must be a description such as conv(64, 3) or a plain function of an array. "
            f"Received: {given}"
        )
    return function(layer)


@contextmanager
def located(name: str) -> Iterator[None]:
    """Puts ``name`` before the message of an error, so that nested names make up a path.

    An error that is neither a TypeError nor a ValueError is not ours: it gets the path as a note.
    """
    try:
        yield
    except Exception as error:
        inner, message = getattr(error, "location", ("", str(error)))
        path = f"{name}/{inner}" if inner else name
        if not isinstance(error, TypeError | ValueError):  # a user's function's own
            if inner:
                error.__notes__.pop()
            error.add_note(f"in {path}")
            vars(error)["location"] = path, message
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        located = kind(f"{path}: {message}")
        vars(located)["location"] = path, message  # for the level above
        raise located from error


def check_per_axis(layer: Layer, *names: str, minimum: int = 1) -> None:
    """Checks options that are one whole number or several, before their number is known.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is below `minimum`.
    """
    for name in names:
        value = getattr(layer, name)
        shapes.per_axis(name, value, _count(value), minimum=minimum)


def check_padding(layer: Layer, words: Sequence[str] = shapes.PADDINGS) -> None:
    """Checks the field ``padding`` before the number of spatial axes is known.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number below 0, or none of the words.
    """
    padding = getattr(layer, "padding")  # noqa: B009  # not every layer has it
    shapes.padding_of(padding, _count(padding), words=words)


def check_flags(layer: Layer, *names: str) -> None:
    """Checks options that are true or false.

    Raises:
      TypeError: one is something else.
    """
    for name in names:
        arguments.check_flag(name, getattr(layer, name))


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple) else 1


def _plain(value: Any) -> Any:
    """Returns lists as tuples, and numbers and arrays of any library as Python's."""
    value = arguments.as_python(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value

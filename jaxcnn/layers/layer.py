"""The base class of every description of a layer, and plain functions as layers."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers import pickling
from jaxcnn.modules.initializers import only_shapes
from jaxcnn.modules.linear import check_rngs
from jaxcnn.other_names import Explained
from jaxcnn.shapes.receptive import Fields, pointwise_fields, window_fields


@dataclass(frozen=True)
class Step:
    """One layer on the path of an input through a network.

    Attributes:
      path: The names of the layer and of those that contain it, from the outside.
      layer: The description of the layer.
      input_shape, output_shape: The shapes of one example before and after it.
      receptive_field: One :class:`jaxcnn.shapes.ReceptiveField` per spatial axis of the output, in
        positions of the network's input; ``None`` where it is not known.
      inputs: The paths of the steps whose outputs it reads; ``()`` is the network's input.
      saved: Those of ``"input"`` and ``"output"`` that training keeps for its gradient.
    """

    path: tuple[str, ...]
    layer: "Layer"
    input_shape: shapes.Shape
    output_shape: shapes.Shape
    receptive_field: Fields
    _: dataclasses.KW_ONLY
    inputs: tuple[tuple[str, ...], ...] = ((),)
    saved: tuple[str, ...] = ()


class Layer(Explained, abc.ABC):
    """A description of a layer; shapes are without the batch.

    To add your own kind of layer, write a frozen dataclass with ``output_shape`` and ``build``.

    Attributes:
      saved: Those of ``"input"`` and ``"output"`` that the gradient of the layer reads, so that
        training keeps them until the backward pass.
    """

    saved: ClassVar[tuple[str, ...]] = ("input",)

    def __post_init__(self) -> None:
        """Convert the options to plain, immutable values, so that descriptions can be hashed."""
        for name, value in vars(self).items():
            object.__setattr__(self, name, _plain(value))

    @abc.abstractmethod
    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape of one output for inputs of ``input_shape``.

        Raises:
          TypeError: an option has the wrong type.
          ValueError: ``input_shape`` does not fit; the message names the layer and the rule.
        """

    @abc.abstractmethod
    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module for inputs of ``(batch, *input_shape)``.

        Args:
          input_shape: The shape of one example.
          rngs: Source of the keys for the parameters.

        Raises:
          TypeError: an option has the wrong type.
          ValueError: ``input_shape`` does not fit; the message names the layer and the rule.
        """

    def abstract(self, input_shape: Sequence[int]) -> nnx.Module:
        """Return the module with a ``jax.ShapeDtypeStruct`` in place of every array.

        It allocates nothing: use it to count parameters, or to load saved weights into.

        >>> from jaxcnn.layers import dense
        >>> dense(10).abstract((576,)).kernel.shape
        (576, 10)

        Args:
          input_shape: The shape of one example.

        Raises:
          TypeError: an option has the wrong type.
          ValueError: ``input_shape`` does not fit; the message names the layer and the rule.
        """
        with only_shapes():
            module: nnx.Module = nnx.eval_shape(lambda: self.build(input_shape, rngs=nnx.Rngs(0)))
        return module

    def explain(self, input_shape: Sequence[int]) -> str:
        """Return the formula of the output shape with its numbers, or an empty string."""
        return ""

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return the number of multiplications by a kernel for one example, each with its addition.

        Zero for layers without a kernel: normalization, activations and pools do not count, as in
        the published numbers of networks.
        """
        return 0

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the receptive field of an output along each spatial axis of the output.

        This default is right for layers that compute every position from that position alone, such
        as activations; normalization counts as such. Override it in a layer that keeps the spatial
        axes and mixes positions.

        Returns:
          A tuple of :class:`jaxcnn.shapes.ReceptiveField`, or ``None`` where it is not known.
        """
        *sizes, _ = shapes.check_shape(input_shape)
        *output_sizes, _ = self.output_shape(input_shape)
        if output_sizes in ([], sizes):
            return pointwise_fields(len(output_sizes))
        return None

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the layers that compute, in order; a layer without children yields itself."""
        shape = shapes.check_shape(input_shape)
        fields = self.receptive_field(shape)
        yield Step((), self, shape, self.output_shape(shape), fields, saved=self.saved)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let ``pickle`` and ``copy`` store functions by name."""
        fields = {name: pickling.with_names(value) for name, value in vars(self).items()}
        return pickling.restore, (type(self), fields)

    @property
    def kind(self) -> str:
        """The name of this kind of layer, from which the names of children are made."""
        return type(self).__name__

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every kind is a dataclass
        values = {field.name: getattr(self, field.name) for field in fields}
        parts = [repr(values[field.name]) for field in fields if not field.kw_only]
        for field in fields:
            if field.kw_only and not is_default(field, values[field.name]):
                parts.append(f"{field.name}={values[field.name]!r}")
        return f"{self.kind}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class OpLayer(Layer):
    """A layer without parameters: one op, with the layer's fields as its options."""

    op: ClassVar[Callable[..., jax.Array]]

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Function:
        """Return a module that calls the op."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        return modules.Function(self.op, **vars(self))


class WindowLayer(Layer):
    """A layer that moves a window over the spatial axes: a convolution or a pool."""

    @abc.abstractmethod
    def windows(self, input_shape: Sequence[int]) -> shapes.Windows:
        """Return the window with every option resolved for inputs of ``input_shape``."""

    def explain(self, input_shape: Sequence[int]) -> str:
        """Return the formula of each spatial axis with its numbers."""
        return self.windows(input_shape).explain()

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the receptive field of one window along each spatial axis."""
        return window_fields(self.windows(input_shape))


@dataclass(frozen=True, repr=False)
class function(Layer):
    """A plain function of an array, such as ``jax.nn.relu``; it must keep the batch axis.

    ``serial`` wraps every plain function in this class. Prefer functions defined at the top level
    of a module: a lambda written twice makes two builds that do not compare equal, and so two
    compilations.

    >>> function(jax.nn.relu).output_shape((26, 26, 64))
    (26, 26, 64)

    Attributes:
      function: Maps ``(batch, *input_shape)`` to ``(batch, *output_shape)``.
    """

    function: Callable[[jax.Array], jax.Array]

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the function, with the saved arrays of the activations whose gradient is known."""
        (step,) = super().walk(input_shape)
        known = self.function in _GRADIENT_FROM_OUTPUT
        yield dataclasses.replace(step, saved=("output",)) if known else step

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape of the function's result for one example, by abstract evaluation."""
        batch = 7  # a rare number, so that a function that changes the batch axis is detected
        shape = (batch, *shapes.check_shape(input_shape))
        result = jax.eval_shape(self.function, jax.ShapeDtypeStruct(shape, jnp.float32))
        output = getattr(result, "shape", None)
        if output is None:
            raise TypeError(
                f"function must return one array to be used as a layer. Received: {result}"
            )
        if output[:1] != (batch,):
            raise ValueError(
                "function must keep the batch axis to be used as a layer. "
                f"Received: {self.kind} maps shape {shape} to {output}"
            )
        return tuple(output[1:])

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Function:
        """Return a module that calls the function."""
        check_rngs(rngs)
        return modules.Function(self.function)

    @property
    def kind(self) -> str:
        """The function's name if it is an identifier, or ``"function"``."""
        wrapped = getattr(self.function, "func", self.function)  # of a functools.partial
        name = getattr(wrapped, "__name__", "function").strip("<>")
        return name if name.isidentifier() else "function"

    def __repr__(self) -> str:
        """Return the function's name."""
        return self.kind


# Their gradient is a function of their output, which the next layer mostly keeps already.
_GRADIENT_FROM_OUTPUT = frozenset(
    {jax.nn.relu, jax.nn.relu6, jax.nn.sigmoid, jax.nn.softmax, jax.nn.tanh, jnp.tanh}
)


@functools.lru_cache(maxsize=1_000)  # networks repeat the same layers
def abstract_once(layer: Layer, input_shape: shapes.Shape) -> nnx.Module:
    """Return :meth:`Layer.abstract`, kept; for a layer without arrays an empty module."""
    if isinstance(layer, OpLayer | function):
        return nnx.Module()
    return layer.abstract(input_shape)


def as_layer(layer: Layer | Callable[[jax.Array], jax.Array], name: str = "a layer") -> Layer:
    """Return `layer`, or the description of a plain function.

    Args:
      layer: A description or a function.
      name: Name of the argument, for the error.

    Raises:
      TypeError: ``layer`` is neither.
    """
    if isinstance(layer, Layer):
        return layer
    if callable(layer) and not isinstance(layer, type | nnx.Module):
        return function(layer)
    given = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
    hints: tuple[tuple[Any, str], ...] = (
        (type, ". Call it, with its options"),
        (nnx.Module, ", built already: compose descriptions, or modules in a module of your own"),
        (str, ". Give the function itself, such as jax.nn.relu"),
        (list | tuple, ". Give layers one by one, serial(*layers)"),
    )
    hint = next((text for kind, text in hints if isinstance(layer, kind)), "")
    raise TypeError(
        f"{name} must be a description such as conv(64, 3) or a plain function of an array. "
        f"Received: {given}{hint}"
    )


def is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a field of a description has the value that it has when it is not given."""
    return type(value) is type(field.default) and bool(value == field.default)


def _plain(value: Any) -> Any:
    """Return lists as tuples, and numbers and arrays of any library as Python's."""
    value = arguments.as_python(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value

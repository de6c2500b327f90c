"""Descriptions of layers, which know how shapes flow before anything is built.

A description is an immutable dataclass, in lower case because it is used as a function:
``conv(64, 3)``. ``serial`` composes descriptions, and plain functions of an array
(``jax.nn.relu``), into larger ones; ``build`` makes the Flax module.
"""

import abc
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import modules, ops, shapes
from jaxcnn.modules import Initializer
from jaxcnn.ops.conv import check_groups
from jaxcnn.ops.drop import check_rate


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
        parts = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every kind is a dataclass
            value = getattr(self, field.name)
            if not field.kw_only:
                parts.append(repr(value))
            elif value is not field.default:
                parts.append(f"{field.name}={value!r}")
        return f"{self.kind}({', '.join(parts)})"


@dataclass(frozen=True, repr=False)
class conv(Layer):
    """A convolution with as many spatial axes as its input; see :func:`jaxcnn.ops.conv`.

    >>> conv(64, 3).output_shape((28, 28, 1))
    (26, 26, 64)
    >>> conv(64, 3, strides=2, padding="SAME")
    conv(64, 3, strides=2, padding='SAME')

    Attributes:
      features: Output channels, at least 1.
      kernel_size: An int or one per spatial axis, at least 1.
      strides, padding, dilation, groups, flip_kernel, precision: As in :func:`jaxcnn.ops.conv`.
      use_bias, kernel_init, bias_init, dtype, param_dtype: As in :class:`jaxcnn.modules.Conv`.
    """

    features: int
    kernel_size: shapes.PerAxis
    _: KW_ONLY
    strides: shapes.PerAxis = 1
    padding: shapes.Padding = "VALID"
    dilation: shapes.PerAxis = 1
    groups: int = 1
    flip_kernel: bool = False
    use_bias: bool = True
    kernel_init: Initializer = modules.he_normal
    bias_init: Initializer = modules.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Any = None

    def __post_init__(self) -> None:
        """Checks what can be checked before the input's shape is known."""
        shapes.whole("features", self.features, least=1)
        shapes.whole("groups", self.groups, least=1)
        _check_per_axis(self, "kernel_size", "strides", "dilation")

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(*output_sizes, features)``; see :func:`jaxcnn.shapes.conv_shape`."""
        shape = shapes.conv_shape(
            input_shape,
            self.features,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
        )
        check_groups(self.groups, input_shape[-1], self.features)
        return shape

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Conv:
        """Returns a :class:`jaxcnn.modules.Conv`."""
        self.output_shape(input_shape)
        kernel_size = shapes.per_axis("kernel_size", self.kernel_size, len(input_shape) - 1)
        options = vars(self) | {"kernel_size": kernel_size}
        return modules.Conv(input_shape[-1], rngs=rngs, **options)

    def explain(self, input_shape: Sequence[int]) -> str:
        """Returns the formula of each spatial axis with its numbers."""
        return shapes.explain(
            input_shape,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
        )


@dataclass(frozen=True, repr=False)
class dense(Layer):
    """A dense layer; see :func:`jaxcnn.ops.dense`.

    >>> dense(10).output_shape((576,))
    (10,)

    Attributes:
      features: Outputs per example, at least 1.
      use_bias, kernel_init, bias_init, dtype, param_dtype: As in :class:`jaxcnn.modules.Dense`.
    """

    features: int
    _: KW_ONLY
    use_bias: bool = True
    kernel_init: Initializer = modules.he_normal
    bias_init: Initializer = modules.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Checks the number of features."""
        shapes.whole("features", self.features, least=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(features,)``; the input must be flat."""
        if len(shapes.check_shape(input_shape)) != 1:
            raise ValueError(
                f"dense needs flat examples, (features,). Received: input_shape={input_shape!r}. "
                "Put flatten() before it, or use conv(features, 1) at every position."
            )
        return (self.features,)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Dense:
        """Returns a :class:`jaxcnn.modules.Dense`."""
        self.output_shape(input_shape)
        return modules.Dense(input_shape[0], rngs=rngs, **vars(self))


@dataclass(frozen=True, repr=False)
class max_pool(Layer):
    """The largest value of each window; see :func:`jaxcnn.ops.max_pool`.

    >>> max_pool(2).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window; ``None`` means the window's own size.
      padding, dilation, ceil_mode: As in :func:`jaxcnn.ops.max_pool`.
    """

    window: shapes.PerAxis
    _: KW_ONLY
    strides: shapes.PerAxis | None = None
    padding: shapes.Padding = "VALID"
    dilation: shapes.PerAxis = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        """Checks what can be checked before the input's shape is known."""
        names = (
            ("window", "dilation") if self.strides is None else ("window", "strides", "dilation")
        )
        _check_per_axis(self, *names)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``(*output_sizes, channels)``; see :func:`jaxcnn.shapes.pool_shape`."""
        return shapes.pool_shape(input_shape, **self._window_options())

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Function:
        """Returns a module that calls the pool of the same name in :mod:`jaxcnn.ops`."""
        self.output_shape(input_shape)
        options = {name: _hashable(value) for name, value in vars(self).items()}
        return modules.Function(getattr(ops, self.kind), **options)

    def explain(self, input_shape: Sequence[int]) -> str:
        """Returns the formula of each spatial axis with its numbers."""
        return shapes.explain(input_shape, **self._window_options())

    def _window_options(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(max_pool)}


@dataclass(frozen=True, repr=False)
class avg_pool(max_pool):
    """The mean of each window; see :func:`jaxcnn.ops.avg_pool`.

    >>> avg_pool(2).output_shape((13, 13, 64))
    (6, 6, 64)

    Attributes:
      window, strides, padding, dilation, ceil_mode: As in :class:`max_pool`.
      count_include_pad: Whether padding counts in the divisor.
    """

    _: KW_ONLY
    count_include_pad: bool = False


@dataclass(frozen=True, repr=False)
class flatten(Layer):
    """Lays each example out as one row; see :func:`jaxcnn.ops.flatten`.

    >>> flatten().output_shape((3, 3, 64))
    (576,)
    """

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the product of the sizes."""
        return shapes.flatten(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Function:
        """Returns a module that calls :func:`jaxcnn.ops.flatten`."""
        self.output_shape(input_shape)
        return modules.Function(ops.flatten)


@dataclass(frozen=True, repr=False)
class dropout(Layer):
    """Dropout while training; see :func:`jaxcnn.ops.dropout`.

    >>> dropout(0.5).output_shape((576,))
    (576,)

    Attributes:
      rate: Probability of dropping a value, in [0, 1).
    """

    rate: float

    def __post_init__(self) -> None:
        """Checks the rate."""
        check_rate(self.rate)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns ``input_shape``."""
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Dropout:
        """Returns a :class:`jaxcnn.modules.Dropout`."""
        return modules.Dropout(self.rate)


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


@dataclass(frozen=True, repr=False, init=False)
class serial(Layer):
    """Layers one after the other; children are named by kind and number, or by keyword.

    >>> net = serial(conv(8, 3), jax.nn.relu, max_pool(2), flatten(), head=dense(10))
    >>> net.output_shape((28, 28, 1))
    (10,)
    >>> [name for name, _ in net.children]
    ['conv_1', 'relu_1', 'max_pool_1', 'flatten_1', 'head']

    Attributes:
      children: ``(name, layer)`` pairs in order.
    """

    children: tuple[tuple[str, Layer], ...]

    def __init__(
        self,
        *layers: Layer | Callable[[jax.Array], jax.Array],
        **named_layers: Layer | Callable[[jax.Array], jax.Array],
    ) -> None:
        """Composes ``layers`` and then ``named_layers``.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
          ValueError: there is no layer, or a name is taken.
        """
        unnamed = [_as_layer(layer) for layer in layers]
        counts: Counter[str] = Counter()
        children = []
        for layer in unnamed:
            counts[layer.kind] += 1
            children.append((f"{layer.kind}_{counts[layer.kind]}", layer))
        taken = {name for name, _ in children}
        for name, named in named_layers.items():
            if name in taken or hasattr(modules.Serial, name) or name == "names":
                raise ValueError(f"the layer name {name!r} is taken; choose another")
            children.append((name, _as_layer(named)))
        if not children:
            raise ValueError("serial needs at least one layer. Received: none")
        object.__setattr__(self, "children", tuple(children))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the last layer's output shape; an error names the layer that does not fit."""
        *_, last = self.walk(input_shape)
        return last.output_shape

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Serial:
        """Returns a :class:`jaxcnn.modules.Serial` of the children."""
        shape = shapes.check_shape(input_shape)
        built = {}
        for name, layer in self.children:
            with _located(name):
                built[name] = layer.build(shape, rngs=rngs)
                shape = layer.output_shape(shape)
        return modules.Serial(**built)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of each child, their paths beginning with its name."""
        shape = shapes.check_shape(input_shape)
        for name, layer in self.children:
            with _located(name):
                for step in layer.walk(shape):
                    yield step._replace(path=(name, *step.path))
            shape = step.output_shape

    def __repr__(self) -> str:
        """Returns the call that makes this description, without the names it finds itself."""
        parts = []
        for name, layer in self.children:
            numbered = name.rpartition("_")[0] == layer.kind
            parts.append(repr(layer) if numbered else f"{name}={layer!r}")
        return f"serial({', '.join(parts)})"


def _as_layer(layer: Layer | Callable[[jax.Array], jax.Array]) -> Layer:
    if isinstance(layer, Layer):
        return layer
    if not callable(layer) or isinstance(layer, type | nnx.Module):
        raise TypeError(
            "a layer must be a description such as conv(64, 3) or a plain function of an array. "
            f"Received: {layer!r}"
        )
    return function(layer)


@contextmanager
def _located(name: str) -> Iterator[None]:
    """Puts ``name`` before the message of an error, so that nested names make up a path."""
    try:
        yield
    except (TypeError, ValueError) as error:
        path, message = getattr(error, "location", ("", str(error)))
        path = f"{name}/{path}" if path else name
        kind = ValueError if isinstance(error, ValueError) else TypeError
        located = kind(f"{path}: {message}")
        vars(located)["location"] = path, message  # for the level above
        raise located from error


def _check_per_axis(layer: Layer, *names: str) -> None:
    for name in names:
        value = getattr(layer, name)
        shapes.per_axis(name, value, len(value) if isinstance(value, Sequence) else 1)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value

"""Layers made of layers: one after the other, repeated, or recomputed in the backward pass."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import jax
from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.layer import Layer, Step, as_layer
from jaxcnn.modules.linear import check_rngs
from jaxcnn.shapes.receptive import Fields, chain_fields, pointwise_fields

Module = TypeVar("Module", bound=nnx.Module)
LayerLike: TypeAlias = Layer | Callable[[jax.Array], jax.Array]
Children: TypeAlias = tuple[tuple[str, Layer], ...]


class Composite(Layer):
    """A layer with children, whose last step has its output shape and receptive field.

    The module that it builds keeps it as ``description``, and the shape of one example that it was
    built for as ``input_shape``; the modules within that one do not.
    """

    def _describe(self, module: Module, input_shape: Sequence[int]) -> Module:
        """Store this description in the module that it built, and return the module."""
        for _, child in nnx.iter_children(module):
            vars(child).pop("description", None)
            vars(child).pop("input_shape", None)
        vars(module)["description"] = self
        vars(module)["input_shape"] = shapes.check_shape(input_shape)
        return module

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape of the last step; an error names the layer that does not fit."""
        *_, last = self.walk(input_shape)
        return last.output_shape

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return the sum over all steps."""
        return sum(step.layer.multiply_adds(step.input_shape) for step in self.walk(input_shape))

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the receptive field of the last step."""
        *_, last = self.walk(input_shape)
        return last.receptive_field


# Attributes of the modules, and the first arguments of their class and of its metaclass.
_RESERVED = ("names", "call_order", "combine", "maps", "description", "input_shape", "self", "cls")


@dataclass(frozen=True, repr=False, init=False)
class serial(Composite):
    """Layers one after the other; children are named by kind and number, or by keyword.

    >>> from jaxcnn.layers import conv, dense, flatten, max_pool
    >>> net = serial(conv(8, 3), jax.nn.relu, max_pool(2), flatten(), head=dense(10))
    >>> net.output_shape((28, 28, 1))
    (10,)
    >>> [name for name, _ in net.children]
    ['conv_1', 'relu_1', 'max_pool_1', 'flatten_1', 'head']

    Attributes:
      children: ``(name, layer)`` pairs in order.
    """

    children: Children

    def __init__(
        self,
        /,
        *layers: LayerLike,
        **named_layers: LayerLike,
    ) -> None:
        """Compose ``layers``, followed by ``named_layers``.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
          ValueError: there is no layer, or a name is taken.
        """
        object.__setattr__(self, "children", name_children(layers, named_layers))

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Serial:
        """Return a :class:`jaxcnn.modules.Serial` of the children."""
        check_rngs(rngs)
        shape = shapes.check_shape(input_shape)
        built = {}
        for name, layer in self.children:
            with error_path(name):
                built[name] = layer.build(shape, rngs=rngs)
                shape = layer.output_shape(shape)
        return self._describe(modules.Serial(**built), input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of each child; their paths begin with its name."""
        shape = shapes.check_shape(input_shape)
        fields: Fields = pointwise_fields(len(shape) - 1)
        source: tuple[str, ...] = ()
        for name, layer in self.children:
            last = yield from walk_child(name, layer, shape, fields, source)
            shape, fields, source = last.output_shape, last.receptive_field, last.path

    def __repr__(self) -> str:
        """Return the call that makes this description, without the generated names."""
        return f"serial({format_children(self.children)})"


def repeat(count: int, layer: LayerLike) -> serial:
    """Return ``count`` copies of a layer in a row, each with its own parameters.

    >>> from jaxcnn.layers import conv
    >>> repeat(2, conv(64, 3))
    serial(conv(64, 3), conv(64, 3))

    Args:
      count: Number of copies, at least 1.
      layer: A description or a plain function.

    Raises:
      TypeError: ``count`` is not an integer, or ``layer`` is not a layer.
      ValueError: ``count`` is below 1.
    """
    return serial(*[layer] * arguments.check_integer("count", count, minimum=1))


class Wrapper(Layer):
    """A layer around another, with its name, shapes and values."""

    body: Layer

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the output shape of the layer."""
        return self.body.output_shape(input_shape)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return the number of the layer."""
        return self.body.multiply_adds(input_shape)

    def explain(self, input_shape: Sequence[int]) -> str:
        """Return the formula of the layer."""
        return self.body.explain(input_shape)

    def receptive_field(self, input_shape: Sequence[int]) -> Fields:
        """Return the receptive field of the layer."""
        return self.body.receptive_field(input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the layer."""
        return self.body.walk(input_shape)

    @property
    def kind(self) -> str:
        """The kind of the layer, so that wrapping a layer does not change its name."""
        return self.body.kind


@dataclass(frozen=True, repr=False, init=False)
class remat(Wrapper):
    """A layer whose activations are recomputed in the backward pass, to save memory.

    Name, shapes, parameters and values are those of the layer; see :func:`jaxcnn.modules.remat`.
    Wrap blocks, not single layers: the input of each wrapped layer is kept.

    >>> from jaxcnn.layers import conv, residual
    >>> block = residual(serial(conv(64, 3, padding="SAME"), jax.nn.relu))
    >>> net = serial(remat(block), remat(block))
    >>> [name for name, _ in net.children], net.output_shape((28, 28, 64))
    (['residual_1', 'residual_2'], (28, 28, 64))

    Attributes:
      body: The layer to recompute.
    """

    body: Layer

    def __init__(self, body: LayerLike) -> None:
        """Wrap the layer.

        Raises:
          TypeError: ``body`` is neither a layer nor a plain function.
        """
        object.__setattr__(self, "body", as_layer(body))

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module of the layer; its class is a subclass of the layer's module class."""
        return modules.remat(self.body.build(input_shape, rngs=rngs))

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the layer, of which only the first saves its input."""
        saved: tuple[str, ...] = ("input",)
        for step in self.body.walk(input_shape):
            yield replace(step, saved=saved)
            saved = ()

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        return f"remat({self.body!r})"


@contextmanager
def error_path(name: str) -> Iterator[None]:
    """Put ``name`` before the message of an error, so that nested names form a path.

    An error that is neither a TypeError nor a ValueError comes from a user's function: it keeps its
    message and gets the path as a note.
    """
    try:
        yield
    except Exception as error:
        inner, message = getattr(error, "location", ("", str(error)))
        path = f"{name}/{inner}" if inner else name
        if not isinstance(error, TypeError | ValueError):
            if inner:
                error.__notes__.pop()
            error.add_note(f"in {path}")
            vars(error)["location"] = path, message
            raise
        error_type = ValueError if isinstance(error, ValueError) else TypeError
        with_path = error_type(f"{path}: {message}")
        vars(with_path)["location"] = path, message  # for the level above
        raise with_path from error


def walk_child(
    name: str,
    layer: Layer,
    input_shape: shapes.Shape,
    fields: Fields,
    source: tuple[str, ...] = (),
) -> Generator[Step, None, Step]:
    """Yield the steps of a child under its name, and return the last one.

    Args:
      name: Name of the child.
      layer: The child.
      input_shape: The shape of one example that reaches the child.
      fields: The receptive field of the child's input.
      source: The path of the step that the child's input is from; ``()`` for the network's input.
    """
    with error_path(name):
        for inner in layer.walk(input_shape):
            step = replace(
                inner,
                path=(name, *inner.path),
                receptive_field=chain_fields(fields, inner.receptive_field),
                inputs=tuple((name, *path) if path else source for path in inner.inputs),
            )
            yield step
    return step


def name_children(layers: Sequence[LayerLike], named_layers: Mapping[str, LayerLike]) -> Children:
    """Return the children with their names: kind and number, or the keyword."""
    children: dict[str, Layer] = dict(_numbered(map(as_layer, layers)))
    for name, named in named_layers.items():
        if name in children or hasattr(modules.Serial, name) or name in _RESERVED:
            raise ValueError(f"the layer name {name!r} is taken; choose another")
        children[name] = as_layer(named)
    if not children:
        raise ValueError("a composition needs at least one layer. Received: none")
    return tuple(children.items())


def format_children(children: Children) -> str:
    """Return the children as arguments: by keyword from the first that has its own name."""
    parts = [f"{name}={layer!r}" for name, layer in children]
    for index, (name, _) in enumerate(_numbered(layer for _, layer in children)):
        if name != children[index][0]:
            break
        parts[index] = repr(children[index][1])
    return ", ".join(parts)


def _numbered(layers: Iterable[Layer]) -> Iterator[tuple[str, Layer]]:
    counts: Counter[str] = Counter()
    for layer in layers:
        counts[layer.kind] += 1
        yield f"{layer.kind}_{counts[layer.kind]}", layer

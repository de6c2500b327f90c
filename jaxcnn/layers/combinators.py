"""Layers made of layers."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax
from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.layer import Layer, Step, as_layer, located

LayerLike: TypeAlias = Layer | Callable[[jax.Array], jax.Array]
Children: TypeAlias = tuple[tuple[str, Layer], ...]


@dataclass(frozen=True, repr=False, init=False)
class serial(Layer):
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
        *layers: LayerLike,
        **named_layers: LayerLike,
    ) -> None:
        """Composes ``layers`` and then ``named_layers``.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
          ValueError: there is no layer, or a name is taken.
        """
        object.__setattr__(self, "children", _name(layers, named_layers))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the last layer's output shape; an error names the layer that does not fit."""
        *_, last = self.walk(input_shape)
        return last.output_shape

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Serial:
        """Returns a :class:`jaxcnn.modules.Serial` of the children."""
        shape = shapes.check_shape(input_shape)
        built = {}
        for name, layer in self.children:
            with located(name):
                built[name] = layer.build(shape, rngs=rngs)
                shape = layer.output_shape(shape)
        return modules.Serial(**built)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of each child, their paths beginning with its name."""
        shape = shapes.check_shape(input_shape)
        for name, layer in self.children:
            shape = yield from _walk_child(name, layer, shape)

    def __repr__(self) -> str:
        """Returns the call that makes this description, without the names it finds itself."""
        return f"serial({_arguments(self.children)})"


@dataclass(frozen=True, repr=False, init=False)
class residual(Layer):
    """The sum of a body and a shortcut past it: y = body(x) + shortcut(x) (He et al., 2016).

    >>> from jaxcnn.layers import conv
    >>> block = residual(conv(64, 3, strides=2, padding="SAME"), conv(64, 1, strides=2))
    >>> block.output_shape((28, 28, 32))
    (14, 14, 64)

    Attributes:
      body: What is computed.
      shortcut: What is added; ``None`` adds the input itself.
    """

    body: Layer
    shortcut: Layer | None

    def __init__(self, body: LayerLike, shortcut: LayerLike | None = None) -> None:
        """Composes the two.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
        """
        object.__setattr__(self, "body", as_layer(body))
        object.__setattr__(self, "shortcut", None if shortcut is None else as_layer(shortcut))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the shape that body and shortcut share; an error says both."""
        *_, last = self.walk(input_shape)
        return last.output_shape

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Residual:
        """Returns a :class:`jaxcnn.modules.Residual`."""
        self.output_shape(input_shape)
        body = self.body.build(input_shape, rngs=rngs)
        if self.shortcut is None:
            return modules.Residual(body)
        return modules.Residual(body, self.shortcut.build(input_shape, rngs=rngs))

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of the body, those of the shortcut, and the sum."""
        shape = shapes.check_shape(input_shape)
        body = yield from _walk_child("body", self.body, shape)
        if self.shortcut is None:
            if body != shape:
                raise ValueError(
                    f"residual adds the body's output {body} to the input {shape}, which must have "
                    "the same shape. Keep it in the body (padding='SAME'), or give a shortcut that "
                    f"changes it alike{_shortcut(shape, body)}."
                )
        else:
            shortcut = yield from _walk_child("shortcut", self.shortcut, shape)
            if body != shortcut:
                raise ValueError(
                    "residual adds outputs that must have the same shape. "
                    f"Received: body {body}, shortcut {shortcut} for input_shape={shape}"
                )
        yield Step(("add",), _Combine("add"), shape, body)

    def __repr__(self) -> str:
        """Returns the call that makes this description."""
        shortcut = "" if self.shortcut is None else f", {self.shortcut!r}"
        return f"residual({self.body!r}{shortcut})"


@dataclass(frozen=True, repr=False, init=False)
class parallel(Layer):
    """Layers that read the same input side by side, and whose outputs are combined.

    >>> from jaxcnn.layers import conv
    >>> parallel(conv(16, 1), conv(32, 3, padding="SAME")).output_shape((28, 28, 8))
    (28, 28, 48)

    Attributes:
      children: ``(name, layer)`` pairs in order; names are as in :class:`serial`.
      combine: ``"concat"`` (along the channels), ``"add"``, or ``"multiply"``, where an axis of
        size 1 serves for all positions of the others'.
    """

    children: Children
    combine: str

    def __init__(
        self, *branches: LayerLike, combine: str = "concat", **named_branches: LayerLike
    ) -> None:
        """Composes ``branches`` and then ``named_branches``.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
          ValueError: there is no branch, a name is taken, or ``combine`` is another word.
        """
        arguments.check_known("combine", combine, _COMBINED_SHAPES)
        object.__setattr__(self, "children", _name(branches, named_branches))
        object.__setattr__(self, "combine", combine)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the combined shape; an error names the branch that does not fit."""
        *_, last = self.walk(input_shape)
        return last.output_shape

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Parallel:
        """Returns a :class:`jaxcnn.modules.Parallel` of the branches."""
        self.output_shape(input_shape)
        built = {name: layer.build(input_shape, rngs=rngs) for name, layer in self.children}
        return modules.Parallel(combine=self.combine, **built)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of each branch, and what combines them."""
        shape = shapes.check_shape(input_shape)
        outputs = []
        for name, layer in self.children:
            output = yield from _walk_child(name, layer, shape)
            outputs.append((name, output))
        combined = _COMBINED_SHAPES[self.combine](outputs)
        yield Step((self.combine,), _Combine(self.combine), shape, combined)

    def __repr__(self) -> str:
        """Returns the call that makes this description."""
        combine = "" if self.combine == "concat" else f", combine={self.combine!r}"
        return f"parallel({_arguments(self.children)}{combine})"


@dataclass(frozen=True, repr=False, init=False)
class remat(Layer):
    """A layer whose activations are computed again in the backward pass, to save memory.

    It is the layer itself in all else: name, shapes, parameters, values; see
    :func:`jaxcnn.modules.remat`. Wrap blocks, not single layers: what is kept of each is its input.

    >>> from jaxcnn.layers import conv
    >>> block = residual(serial(conv(64, 3, padding="SAME"), jax.nn.relu))
    >>> net = serial(remat(block), remat(block))
    >>> [name for name, _ in net.children], net.output_shape((28, 28, 64))
    (['residual_1', 'residual_2'], (28, 28, 64))

    Attributes:
      body: What is computed twice.
    """

    body: Layer

    def __init__(self, body: LayerLike) -> None:
        """Wraps the layer.

        Raises:
          TypeError: it is neither a layer nor a plain function.
        """
        object.__setattr__(self, "body", as_layer(body))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Returns the layer's output shape."""
        return self.body.output_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> nnx.Module:
        """Returns the layer's module, of a subclass of its class."""
        return modules.remat(self.body.build(input_shape, rngs=rngs))

    def explain(self, input_shape: Sequence[int]) -> str:
        """Returns the layer's formula."""
        return self.body.explain(input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yields the steps of the layer."""
        return self.body.walk(input_shape)

    @property
    def kind(self) -> str:
        """The layer's, so that it is named as without."""
        return self.body.kind

    def __repr__(self) -> str:
        """Returns the call that makes this description."""
        return f"remat({self.body!r})"


def repeat(count: int, layer: LayerLike) -> serial:
    """Returns a layer ``count`` times in a row, each with parameters of its own.

    >>> from jaxcnn.layers import conv
    >>> repeat(2, conv(64, 3))
    serial(conv(64, 3), conv(64, 3))

    Args:
      count: How often, at least 1.
      layer: A description or a plain function.

    Raises:
      TypeError: ``count`` is not a whole number, or ``layer`` is not a layer.
      ValueError: ``count`` is below 1.
    """
    return serial(*[layer] * arguments.check_integer("count", count, minimum=1))


@dataclass(frozen=True, repr=False)
class _Combine(Layer):
    """The step in which branches come together: a row of the summary, without parameters."""

    how: str

    @property
    def kind(self) -> str:
        return self.how

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs | None) -> modules.Serial:
        return modules.Serial()


def _shortcut(input_shape: shapes.Shape, output_shape: shapes.Shape) -> str:
    """Returns how a layer is written that maps one shape to the other, where a simple one does."""
    *sizes, features = output_shape
    if not sizes:
        flat = "" if len(input_shape) == 1 else "flatten(), "
        return (
            f", such as serial({flat}dense({features}))" if flat else f", such as dense({features})"
        )
    if len(sizes) != len(input_shape) - 1:
        return ""
    strides = tuple(-(-n // m) for n, m in zip(input_shape, sizes, strict=False))
    if any(-(-n // s) != m for n, s, m in zip(input_shape, strides, sizes, strict=False)):
        return ""
    one = strides[0] if len({*strides}) == 1 else strides
    return f", such as conv({features}, 1" + (")" if one == 1 else f", strides={one})")


def _walk_child(
    name: str, layer: Layer, input_shape: shapes.Shape
) -> Generator[Step, None, shapes.Shape]:
    """Yields the steps of a child under its name, and returns its output shape."""
    with located(name):
        for step in layer.walk(input_shape):
            yield step._replace(path=(name, *step.path))
    return step.output_shape


def _name(layers: Sequence[LayerLike], named_layers: Mapping[str, LayerLike]) -> Children:
    """Returns the children by name: kind and number, or as the keyword says."""
    children: dict[str, Layer] = dict(_numbered(map(as_layer, layers)))
    for name, named in named_layers.items():
        if name in children or hasattr(modules.Serial, name) or name in ("names", "combine"):
            raise ValueError(f"the layer name {name!r} is taken; choose another")
        children[name] = as_layer(named)
    if not children:
        raise ValueError("a composition needs at least one layer. Received: none")
    return tuple(children.items())


def _numbered(layers: Iterable[Layer]) -> Iterator[tuple[str, Layer]]:
    counts: Counter[str] = Counter()
    for layer in layers:
        counts[layer.kind] += 1
        yield f"{layer.kind}_{counts[layer.kind]}", layer


def _arguments(children: Children) -> str:
    """Returns the children as arguments: by keyword from the first that is not named by number."""
    parts = [f"{name}={layer!r}" for name, layer in children]
    for index, (name, _) in enumerate(_numbered(layer for _, layer in children)):
        if name != children[index][0]:
            break
        parts[index] = repr(children[index][1])
    return ", ".join(parts)


Outputs: TypeAlias = Sequence[tuple[str, shapes.Shape]]


def _added_shape(outputs: Outputs) -> shapes.Shape:
    (first_name, first), *others = outputs
    for name, shape in others:
        if shape != first:
            raise ValueError(
                "branches that are added must have the same shape. "
                f"Received: {first_name} {first}, {name} {shape}"
            )
    return first


def _multiplied_shape(outputs: Outputs) -> shapes.Shape:
    (first_name, product), *others = outputs
    for name, shape in others:
        pairs = list(zip(product, shape, strict=False))
        if len(shape) != len(product) or any(a != b and 1 not in (a, b) for a, b in pairs):
            raise ValueError(
                "branches that are multiplied must have the same shape, or 1 on an axis. "
                f"Received: {first_name} {product}, {name} {shape}"
            )
        product = tuple(max(pair) for pair in pairs)
    return product


def _concatenated_shape(outputs: Outputs) -> shapes.Shape:
    (first_name, first), *others = outputs
    for name, shape in others:
        if shape[:-1] != first[:-1]:
            raise ValueError(
                "branches that are concatenated may differ in their channels alone. "
                f"Received: {first_name} {first}, {name} {shape}"
            )
    return (*first[:-1], sum(shape[-1] for _, shape in outputs))


_COMBINED_SHAPES: dict[str, Callable[[Outputs], shapes.Shape]] = {
    "concat": _concatenated_shape,
    "add": _added_shape,
    "multiply": _multiplied_shape,
}

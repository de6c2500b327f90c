"""Layers that read the same input side by side, and the combination of their outputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flax import nnx

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.composition import (
    Children,
    Composite,
    LayerLike,
    format_children,
    name_children,
    walk_child,
)
from jaxcnn.layers.layer import Layer, Step, as_layer
from jaxcnn.modules.linear import check_rngs
from jaxcnn.shapes.receptive import combine_fields, pointwise_fields


@dataclass(frozen=True, repr=False, init=False)
class residual(Composite):
    """The sum of a body and a shortcut past it: y = body(x) + shortcut(x) (He et al., 2016).

    Its receptive field is the larger of the two.

    >>> from jaxcnn.layers import conv
    >>> block = residual(conv(64, 3, strides=2, padding="SAME"), conv(64, 1, strides=2))
    >>> block.output_shape((28, 28, 32))
    (14, 14, 64)

    Attributes:
      body: The layer that the shortcut skips.
      shortcut: The layer whose output is added; ``None`` adds the input.
    """

    body: Layer
    shortcut: Layer | None

    def __init__(self, body: LayerLike, shortcut: LayerLike | None = None) -> None:
        """Compose the two.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
        """
        object.__setattr__(self, "body", as_layer(body, "body"))
        object.__setattr__(
            self, "shortcut", None if shortcut is None else as_layer(shortcut, "shortcut")
        )

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Residual:
        """Return a :class:`jaxcnn.modules.Residual`."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        body = self.body.build(input_shape, rngs=rngs)
        if self.shortcut is None:
            return self._describe(modules.Residual(body), input_shape)
        shortcut = self.shortcut.build(input_shape, rngs=rngs)
        return self._describe(modules.Residual(body, shortcut), input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of the body, those of the shortcut, and the sum."""
        shape = shapes.check_shape(input_shape)
        fields = pointwise_fields(len(shape) - 1)
        body = yield from walk_child("body", self.body, shape, fields)
        output = body.output_shape
        source: tuple[str, ...] = ()
        if self.shortcut is None:
            if output != shape:
                raise ValueError(
                    f"residual adds the body's output {output} to the input {shape}, which must "
                    "have the same shape. Keep the shape in the body (padding='SAME'), or give a "
                    f"shortcut that changes it in the same way{_suggest_shortcut(shape, output)}."
                )
            both = [body.receptive_field, fields]
        else:
            shortcut = yield from walk_child("shortcut", self.shortcut, shape, fields)
            if output != shortcut.output_shape:
                raise ValueError(
                    "residual adds outputs that must have the same shape. Received: "
                    f"body {output}, shortcut {shortcut.output_shape} for input_shape={shape}"
                )
            both, source = [body.receptive_field, shortcut.receptive_field], shortcut.path
        inputs = (body.path, source)
        together = combine_fields(both)
        yield Step(("add",), _Combine("add"), shape, output, together, inputs=inputs)

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        shortcut = "" if self.shortcut is None else f", {self.shortcut!r}"
        return f"residual({self.body!r}{shortcut})"


@dataclass(frozen=True, repr=False, init=False)
class parallel(Composite):
    """Layers that read the same input side by side, with their outputs combined.

    Its receptive field is the largest of the branches.

    >>> from jaxcnn.layers import conv
    >>> parallel(conv(16, 1), conv(32, 3, padding="SAME")).output_shape((28, 28, 8))
    (28, 28, 48)

    Attributes:
      children: ``(name, layer)`` pairs in order; names are made as in :class:`serial`.
      combine: ``"concat"`` (along the channels), ``"add"``, or ``"multiply"``, where an axis of
        size 1 is broadcast to the size of the others.
    """

    children: Children
    combine: str

    def __init__(
        self, /, *branches: LayerLike, combine: str = "concat", **named_branches: LayerLike
    ) -> None:
        """Compose ``branches``, followed by ``named_branches``.

        Raises:
          TypeError: an argument is neither a layer nor a plain function.
          ValueError: there is no branch, a name is taken, or ``combine`` is another word.
        """
        arguments.check_choice("combine", combine, _COMBINED_SHAPES)
        object.__setattr__(self, "children", name_children(branches, named_branches))
        object.__setattr__(self, "combine", combine)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Parallel:
        """Return a :class:`jaxcnn.modules.Parallel` of the branches."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        built = {name: layer.build(input_shape, rngs=rngs) for name, layer in self.children}
        return self._describe(modules.Parallel(combine=self.combine, **built), input_shape)

    def walk(self, input_shape: Sequence[int]) -> Iterator[Step]:
        """Yield the steps of each branch, followed by their combination."""
        shape = shapes.check_shape(input_shape)
        outputs, fields, inputs = [], [], []
        for name, layer in self.children:
            last = yield from walk_child(name, layer, shape, pointwise_fields(len(shape) - 1))
            outputs.append((name, last.output_shape))
            fields.append(last.receptive_field)
            inputs.append(last.path)
        combined = _COMBINED_SHAPES[self.combine](outputs)
        step = _Combine(self.combine)
        together = combine_fields(fields)
        saved = ("input",) if self.combine == "multiply" else ()
        yield Step(
            (self.combine,), step, shape, combined, together, inputs=tuple(inputs), saved=saved
        )

    def __repr__(self) -> str:
        """Return the call that makes this description."""
        combine = "" if self.combine == "concat" else f", combine={self.combine!r}"
        return f"parallel({format_children(self.children)}{combine})"


@dataclass(frozen=True, repr=False)
class _Combine(Layer):
    """The combination of branches: a row of the summary, without parameters."""

    operation: str

    @property
    def kind(self) -> str:
        return self.operation

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        return shapes.check_shape(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Serial:
        return modules.Serial()


def _suggest_shortcut(input_shape: shapes.Shape, output_shape: shapes.Shape) -> str:
    """Return a layer that maps one shape to the other, as text, where a simple one does."""
    *sizes, features = output_shape
    if not sizes:
        dense = f"dense({features})"
        layer = dense if len(input_shape) == 1 else f"serial(flatten(), {dense})"
        return f", such as {layer}"
    if len(sizes) != len(input_shape) - 1:
        return ""
    strides = tuple(-(-n // m) for n, m in zip(input_shape, sizes, strict=False))
    if any(-(-n // s) != m for n, s, m in zip(input_shape, strides, sizes, strict=False)):
        return ""
    one = strides[0] if len({*strides}) == 1 else strides
    return f", such as conv({features}, 1" + (")" if one == 1 else f", strides={one})")


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
                "branches that are concatenated must have the same shape except for the channels. "
                f"Received: {first_name} {first}, {name} {shape}"
            )
    return (*first[:-1], sum(shape[-1] for _, shape in outputs))


_COMBINED_SHAPES: dict[str, Callable[[Outputs], shapes.Shape]] = {
    "concat": _concatenated_shape,
    "add": _added_shape,
    "multiply": _multiplied_shape,
}

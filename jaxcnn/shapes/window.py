"""A window that moves over an input: the arithmetic of convolutions and pools."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxcnn import arguments
from jaxcnn.other_names import explained
from jaxcnn.shapes.equation_text import axis_names, both_text, equations, span_text
from jaxcnn.shapes.numbers import (
    Padding,
    Pair,
    Pairs,
    PerAxis,
    Shape,
    is_below,
    padding_of,
    per_axis,
)


def extent(window: int, dilation: int) -> int:
    """Return how many input positions a dilated window spans: ``dilation·(window − 1) + 1``.

    >>> extent(3, 2)
    5

    Args:
      window: Positions that the window reads, at least 1.
      dilation: Distance between them, at least 1.
    """
    return dilation * (window - 1) + 1


@explained
def output_size(
    size: int,
    window: int,
    *,
    stride: int = 1,
    padding: int | Pair = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Return how many positions a window takes along one axis.

    The formula is :math:`n = ⌊(size − f + pad_{low} + pad_{high})/stride⌋ + 1`, with
    :math:`f = dilation·(window − 1) + 1`. With ``ceil_mode`` the division rounds up, so that a
    last, partly filled window counts too, unless it would start in the padding after the end
    (PyTorch's rule).

    >>> output_size(28, 3)
    26
    >>> output_size(52, 12, stride=2)
    21
    >>> output_size(5, 2, stride=2), output_size(5, 2, stride=2, ceil_mode=True)
    (2, 3)

    Args:
      size: Input positions along the axis, at least 1.
      window: Positions that the window reads, at least 1.
      stride: Step of the window, at least 1.
      padding: Positions added on both sides, or ``(low, high)``; at least 0.
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether to round up.

    Returns:
      The output size, at least 1.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the padded
        input; the message has the formula filled in.
    """
    if arguments.is_sequence(padding) and len(padding) != 2:
        raise ValueError(
            f"padding must be an int or (low, high). Received: padding={arguments.shown(padding)}"
        )
    low, high = per_axis("padding", padding, 2, minimum=0)
    axis = _Axis(
        arguments.check_integer("size", size, minimum=1),
        arguments.check_integer("window", window, minimum=1),
        arguments.check_integer("stride", stride, minimum=1),
        (low, high),
        arguments.check_integer("dilation", dilation, minimum=1),
        arguments.check_flag("ceil_mode", ceil_mode),
    )
    return axis.checked_output_size()


def same_padding(size: int, window: int, *, stride: int = 1, dilation: int = 1) -> Pair:
    """Return the ``(low, high)`` padding after which a window takes ⌈size / stride⌉ positions.

    Where the total is odd, the larger half comes after the end, as in TensorFlow, Keras and
    JAX (``"SAME_LOWER"`` is the mirror image). With stride 2 it differs from PyTorch's habit
    of equal padding on both sides.

    >>> same_padding(28, 3)
    (1, 1)
    >>> same_padding(128, 3, stride=2)
    (0, 1)

    Args:
      size: Input positions along the axis, at least 1.
      window: Positions that the window reads, at least 1.
      stride: Step of the window, at least 1.
      dilation: Distance between the positions that the window reads, at least 1.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is below 1.
    """
    size = arguments.check_integer("size", size, minimum=1)
    stride = arguments.check_integer("stride", stride, minimum=1)
    span = extent(
        arguments.check_integer("window", window, minimum=1),
        arguments.check_integer("dilation", dilation, minimum=1),
    )
    return _split_same(size, span, stride)


def _split_same(size: int, span: int, stride: int) -> Pair:
    """Return the padding of :func:`same_padding` for checked numbers.

    The total is max(span − stride + (−size mod stride), 0), written without a comparison, as
    ``size`` may be symbolic in a ``jax.export``.
    """
    missing = -size % stride
    if span >= stride:
        total = span - stride + missing
    else:
        total = sum((missing + step) // stride for step in range(1, span))
    return total // 2, total - total // 2


class Windows(NamedTuple):
    """A window over the spatial axes with every option spelled out, one entry per axis.

    It is what :func:`windows` makes of the vocabulary's short forms, and what the operations
    and the shape functions both read, so that they cannot disagree.
    """

    spatial: Shape
    window: Shape
    strides: Shape
    padding: Pairs
    dilation: Shape
    ceil_mode: bool

    @property
    def output_sizes(self) -> Shape:
        """The number of positions of the window on each axis."""
        return tuple(axis.output_size for axis in self._axes())

    @property
    def overhang(self) -> Shape:
        """Positions past the end of the padding that the last window reads, for each axis.

        Only ``ceil_mode`` makes it more than 0.
        """
        return tuple(axis.overhang for axis in self._axes())

    @property
    def borders(self) -> "tuple[tuple[int, int, int], ...]":
        """What is added to ``(batch, *spatial, channels)``, as ``jax.lax.pad`` takes it."""
        pairs = zip(self.padding, self.overhang, strict=True)
        return ((0, 0, 0), *((low, high + over, 0) for (low, high), over in pairs), (0, 0, 0))

    @property
    def gradient_padding(self) -> Pairs:
        """How outputs, ``strides`` apart, are padded to be moved back over to the inputs."""
        pairs = []
        for axis, count in zip(self._axes(), self.output_sizes, strict=True):
            low, apart = axis.padding[0], (count - 1) * axis.stride + 1
            pairs.append((extent(axis.window, axis.dilation) - 1 - low, axis.size + low - apart))
        return tuple(pairs)

    @property
    def gradient_borders(self) -> "tuple[tuple[int, int, int], ...]":
        """The same as ``jax.lax.pad`` takes it, which also moves the outputs apart."""
        pairs = zip(self.gradient_padding, self.strides, strict=True)
        return ((0, 0, 0), *((low, high, step - 1) for (low, high), step in pairs), (0, 0, 0))

    def explain(self) -> str:
        """The formula with its numbers; axes that share them stand in one equation."""
        return equations([axis.formula for axis in self._axes()])

    def _axes(self) -> "list[_Axis]":
        columns = self.spatial, self.window, self.strides, self.padding, self.dilation
        return [_Axis(*column, self.ceil_mode) for column in zip(*columns, strict=True)]


def windows(
    spatial: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    name: str = "window",
) -> Windows:
    """Return the window that these options describe, checked against the input's size.

    >>> windows((28, 28), 3, padding="same").padding
    ((1, 1), (1, 1))
    >>> windows((100,), 3, padding="CAUSAL", dilation=2).padding
    ((4, 0),)

    Args:
      spatial: Input size of each spatial axis.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1.
      padding: ``"VALID"`` (none), ``"SAME"`` (see :func:`same_padding`), ``"SAME_LOWER"``,
        ``"CAUSAL"`` (one spatial axis; all of it before the start) in any letter case, an int
        (both sides of all axes), one int per axis, or one ``(low, high)`` per axis.
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.
      name: What the caller calls the window, for the errors.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, an unknown padding word, or a window larger
        than the padded input; the message has the formula filled in.
    """
    axes = len(spatial)
    sizes = per_axis(name, window, axes)
    steps = per_axis("strides", strides, axes)
    spread = per_axis("dilation", dilation, axes)
    pairs = _resolve_padding(padding, spatial, sizes, steps, spread)
    resolved = Windows(
        tuple(spatial), sizes, steps, pairs, spread, arguments.check_flag("ceil_mode", ceil_mode)
    )
    for axis_name, axis in zip(axis_names(axes), resolved._axes(), strict=True):
        axis.checked_output_size(axis_name, name)
    return resolved


def windows_of_lengths(padded: Windows, padding: Padding, lengths: Any) -> tuple[Any, Any, Any]:
    """Return the padding of shorter inputs, and how many positions a window takes on them.

    Args:
      padded: The window on an input of one spatial axis, without ``ceil_mode``.
      padding: The padding from which it was resolved.
      lengths: An integer array of the sizes of the shorter inputs.

    Returns:
      Padding before and after each, and the number of positions, at least 0.
    """
    _, (window,), (stride,), ((low, high),), (dilation,), _ = padded
    word = padding_of(padding, 1)
    if word in ("SAME", "SAME_LOWER"):
        low, high = _split_same(lengths, extent(window, dilation), stride)
        low, high = (low, high) if word == "SAME" else (high, low)
    axis: Any = _Axis(lengths, window, stride, (low, high), dilation, False)
    low, high = low + 0 * lengths, high + 0 * lengths
    return low, high, axis.output_size * (axis._room >= 0).astype(lengths.dtype)


def check_causal(axes: int) -> None:
    """Check that ``"CAUSAL"`` padding has a single spatial axis.

    Raises:
      ValueError: there are several.
    """
    if axes != 1:
        raise ValueError(
            f"padding='CAUSAL' needs exactly one spatial axis, there are {axes}. "
            "Write one (low, high) per axis instead."
        )


def _resolve_padding(
    padding: Padding, spatial: Sequence[int], window: Shape, strides: Shape, dilation: Shape
) -> Pairs:
    resolved = padding_of(padding, len(spatial))
    if not isinstance(resolved, str):
        return resolved
    if resolved == "VALID":
        return ((0, 0),) * len(spatial)
    if resolved == "CAUSAL":
        check_causal(len(spatial))
        return ((extent(window[0], dilation[0]) - 1, 0),)
    pairs = (
        _split_same(n, extent(f, d), s)
        for n, f, s, d in zip(spatial, window, strides, dilation, strict=True)
    )
    return tuple(pair if resolved == "SAME" else pair[::-1] for pair in pairs)


class _Axis(NamedTuple):
    """A window on one axis, every option a checked number."""

    size: int
    window: int
    stride: int
    padding: Pair
    dilation: int
    ceil_mode: bool

    @property
    def _room(self) -> int:
        return self.size - extent(self.window, self.dilation) + sum(self.padding)

    @property
    def _drops_last(self) -> bool:
        """Whether rounding up adds a window that would start in the padding after the end."""
        return (
            self.ceil_mode
            and -(-self._room // self.stride) * self.stride >= self.size + self.padding[0]
        )

    @property
    def output_size(self) -> int:
        if self.ceil_mode:
            return -(-self._room // self.stride) + 1 - self._drops_last
        return self._room // self.stride + 1

    @property
    def overhang(self) -> int:
        if not self.ceil_mode:
            return 0
        return max((self.output_size - 1) * self.stride - self._room, 0)

    @property
    def formula(self) -> str:
        left, right = "⌈⌉" if self.ceil_mode else "⌊⌋"
        last = " − 1" if self._drops_last else ""
        span, padding = span_text(self.window, self.dilation), both_text(self.padding, "+")
        division = f"{left}({self.size} − {span} + {padding}) / {self.stride}{right}"
        return f"{division} + 1{last} = {self.output_size}"

    def checked_output_size(self, name: str = "n", window_name: str = "window") -> int:
        if is_below(self.output_size, 1):
            raise ValueError(
                f"{window_name} must fit into the padded input: {name} = {self.formula}. "
                f"Use a smaller {window_name}, more padding or a larger input. Received: "
                f"size={self.size}, {window_name}={self.window}, stride={self.stride}, "
                f"padding={self.padding}, dilation={self.dilation}"
            )
        return self.output_size

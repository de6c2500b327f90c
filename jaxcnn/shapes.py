"""Window arithmetic in plain integers: how a convolution or a pool changes a shape.

Everything here follows one formula, axis by axis,

    n = ⌊(n_prev − f + 2·pad) / stride⌋ + 1,

where f is the extent of the window: ``dilation·(window − 1) + 1``. Shapes have no batch axis:
``(*spatial, channels)``. Nothing here knows of arrays, so a network's shapes are known, and
its mistakes explained, before anything is computed.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, TypeGuard

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Pairs: TypeAlias = tuple[Pair, ...]
PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Pair]


def whole(name: str, value: Any, *, least: int) -> int:
    """Returns ``value`` as an ``int``, or raises an error that names the argument and the rule.

    >>> whole("features", 64, least=1)
    64

    Raises:
      TypeError: ``value`` is not a whole number.
      ValueError: ``value`` is below ``least``.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number. Received: {name}={value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}. Received: {name}={value!r}")
    return number


def per_axis(name: str, value: PerAxis, axes: int, *, least: int = 1) -> Shape:
    """Returns one whole number per spatial axis; a single one stands for all axes.

    >>> per_axis("strides", 2, 3), per_axis("strides", (2, 1), 2)
    ((2, 2, 2), (2, 1))

    Args:
      name: What the number is, for the error.
      value: An int, or one int per spatial axis.
      axes: The number of spatial axes.
      least: The smallest number allowed.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is below ``least``, or there is not one per axis.
    """
    if not _is_sequence(value):
        return (whole(name, value, least=least),) * axes
    values = tuple(value)
    if len(values) != axes:
        raise ValueError(
            f"{name} must be one int or one per spatial axis ({axes} here). "
            f"Received: {name}={value!r}"
        )
    try:
        return tuple(whole(name, v, least=least) for v in values)
    except TypeError:
        raise TypeError(f"{name} must be whole numbers. Received: {name}={value!r}") from None
    except ValueError:
        raise ValueError(
            f"{name} must be at least {least} on every axis. Received: {name}={value!r}"
        ) from None


def extent(window: int, dilation: int = 1) -> int:
    """Returns how many input positions a dilated window spans: ``dilation·(window − 1) + 1``.

    >>> extent(3, dilation=2)
    5
    """
    return dilation * (window - 1) + 1


def output_size(
    size: int,
    window: int,
    *,
    stride: int = 1,
    padding: int | Pair = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Returns how many positions a window takes along one axis.

    The formula is n = ⌊(size − f + pad_low + pad_high) / stride⌋ + 1, with
    f = dilation·(window − 1) + 1. With ``ceil_mode`` the division rounds up, so that a last,
    partly filled window counts too, unless it would start in the padding after the end
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
    low, high = per_axis("padding", padding, 2, least=0)
    axis = _Axis(
        whole("size", size, least=1),
        whole("window", window, least=1),
        whole("stride", stride, least=1),
        (low, high),
        whole("dilation", dilation, least=1),
        ceil_mode,
    )
    return axis.checked_output_size()


def same_padding(size: int, window: int, *, stride: int = 1, dilation: int = 1) -> Pair:
    """Returns the ``(low, high)`` padding after which a window takes ⌈size / stride⌉ positions.

    Where the total is odd, the larger half comes after the end, as in TensorFlow, Keras and
    JAX (``"SAME_LOWER"`` is the mirror image). With stride 2 it differs from PyTorch's habit
    of padding both sides alike.

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
    size = whole("size", size, least=1)
    stride = whole("stride", stride, least=1)
    span = extent(whole("window", window, least=1), whole("dilation", dilation, least=1))
    total = max((math.ceil(size / stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def pad_widths(name: str, value: int | Sequence[int] | Sequence[Pair], axes: int) -> Pairs:
    """Returns ``(low, high)`` for each spatial axis from an int, one int or one pair per axis.

    >>> pad_widths("widths", 1, 2), pad_widths("widths", (1, 2), 2)
    (((1, 1), (1, 1)), ((1, 1), (2, 2)))
    >>> pad_widths("widths", ((0, 1), (2, 2)), 2)
    ((0, 1), (2, 2))

    Raises:
      TypeError: a number is not whole.
      ValueError: a number below 0, or not one entry per axis.
    """
    if not _is_sequence(value):
        return ((whole(name, value, least=0),) * 2,) * axes
    pairs = [entry if _is_sequence(entry) else (entry, entry) for entry in value]
    if len(pairs) != axes or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"{name} must be an int, one int per spatial axis or one (low, high) per spatial "
            f"axis ({axes} here). Received: {name}={value!r}"
        )
    lows, highs = (per_axis(name, side, axes, least=0) for side in zip(*pairs, strict=True))
    return tuple(zip(lows, highs, strict=True))


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

    def explain(self) -> str:
        """The formula with its numbers; axes that share them stand in one equation."""
        by_formula: dict[str, list[str]] = {}
        for name, axis in zip(axis_names(len(self.spatial)), self._axes(), strict=True):
            by_formula.setdefault(axis.formula, []).append(name)
        return ", ".join(f"{' = '.join(names)} = {f}" for f, names in by_formula.items())

    def _axes(self) -> "list[_Axis]":
        columns = self.spatial, self.window, self.strides, self.padding, self.dilation
        return [_Axis(*column, self.ceil_mode) for column in zip(*columns, strict=True)]


def windows(
    spatial: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    name: str = "window",
) -> Windows:
    """Returns the window that these options describe, checked against the input's size.

    >>> windows((28, 28), 3, padding="same").padding
    ((1, 1), (1, 1))
    >>> windows((100,), 3, padding="CAUSAL", dilation=2).padding
    ((4, 0),)

    Args:
      spatial: Input size of each spatial axis.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window, at least 1; ``None`` means the window's own size.
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
    steps = sizes if strides is None else per_axis("strides", strides, axes)
    spread = per_axis("dilation", dilation, axes)
    pairs = _resolve_padding(padding, spatial, sizes, steps, spread)
    resolved = Windows(tuple(spatial), sizes, steps, pairs, spread, bool(ceil_mode))
    for axis_name, axis in zip(axis_names(axes), resolved._axes(), strict=True):
        axis.checked_output_size(axis_name, name)
    return resolved


def _resolve_padding(
    padding: Padding, spatial: Sequence[int], window: Shape, strides: Shape, dilation: Shape
) -> Pairs:
    if not isinstance(padding, str):
        return pad_widths("padding", padding, len(spatial))
    match padding.upper():
        case "VALID":
            return ((0, 0),) * len(spatial)
        case "CAUSAL" if len(spatial) == 1:
            return ((extent(window[0], dilation[0]) - 1, 0),)
        case "CAUSAL":
            raise ValueError(
                f"padding='CAUSAL' needs exactly one spatial axis, there are {len(spatial)}. "
                "Write one (low, high) per axis instead."
            )
        case ("SAME" | "SAME_LOWER") as word:
            pairs = (
                same_padding(n, f, stride=s, dilation=d)
                for n, f, s, d in zip(spatial, window, strides, dilation, strict=True)
            )
            return tuple(pair if word == "SAME" else pair[::-1] for pair in pairs)
        case _:
            raise ValueError(
                "padding must be 'VALID', 'SAME', 'SAME_LOWER', 'CAUSAL', an int, one int per "
                f"spatial axis or one (low, high) per spatial axis. Received: padding={padding!r}"
            )


def conv_shape(
    input_shape: Sequence[int],
    features: int,
    kernel_size: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
) -> Shape:
    """Returns the shape that a convolution makes of ``input_shape``, in any number of dimensions.

    >>> conv_shape((28, 28, 1), 64, 3)
    (26, 26, 64)
    >>> conv_shape((16, 64, 64, 3), 8, (3, 5, 5), strides=(1, 2, 2), padding="SAME")
    (16, 32, 32, 8)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      features: Output channels, at least 1.
      kernel_size: Spatial extent of the kernel: an int or one per spatial axis, at least 1.
      strides: Step of the kernel, at least 1.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the kernel reads, at least 1.

    Returns:
      ``(*spatial, features)``.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the kernel is larger than the padded
        input; the message has the formula filled in.
    """
    features = whole("features", features, least=1)
    *spatial, _ = image_shape(input_shape)
    resolved = windows(
        spatial,
        kernel_size,
        strides=strides,
        padding=padding,
        dilation=dilation,
        name="kernel_size",
    )
    return (*resolved.output_sizes, features)


def pool_shape(
    input_shape: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Shape:
    """Returns the shape that a pool makes of ``input_shape``, in any number of dimensions.

    >>> pool_shape((13, 13, 64), 2)
    (6, 6, 64)
    >>> pool_shape((13, 13, 64), 2, ceil_mode=True)
    (7, 7, 64)

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      window: Extent of the window: an int or one per spatial axis, at least 1.
      strides: Step of the window; ``None`` means the window's own size.
      padding: As in :func:`windows`, but below the window's extent, so that no window sees
        padding alone.
      dilation: Distance between the positions that the window reads, at least 1.
      ceil_mode: Whether a last, partly filled window counts.

    Returns:
      ``(*spatial, channels)``; the channels are unchanged.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the padded
        input; the message has the formula filled in.
    """
    *spatial, channels = image_shape(input_shape)
    resolved = pool_windows(
        spatial, window, strides=strides, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    return (*resolved.output_sizes, channels)


def pool_windows(
    spatial: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = None,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Returns :func:`windows` for a pool, whose padding must be below the window's extent.

    >>> pool_windows((8,), 3, strides=2, padding=1).output_sizes
    (4,)

    Raises:
      TypeError: as :func:`windows`.
      ValueError: as :func:`windows`, and for a padding that fills a window alone.
    """
    resolved = windows(
        spatial, window, strides=strides, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    )
    spans = map(extent, resolved.window, resolved.dilation)
    if any(max(pair) >= span for pair, span in zip(resolved.padding, spans, strict=True)):
        raise ValueError(
            "padding must be smaller than the window's extent, else a window sees padding alone. "
            f"Received: padding={padding!r}, window={window!r}, dilation={dilation!r}"
        )
    return resolved


def flatten(input_shape: Sequence[int]) -> Shape:
    """Returns the shape of one flattened example.

    >>> flatten((3, 3, 64))
    (576,)

    Raises:
      TypeError: a size is not a whole number.
      ValueError: a size is below 1.
    """
    return (math.prod(check_shape(input_shape)),)


def explain(
    input_shape: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis | None = 1,
    padding: Padding = "VALID",
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> str:
    """Returns the formula with its numbers for each spatial axis.

    >>> print(explain((28, 28, 1), 3))
    n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26
    >>> print(explain((128, 100, 3), 3, strides=2, padding="SAME"))
    n_H = ⌊(128 − 3 + 0 + 1) / 2⌋ + 1 = 64, n_W = ⌊(100 − 3 + 0 + 1) / 2⌋ + 1 = 50

    Args:
      input_shape: ``(*spatial, channels)``, without the batch.
      window: Extent of the kernel or window: an int or one per spatial axis.
      strides: Step of the window; ``None`` means the window's own size.
      padding: As in :func:`windows`.
      dilation: Distance between the positions that the window reads.
      ceil_mode: Whether a last, partly filled window counts.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or the window is larger than the input.
    """
    *spatial, _ = image_shape(input_shape)
    return windows(
        spatial, window, strides=strides, padding=padding, dilation=dilation, ceil_mode=ceil_mode
    ).explain()


def check_shape(input_shape: Sequence[int]) -> Shape:
    """Returns ``input_shape`` as a tuple of ints, each at least 1.

    >>> check_shape([28, 28, 1])
    (28, 28, 1)

    Raises:
      TypeError: it is not a sequence of whole numbers.
      ValueError: a size is below 1.
    """
    if not _is_sequence(input_shape) or not input_shape:
        raise TypeError(
            "input_shape must be a sequence such as (28, 28, 1), without the batch. "
            f"Received: input_shape={input_shape!r}"
        )
    return per_axis("input_shape", input_shape, len(input_shape))


def image_shape(input_shape: Sequence[int]) -> Shape:
    """Returns ``input_shape`` checked to be ``(*spatial, channels)`` with a spatial axis.

    >>> image_shape((28, 28, 1))
    (28, 28, 1)

    Raises:
      TypeError: it is not a sequence of whole numbers.
      ValueError: there is no spatial axis, or a size is below 1.
    """
    shape = check_shape(input_shape)
    if len(shape) < 2:
        raise ValueError(
            "input_shape must be (*spatial, channels) with at least one spatial axis, such as "
            f"(28, 28, 1). Received: input_shape={input_shape!r}"
        )
    return shape


def axis_names(axes: int) -> tuple[str, ...]:
    """Returns what the output sizes of the spatial axes are called: n_H and n_W for images.

    >>> axis_names(2), axis_names(3)
    (('n_H', 'n_W'), ('n_D', 'n_H', 'n_W'))
    """
    letters = {1: "L", 2: "HW", 3: "DHW"}.get(axes)
    return tuple(f"n_{letter}" for letter in letters or map(str, range(1, axes + 1)))


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
        return max((self.output_size - 1) * self.stride - self._room, 0)

    @property
    def formula(self) -> str:
        low, high = self.padding
        padded = f"2·{low}" if low == high else f"{low} + {high}"
        span = str(self.window)
        if self.dilation > 1:
            span = f"({self.dilation}·({self.window} − 1) + 1)"
        left, right = "⌈⌉" if self.ceil_mode else "⌊⌋"
        last = " − 1" if self._drops_last else ""
        division = f"{left}({self.size} − {span} + {padded}) / {self.stride}{right}"
        return f"{division} + 1{last} = {self.output_size}"

    def checked_output_size(self, name: str = "n", window_name: str = "window") -> int:
        if self.output_size < 1:
            raise ValueError(
                f"{window_name} must fit into the padded input: {name} = {self.formula}. "
                f"Use a smaller {window_name}, more padding or a larger input. Received: "
                f"size={self.size}, {window_name}={self.window}, stride={self.stride}, "
                f"padding={self.padding}, dilation={self.dilation}"
            )
        return self.output_size


def _is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)

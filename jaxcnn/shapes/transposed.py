"""The window of a transposed convolution, which spreads instead of collecting."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxcnn.shapes.equation_text import both_text, equations, span_text
from jaxcnn.shapes.numbers import (
    PADDINGS,
    Padding,
    Pairs,
    PerAxis,
    Shape,
    is_below,
    padding_of,
    per_axis,
)
from jaxcnn.shapes.window import extent

PADDINGS_TRANSPOSED = tuple(word for word in PADDINGS if word != "CAUSAL")
"""The words that the padding of a transposed window may be."""


class TransposedWindows(NamedTuple):
    """The window of a transposed convolution with every option spelled out, one entry per axis."""

    spatial: Shape
    window: Shape
    strides: Shape
    crop: Pairs
    output_padding: Shape
    dilation: Shape

    @property
    def output_sizes(self) -> Shape:
        """The size of each axis of the output."""
        return tuple(
            (size - 1) * stride + extent(window, dilation) - sum(crop) + added
            for size, window, stride, crop, added, dilation in zip(*self, strict=True)
        )

    def explain(self) -> str:
        """The formula with its numbers; axes that share them stand in one equation."""
        formulas = []
        for column, result in zip(zip(*self, strict=True), self.output_sizes, strict=True):
            size, window, stride, crop, added, dilation = column
            span, cropped = span_text(window, dilation), both_text(crop, "−")
            formulas.append(f"({size} − 1)·{stride} + {span} − {cropped} + {added} = {result}")
        return equations(formulas)


def transposed_windows(
    spatial: Sequence[int],
    window: PerAxis,
    *,
    strides: PerAxis = 1,
    padding: Padding = "VALID",
    output_padding: PerAxis | None = None,
    dilation: PerAxis = 1,
) -> TransposedWindows:
    """Return the window of a transposed convolution, checked against the input's size.

    >>> transposed_windows((14, 14), 3, strides=2, padding="SAME").output_sizes
    (28, 28)

    Args:
      spatial: Input size of each spatial axis.
      window: Size of the kernel: an int or one per spatial axis, at least 1.
      strides: Step of the window in the output, at least 1.
      padding: As in :func:`conv_transpose_shape`.
      output_padding: As in :func:`conv_transpose_shape`.
      dilation: Distance between the outputs that one value is spread over, at least 1.

    Raises:
      TypeError: an argument is not a whole number.
      ValueError: an argument is out of its range, or nothing would be left of the output; the
        message has the formula filled in.
    """
    axes = len(spatial)
    sizes = per_axis("kernel_size", window, axes)
    steps = per_axis("strides", strides, axes)
    spread = per_axis("dilation", dilation, axes)
    asked = check_output_padding(output_padding, strides, axes)
    spans = [extent(f, d) for f, d in zip(sizes, spread, strict=True)]
    crop = padding_of(padding, axes, words=PADDINGS_TRANSPOSED)
    if isinstance(crop, str) and crop != "VALID":
        # A convolution with this padding takes ⌈size / stride⌉ positions.
        added = tuple(s - 1 for s in steps) if asked is None else asked
        total = [max(f - 1 - n, 0) for f, n in zip(spans, added, strict=True)]
        added = tuple(max(n - f + 1, 0) for f, n in zip(spans, added, strict=True))
        pairs = [(n // 2, n - n // 2) for n in total]
        crop = tuple(p[::-1] if crop == "SAME_LOWER" else p for p in pairs)
    elif isinstance(crop, str):
        least = tuple(max(s - f, 0) for f, s in zip(spans, steps, strict=True))
        crop, added = ((0, 0),) * axes, least if asked is None else asked
    else:
        added = (0,) * axes if asked is None else asked
    resolved = TransposedWindows(tuple(spatial), sizes, steps, crop, added, spread)
    if any(is_below(size, 1) for size in resolved.output_sizes):
        raise ValueError(
            f"padding must leave something of the output: {resolved.explain()}. "
            f"Received: padding={padding!r}"
        )
    return resolved


def check_output_padding(
    output_padding: PerAxis | None, strides: PerAxis, axes: int
) -> Shape | None:
    """Return ``output_padding`` with one number per axis, each below the stride, or ``None``.

    Raises:
      TypeError: a number is not whole.
      ValueError: a number is below 0 or not below the stride.
    """
    if output_padding is None:
        return None
    added = per_axis("output_padding", output_padding, axes, minimum=0)
    steps = per_axis("strides", strides, axes)
    if any(n >= s for n, s in zip(added, steps, strict=True)):
        raise ValueError(
            "output_padding must be smaller than the stride: a convolution maps only that many "
            "sizes to the same one. "
            f"Received: output_padding={output_padding!r}, strides={strides!r}"
        )
    return added

"""One kernel on one picture, with the numbers of any of its windows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments, ops, shapes
from jaxcnn.layers import Layer, avg_pool, max_pool
from jaxcnn.ops.filters import KERNELS

CHANNELS = {1: ("",), 3: ("red", "green", "blue")}


@dataclass(frozen=True, eq=False)
class WorkedWindow:
    """The numbers behind one output of a convolution; ``print`` shows them.

    Attributes:
      position: Row and column of the output.
      first: Row and column of the image where the window begins; negative ones are padding.
      patch: ``(rows, columns, channels)`` values that the window reads.
      kernel: ``(rows, columns, channels)`` weights, as they lie on the patch: already flipped.
      bias: A number that is added to each sum.
      adds_channels: Whether the channels are added to one value, as a convolutional layer does.
    """

    position: tuple[int, int]
    first: tuple[int, int]
    patch: np.ndarray
    kernel: np.ndarray
    bias: float
    adds_channels: bool

    @property
    def products(self) -> np.ndarray:
        """The patch times the kernel, ``(rows, columns, channels)``."""
        return self.patch * self.kernel

    @property
    def sums(self) -> np.ndarray:
        """The sum of the products of each channel, ``(channels,)``, without the bias."""
        return self.products.sum(axis=(0, 1))

    @property
    def values(self) -> np.ndarray:
        """The output, one value, or one per channel if the channels are not added."""
        sums = self.sums.sum(keepdims=True) if self.adds_channels else self.sums
        return sums + self.bias

    def __str__(self) -> str:
        """Return patch, kernel and products of each channel side by side, with their sum."""
        rows, columns, channels = self.patch.shape
        top, left = self.first
        lines = [
            f"output {self.position}: rows {_span(top, rows)} and columns {_span(left, columns)} "
            "of the picture, padding included"
        ]
        for channel, name in enumerate(_channel_names(channels)):
            lines += ["", *_side_by_side(*(part[..., channel] for part in self._parts()))]
            start, total = f"{name}: " * bool(name), number_text(self.sums[channel])
            lines.append(f"{start}sum of the products = {total}")
            if self.bias and not self.adds_channels:
                value = number_text(self.values[channel])
                lines.append(f"{start}output = {total}{term_text(self.bias)} = {value}")
        if self.adds_channels and (channels > 1 or self.bias):
            first, *others = self.sums
            terms = number_text(first) + "".join(map(term_text, [*others, self.bias]))
            lines += ["", f"output = {terms} = {number_text(self.values[0])}"]
        return "\n".join(lines)

    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.patch, self.kernel, self.products


@dataclass(frozen=True, eq=False)
class Filtered:
    """A picture before and after a kernel and, if there is one, a pool.

    Attributes:
      image: ``(height, width, channels)`` as it was given, in float32.
      kernel: ``(rows, columns)`` or ``(rows, columns, channels)`` weights as they were given.
      kernel_name: Its name in :data:`jaxcnn.ops.KERNELS`, or ``"kernel"``.
      output: ``(n_H, n_W, channels)`` result of the convolution, with one channel if the kernel
        has its own weights for each.
      windows: The window with every option resolved.
      bias: The number that was added to each output.
      flip_kernel: Whether the kernel was flipped.
      pooled: The output after the pool, or ``None``.
      pool: The description of the pool, or ``None``.
    """

    image: np.ndarray
    kernel: np.ndarray
    kernel_name: str
    output: np.ndarray
    windows: shapes.Windows
    white: float
    bias: float = 0.0
    flip_kernel: bool = False
    pooled: np.ndarray | None = None
    pool: max_pool | avg_pool | None = None

    @property
    def formula(self) -> str:
        """The formula of the output's height and width, with its numbers."""
        return self.windows.explain()

    @property
    def pool_formula(self) -> str:
        """The formula of the pooled height and width; empty without a pool."""
        return "" if self.pool is None else self.pool.explain(self.output.shape)

    @property
    def applied_kernel(self) -> np.ndarray:
        """The weights as they lie on the picture, flipped if the kernel was."""
        return np.flip(self.kernel, (0, 1)) if self.flip_kernel else self.kernel

    def window(self, position: Sequence[int]) -> WorkedWindow:
        """Return the numbers behind one output of the convolution.

        Args:
          position: Row and column of the output, before the pool, from 0.

        Raises:
          TypeError: they are not integers.
          ValueError: they are not two, or lie outside of the output.
        """
        rows, columns, _ = self.output.shape
        given = arguments.shown(position)
        rule = (
            f"window must be the row and the column of an output: 0…{rows - 1}, 0…{columns - 1}. "
            f"Received: window={given}"
        )
        if not arguments.is_sequence(position) or len(position) != 2:
            raise ValueError(rule)
        y, x = (arguments.check_integer("window", place) for place in position)
        if not (0 <= y < rows and 0 <= x < columns):
            raise ValueError(rule)
        low = [pair[0] for pair in self.windows.padding]
        steps = [place * step for place, step in zip((y, x), self.windows.strides, strict=True)]
        padded = np.pad(self.image, (*self.windows.padding, (0, 0)))
        top, left = steps
        height, width = self.windows.window
        channels = self.image.shape[-1]
        kernel = self.applied_kernel.reshape(height, width, -1)
        return WorkedWindow(
            position=(y, x),
            first=(top - low[0], left - low[1]),
            patch=padded[top : top + height, left : left + width],
            kernel=np.broadcast_to(kernel, (height, width, channels)),
            bias=self.bias,
            adds_channels=self.kernel.ndim == 3,
        )


def filter_steps(
    image: Any,
    kernel: str | Sequence[Sequence[float]] | np.ndarray | jax.Array,
    *,
    bias: float = 0.0,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "SAME",
    flip_kernel: bool = False,
    pool: Layer | None = None,
) -> Filtered:
    """Convolve a picture with a kernel, then pool it, and keep the numbers of every step.

    >>> letter = np.array([[0, 6, 6, 0], [6, 0, 0, 6], [6, 6, 6, 6], [6, 0, 0, 6]]) / 10
    >>> steps = filter_steps(letter, "sobel_x")
    >>> print(steps.formula)
    n_H = n_W = ⌊(4 − 3 + 2·1) / 1⌋ + 1 = 4
    >>> print(steps.window((1, 1)))
    output (1, 1): rows 0…2 and columns 0…2 of the picture, padding included
    <BLANKLINE>
      0  0.6  0.6       1  0  −1         0  0  −0.6
    0.6    0    0   ×   2  0  −2   =   1.2  0     0
    0.6  0.6  0.6       1  0  −1       0.6  0  −0.6
    sum of the products = 0.6

    Args:
      image: ``(height, width)`` or ``(height, width, channels)`` with 1 or 3 channels, uint8 or
        floating point. Values stay in their unit: a uint8 picture is computed on 0…255.
      kernel: A name in :data:`jaxcnn.ops.KERNELS` or ``(rows, columns)`` weights, which are
        applied to each channel; or ``(rows, columns, channels)`` weights, whose channels are added
        to one output, as a convolutional layer does.
      bias: A number that is added to each output.
      strides: Step of the window, at least 1.
      padding: As in :func:`jaxcnn.ops.conv`; it is filled with zeros.
      flip_kernel: Whether to flip the kernel, for the mathematical convolution.
      pool: A ``max_pool(…)`` or ``avg_pool(…)`` of the output.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: the picture or the kernel has another shape, the kernel does not fit into the
        picture, or a name is unknown.
    """
    pixels = _check_picture(image)
    name, weights = _check_kernel(kernel, pixels.shape[-1])
    flip_kernel = arguments.check_flag("flip_kernel", flip_kernel)
    bias = arguments.check_number("bias", bias)
    if pool is not None and not isinstance(pool, max_pool | avg_pool):
        raise TypeError(
            "pool must be a description such as max_pool(2) or avg_pool(2). "
            f"Received: pool={arguments.shown(pool)}"
        )
    windows = shapes.windows(
        pixels.shape[:2],
        weights.shape[:2],
        strides=strides,
        padding=padding,
        name="kernel",
    )
    # One kernel for every channel: channels are examples. A kernel per channel: they are added.
    planes = jnp.asarray(
        pixels[None] if weights.ndim == 3 else np.moveaxis(pixels, -1, 0)[..., None]
    )
    convolved = ops.conv(
        planes,
        jnp.asarray(weights.reshape(*weights.shape[:2], -1, 1)),
        jnp.full(1, bias, jnp.float32),
        strides=windows.strides,
        padding=windows.padding,
        flip_kernel=flip_kernel,
        precision="highest",
    )
    output = np.moveaxis(np.asarray(convolved)[..., 0], 0, -1)
    pooled = None
    if pool is not None:
        module = pool.build(output.shape, rngs=nnx.Rngs(0))
        pooled = np.asarray(module(jnp.asarray(output)[None]))[0]
    white = 255.0 if np.asarray(image).dtype == np.uint8 or pixels.max() > 1 else 1.0
    return Filtered(pixels, weights, name, output, windows, white, bias, flip_kernel, pooled, pool)


def number_text(value: float) -> str:
    """Return a number with at most four digits after the point, and a true minus.

    >>> number_text(-498.0), number_text(0.1 + 0.2)
    ('−498', '0.3')
    """
    rounded = round(float(value), 4)
    return f"{rounded + 0.0:.10g}".replace("-", "−")


def _check_picture(image: Any) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in CHANNELS or pixels.size == 0:
        raise ValueError(
            "image must be (height, width) or (height, width, channels) with 1 or 3 channels. "
            f"Received: shape {np.shape(image)}"
        )
    if pixels.dtype != np.uint8 and not jnp.issubdtype(pixels.dtype, jnp.floating):
        raise TypeError(f"image must be uint8 or floating point. Received: dtype {pixels.dtype}")
    return pixels.astype(np.float32)


def _check_kernel(kernel: Any, channels: int) -> tuple[str, np.ndarray]:
    if isinstance(kernel, str):
        arguments.check_known("kernel", kernel, KERNELS)
        return kernel, np.asarray(KERNELS[kernel], np.float32)
    rule = (
        "kernel must be (rows, columns) finite numbers, or (rows, columns, channels) with the "
        f"{channels} channels of the picture"
    )
    try:
        weights = np.asarray(kernel, np.float32)
    except (ValueError, TypeError):
        raise ValueError(f"{rule}. Received: kernel={arguments.shown(kernel)}") from None
    if (
        weights.ndim not in (2, 3)
        or weights.size == 0
        or weights.shape[2:] not in ((), (channels,))
    ):
        raise ValueError(f"{rule}. Received: shape {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError(f"{rule}. Received: kernel={arguments.shown(kernel)}")
    return "kernel", weights


def _channel_names(channels: int) -> Sequence[str]:
    return CHANNELS.get(channels) or tuple(map(str, range(channels)))


def _span(first: int, count: int) -> str:
    return f"{first}…{first + count - 1}".replace("-", "−")


def term_text(value: float) -> str:
    """Return a number as a further term of a sum; nothing for a bias of 0."""
    if value == 0:
        return ""
    return f" {'−' if value < 0 else '+'} {number_text(math.fabs(value))}"


def _side_by_side(patch: np.ndarray, kernel: np.ndarray, products: np.ndarray) -> list[str]:
    """Return the lines of three matrices, with × and = between their middle rows."""
    blocks = [_block(patch), _block(kernel), _block(products)]
    middle = (len(patch) - 1) // 2
    return [
        f"{a}   {'×' if row == middle else ' '}   {b}   {'=' if row == middle else ' '}   {c}"
        for row, (a, b, c) in enumerate(zip(*blocks, strict=True))
    ]


def _block(matrix: np.ndarray) -> list[str]:
    cells = [[number_text(value) for value in row] for row in matrix]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]

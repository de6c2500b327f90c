"""The window of a kernel or of a pool that moves over a picture, with the numbers of each step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import matplotlib
import matplotlib.colors
import numpy as np

from jaxcnn import arguments, shapes
from jaxcnn.augment.color import LUMA
from jaxcnn.insight.filtering import Filtered, number_text, term_text
from jaxcnn.insight.picture_parts import text_width
from jaxcnn.insight.plots.animation import Animation, Box, Moving, Parts, Words
from jaxcnn.insight.plots.drawing import SIGNED
from jaxcnn.insight.plots.filters import weight_text
from jaxcnn.layers import max_pool

_MOST = 10
# The side of a cell, the distance between grids, the room of their headings, and the width beyond
# which a grid is placed below the ones before.
_SIDE, _GAP, _HEAD, _WIDEST, _MARGIN = 36, 32, 26, 480, 10
_WINDOW = "#e69f00"
Point: TypeAlias = tuple[float, float]
Sizes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class _Stage:
    """A window over a picture.

    Attributes:
      before, after: ``(rows, columns)`` of the picture and of the output.
      fills: The colors of both.
      windows: The window.
      kernel: ``(rows, columns)`` weights; empty for a pool.
      headings: Of picture and output.
      worked: Returns by position the texts of what the window reads, and of its result.
    """

    before: np.ndarray
    after: np.ndarray
    fills: tuple[np.ndarray, np.ndarray]
    windows: shapes.Windows
    kernel: np.ndarray
    headings: tuple[str, str]
    worked: Callable[[Sizes], tuple[np.ndarray, str]]


def sliding_window(steps: Filtered, *, pool: bool = False, seconds: float = 1.5) -> Animation:
    """Draw the window as it moves over a picture of at most 10×10 pixels.

    Each step writes the products of pixels and weights and their sum, and one value of the output.
    Padding has dashed lines. Of a pool, the values in the window are written.

    >>> from jaxcnn.insight import filter_steps
    >>> animation = sliding_window(filter_steps(np.eye(4), "edges", padding="valid"))
    >>> len(animation.steps), animation.svg[:4]
    (4, '<svg')

    Args:
      steps: The result of :func:`jaxcnn.insight.filter_steps` for a picture of one channel.
      pool: Whether to draw the pool on the output of the kernel, not the kernel on the picture.
      seconds: Duration of each step, above 0.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: the picture is larger or has more channels, or there is no pool.
    """
    seconds = arguments.check_number("seconds", seconds, above=0)
    pool = arguments.check_flag("pool", pool)
    rows, columns, channels = steps.image.shape
    if channels != 1 or max(rows, columns) > _MOST:
        raise ValueError(
            f"steps must be of a picture of at most {_MOST}×{_MOST} pixels with one channel. "
            f"Received: a picture of {rows}×{columns} pixels with {channels}"
        )
    stage = _pool_stage(steps) if pool else _kernel_stage(steps)
    windows = stage.windows
    low, high = zip(*windows.padding, strict=True)
    padded = tuple(map(sum, zip(stage.before.shape, low, high, windows.overhang, strict=True)))
    positions = list(np.ndindex(stage.after.shape))
    worked = [stage.worked(position) for position in positions]
    column = max(text_width(text, 13) for texts, _ in worked for text in texts.flat) + 20
    tall, across = windows.window
    weighted = bool(stage.kernel.size)
    upper = [_extent(padded), _extent(stage.after.shape)]
    lower = [_extent(stage.kernel.shape)] * weighted
    lower.append((across * column, _SIDE * tall + 30))
    kernel_headings = [_kernel_heading(windows), "products"]
    headings = [*stage.headings, *(kernel_headings if weighted else ["in the window"])]
    (first, after, *others), width, height = _flow([upper, lower], headings)
    before = _place(first, low)
    table = others[-1]
    still: list[Box | Words] = [
        Words(text, x, y - 12, 12, bold=True, anchor="start")
        for text, (x, y) in zip(headings, [first, after, *others], strict=True)
    ]
    filled = "0" if weighted else ""  # a pool reads no padding
    still += _padding(first, padded, low, stage.before.shape, filled)
    still += _numbers(before, stage.before, stage.fills[0], lift=3 * weighted)
    still += [_cell(_place(after, position)) for position in positions]
    if weighted:
        still += _numbers(others[0], stage.kernel, _kernel_fills(stage.kernel), weights=True)
        still += _signs(table, windows.window, column)
    written = [_worked(table, column, texts, result) for texts, result in worked]
    corners = [np.multiply(position, windows.strides).tolist() for position in positions]
    frames = (
        Moving(_window_parts(stage), tuple(_place(first, corner) for corner in corners)),
        Moving((_frame(1, 1),), tuple(_place(after, position) for position in positions)),
    )
    shown = list(_numbers(after, stage.after, stage.fills[1]))
    kept = tuple((box, words) for box, words in zip(shown[::2], shown[1::2], strict=True))
    title = f"A window of {tall}×{across} moves over a picture of {_sizes(stage.before.shape)}"
    return Animation(title, width, height, seconds, tuple(still), kept, frames, tuple(written))


def _kernel_stage(steps: Filtered) -> _Stage:
    kernel = steps.applied_kernel.reshape(steps.windows.window)

    def worked(position: Sizes) -> tuple[np.ndarray, str]:
        window = steps.window(position)
        pairs = np.broadcast(window.patch[..., 0], kernel)
        texts = [f"{_short(pixel)}·{_factor(float(weight))}" for pixel, weight in pairs]
        total = _short(window.sums[0])
        result = f"sum = {total}"
        if steps.bias:
            result += f",  {total}{term_text(steps.bias)} = {_short(window.values[0])}"
        return np.reshape(texts, kernel.shape), result

    before, after = steps.image[..., 0], steps.output[..., 0]
    return _Stage(
        before, after, (_colors(before, steps.white, signed=False), _output_colors(after, after)),
        steps.windows, kernel, (f"picture {_sizes(before.shape)}", f"output {_sizes(after.shape)}"),
        worked,
    )  # fmt: skip


def _pool_stage(steps: Filtered) -> _Stage:
    if steps.pooled is None or steps.pool is None:
        raise ValueError("steps must have a pool, such as filter_steps(…, pool=max_pool(2))")
    windows = steps.pool.windows(steps.output.shape)
    before, after = steps.output[..., 0], steps.pooled[..., 0]
    name = "max" if isinstance(steps.pool, max_pool) else "mean"
    ends = zip(windows.padding, windows.overhang, strict=True)
    around = np.pad(before, [(a, b + more) for (a, b), more in ends], constant_values=np.nan)

    def worked(position: Sizes) -> tuple[np.ndarray, str]:
        read = np.ix_(*(
            place * step + spread * np.arange(size)
            for place, step, spread, size in zip(
                position, windows.strides, windows.dilation, windows.window, strict=True
            )
        ))  # fmt: skip
        texts = ["" if np.isnan(value) else _short(value) for value in around[read].flat]
        return np.reshape(texts, windows.window), f"{name} = {_short(after[position])}"

    return _Stage(
        before, after, (_output_colors(before, before), _output_colors(after, before)), windows,
        np.empty((0, 0)), (f"before {_sizes(before.shape)}", f"after {_sizes(after.shape)}"),
        worked,
    )  # fmt: skip


def _output_colors(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    return _colors(values, float(np.abs(of).max()) or 1.0, signed=bool(of.min() < 0))


def _kernel_fills(kernel: np.ndarray) -> np.ndarray:
    """Return weak colors, so that the numbers are read first."""
    return _colors(kernel, 2 * (float(np.abs(kernel).max()) or 1.0), signed=True)


def _colors(values: np.ndarray, top: float, *, signed: bool) -> np.ndarray:
    """Return colors up to `top`: zero-centered of values with a sign, otherwise gray."""
    shares = (values / top + 1) / 2 if signed else values / top
    colors = matplotlib.colormaps[SIGNED if signed else "gray"](np.clip(shares, 0, 1))
    names = [matplotlib.colors.to_hex(tuple(color)) for color in colors.reshape(-1, 4)]
    return np.reshape(names, values.shape)


def _numbers(
    place: Point, values: np.ndarray, fills: np.ndarray, *, lift: int = 0, weights: bool = False
) -> Iterator[Box | Words]:
    """Yield for each value its cell, then its number, which is black or white."""
    digits = next((n for n, most in ((2, 10), (1, 100)) if np.abs(values).max() < most), 0)
    texts = [
        weight_text(float(value)) if weights else number_text(round(float(value), digits))
        for value in values.flat
    ]
    size = min(14.0, 14 * 28 / max(text_width(text, 14) for text in texts))
    for position, text in zip(np.ndindex(values.shape), texts, strict=True):
        fill = str(fills[position])
        x, y = _place(place, position)
        dark = np.dot(matplotlib.colors.to_rgb(fill), LUMA) < 0.5
        yield _cell((x, y), fill)
        color = "#fff" if dark else "#000"
        yield Words(text, x + _SIDE / 2, y + _SIDE / 2 - lift, size, color)


def _padding(
    place: Point, padded: Sizes, low: Sizes, inner: Sizes, text: str
) -> Iterator[Box | Words]:
    for position in np.ndindex(padded):
        if not all(0 <= p - a < n for p, a, n in zip(position, low, inner, strict=True)):
            x, y = _place(place, position)
            yield _cell((x, y))._replace(dashed=True)
            yield Words(text, x + _SIDE / 2, y + _SIDE / 2 - 3, 14, "#808080")


def _window_parts(stage: _Stage) -> Parts:
    """Return the frame of the window, with the weights in the corners of its cells."""
    extents = map(shapes.extent, stage.windows.window, stage.windows.dilation)
    parts: list[Box | Words] = [_frame(*extents)]
    for position, weight in np.ndenumerate(stage.kernel):
        text = f"×{weight_text(float(weight))}"
        wide = min(text_width(text, 9) + 3, _SIDE)
        x, y = _place((_SIDE - wide, _SIDE - 12), position)
        parts += [Box(x, y, wide, 12, _WINDOW, None), Words(text, x + wide / 2, y + 6, 9, "#000")]
    return tuple(parts)


def _signs(place: Point, window: Sizes, column: float) -> Iterator[Words]:
    """Yield the plus signs between products, and at the end of each row but the last."""
    for row, number in np.ndindex(window):
        if (row + 1, number + 1) != window:
            yield Words("+", place[0] + (number + 1) * column, place[1] + (row + 0.5) * _SIDE)


def _worked(place: Point, column: float, texts: np.ndarray, result: str) -> Parts:
    x, y = place
    parts = [
        Words(str(text), x + (number + 0.5) * column, y + (row + 0.5) * _SIDE)
        for (row, number), text in np.ndenumerate(texts)
        if text
    ]
    middle = x + max(column * texts.shape[1], text_width(result, 15, bold=True)) / 2
    return (*parts, Words(result, middle, y + texts.shape[0] * _SIDE + 15, 15, bold=True))


def _flow(
    rows: Sequence[Sequence[tuple[float, float]]], headings: Sequence[str]
) -> tuple[list[Point], float, float]:
    """Return the places of blocks, row by row from left to right, and the width and height."""
    names, places = iter(headings), []
    top, right = float(_MARGIN), 0.0
    for row in rows:
        left, bottom = float(_MARGIN), top
        for block_width, block_height in row:
            wide = max(block_width, text_width(next(names), 12, bold=True))
            if left > _MARGIN and left + wide > _WIDEST:
                left, top = float(_MARGIN), bottom
            places.append((left, top + _HEAD))
            right = max(right, left + wide + _MARGIN)
            bottom = max(bottom, top + _HEAD + block_height + 14)
            left += wide + _GAP
        top = bottom
    return places, right, top


def _extent(sizes: Sizes) -> tuple[float, float]:
    rows, columns = sizes
    return columns * _SIDE, rows * _SIDE


def _place(place: Point, position: Sequence[int]) -> Point:
    """Return the upper left corner of the cell in a row and a column."""
    return place[0] + position[1] * _SIDE, place[1] + position[0] * _SIDE


def _cell(place: Point, fill: str | None = None) -> Box:
    return Box(*place, _SIDE, _SIDE, fill)


def _frame(rows: int, columns: int) -> Box:
    return Box(0, 0, columns * _SIDE, rows * _SIDE, line=_WINDOW, thickness=3)


def _kernel_heading(windows: shapes.Windows) -> str:
    steps = {*windows.strides}
    strides = str(*steps) if len(steps) == 1 else _sizes(windows.strides)
    return f"kernel {_sizes(windows.window)}, stride {strides}"


def _sizes(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))


def _short(value: float) -> str:
    return number_text(round(float(value), 2))


def _factor(weight: float) -> str:
    text = weight_text(weight)
    return f"({text})" if text.startswith("−") else text

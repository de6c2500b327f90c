"""How an operation is computed on CPU where XLA's own way is slow; the same but for rounding.

Times are the least of several runs in milliseconds, float32, two cores, jax 0.10.2, interleaved
with XLA's own way; ``examples/benchmarks/ops.py`` repeats them.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives import winograd
from jaxcnn.ops.primitives.lowering import alike, alone, transposed

# None where XLA's own way is best.
Result: TypeAlias = jax.Array | None

_THIN = 4  # channels of a group


def conv(x: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int) -> Result:
    """Returns the convolution of ``x`` with ``kernel``, or ``None``."""
    if _is_thin(windows, groups, kernel.shape[-2]):
        return _thin_groups(x, kernel, windows, groups)
    if _is_gray(windows, x.shape[-1]):
        return _taps_added(x, kernel, windows)
    if _suits_winograd(windows, groups, x.shape[0], *kernel.shape[-2:]):
        return winograd.conv(x, kernel, windows.padding)
    form = _as_other_form(windows, groups)
    return form and form(x, kernel, windows, groups)


def conv_input_gradient(
    y: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int
) -> Result:
    """Returns the transpose of :func:`conv` in ``x``, applied to ``y``, or ``None``."""
    in_features = kernel.shape[-2] * groups
    if _is_thin(windows, groups, kernel.shape[-2]):
        return _thin_groups_input_gradient(y, kernel, windows, groups)
    if _suits_winograd(windows, groups, y.shape[0], *kernel.shape[-2:]):
        flipped = jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3)
        return winograd.conv(
            y, flipped, tuple((2 - low, 2 - high) for low, high in windows.padding)
        )
    form = _as_other_form(windows, groups)
    if form is None:
        return None
    shape = (y.shape[0], *windows.spatial, in_features)
    return transposed(lambda x: form(x, kernel, windows, groups), shape, y)


def conv_kernel_gradient(
    x: jax.Array, y: jax.Array, windows: shapes.Windows, groups: int
) -> Result:
    """Returns the transpose of :func:`conv` in ``kernel``, applied to ``y``, or ``None``."""
    if _is_thin(windows, groups, x.shape[-1] // groups):
        return _thin_groups_kernel_gradient(x, y, windows, groups)
    if _suits_winograd(windows, groups, x.shape[0], x.shape[-1], y.shape[-1]):
        return winograd.kernel_gradient(x, y, windows.padding)
    form = _as_other_form(windows, groups)
    if form is None:
        return None
    shape = (*windows.window, x.shape[-1] // groups, y.shape[-1])
    return transposed(lambda kernel: form(x, kernel, windows, groups), shape, y)


def is_wide(groups: int, group_inputs: int) -> bool:
    """Whether each group of channels is best convolved as an image of its own.

    XLA runs a scalar loop over groups. All gradients, 3×3: 32 groups of 16 channels of
    (8, 14, 14, 512): 20 against 4000, and 52 as one batch of products; 64 of 16 of
    (4, 14, 14, 1024): 21 against 7900; 2 of 64 of (8, 28, 28, 128): 19 against 410. Each group is
    0.06 s to compile.
    """
    return groups > 1 and group_inputs > _THIN


def _is_thin(windows: shapes.Windows, groups: int, group_inputs: int) -> bool:
    """Whether groups of channels are so narrow that products have little to sum over.

    XLA runs a scalar loop. Depthwise 3×3 of (16, 48, 48, 96): forward 2.6 against 121, all
    gradients 11 against 490. 32 groups of 4 channels, 3×3 of (16, 28, 28, 128): 6 against 76, 20
    against 5000. All gradients of depthwise 9×9 of (4, 28, 28, 96): 4.5 against 190; 21×21 of
    (2, 28, 28, 32): 53 against 166, and 2.6 s to compile; 5×5×5 of (2, 8, 16, 16, 16): 16 against
    315; 32 groups of 8, 3×3 of (8, 28, 28, 256): 60, and 44 group by group.
    """
    written_out = group_inputs * math.prod(windows.window)
    return groups > 1 and group_inputs <= _THIN and written_out <= 512


def _is_gray(windows: shapes.Windows, in_features: int) -> bool:
    """Whether there is one channel: a product has nothing to sum over.

    3×3 of (128, 28, 28, 1) to 64, forward: 1.7 against 5.6. Its gradients are XLA's.
    """
    return in_features == 1 and math.prod(windows.window) <= 64  # more take long to compile


def _suits_winograd(
    windows: shapes.Windows, groups: int, batch: int, in_features: int, features: int
) -> bool:
    """Whether Winograd's way saves more in multiplications than it moves in memory.

    3×3 of (32, 32, 32, 64) to 64: 10 against 17, kernel gradient 17 against 21; (32, 16, 16, 128)
    to 128: 7 against 14 and 11 against 19; (32, 8, 8, 256) to 256: 8 against 15 and 11 against 18.
    A value that is written and read costs what eight multiplications do, and products of fewer
    than 64 rows are slow: (32, 4, 4, 512) to 512 has 32, and takes 13 against 17, 23 against 15.
    """
    if windows.window != (3, 3) or groups != 1 or max(*windows.strides, *windows.dilation) > 1:
        return False
    if min(in_features, features) < 32:  # thin products
        return False
    if max(map(max, windows.padding)) > 2:  # the input gradient would crop
        return False
    rows = batch * math.prod(winograd.tiles(windows.output_sizes))
    points = winograd.READ**2
    moved = points * (rows * (in_features + features) + in_features * features)
    multiplications = points * rows * in_features * features
    direct = 9 * batch * math.prod(windows.output_sizes) * in_features * features
    return rows >= 64 and multiplications + 8 * moved < direct


def _as_other_form(windows: shapes.Windows, groups: int) -> Callable[..., jax.Array] | None:
    """Returns how to write a convolution as something that XLA is good at, or ``None``.

    1×1 of (32, 32, 32, 64) to 128 with stride 2: 1.6 against 1.9, input gradient 1.9 against 2.3,
    kernel gradient 2.7 against 4.9; 16 groups of 24 of (8, 28, 28, 384), all gradients: 10 against
    480, and 24 group by group. 3×3×3 of (8, 16, 32, 32, 3) to 16: 15 against 206, 11 against 200,
    19 against 62.
    """
    padded = any(map(any, windows.padding))
    if set(windows.window) == {1} and not padded:
        return _pointwise
    return _stacked if len(windows.window) == 3 and groups == 1 else None


def _pointwise(x: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int) -> jax.Array:
    """A convolution of size 1 as a product of matrices for each group."""
    (x,) = _offset_slices(x, windows, 0.0)
    if groups == 1:
        y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(kernel.shape[-2:])
    else:
        rows = x.reshape(-1, groups, x.shape[-1] // groups)
        weights = kernel.reshape(kernel.shape[-2], groups, -1)
        y = jnp.moveaxis(lax.dot_general(rows, weights, (((2,), (0,)), ((1,), (1,)))), 0, 1)
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


def _stacked(x: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int) -> jax.Array:
    """A 3-D convolution as a 2-D one: the depth's taps in the channels, the depth in the batch."""
    batch, *_, channels = x.shape
    depth = windows.output_sizes[0]
    slices = [
        part.reshape(batch * depth, *windows.spatial[1:], channels)
        for part in _offset_slices(x, _along(windows, 0, windows.spatial), 0.0)
    ]
    images = jnp.concatenate(slices, axis=-1)
    kernels = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    y = lax.conv_general_dilated(
        images,
        kernels,
        window_strides=windows.strides[1:],
        padding=windows.padding[1:],
        rhs_dilation=windows.dilation[1:],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.reshape(batch, depth, *y.shape[1:])


def _taps_added(x: jax.Array, kernel: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Adds up the inputs under each tap of the kernel times its weights, one per channel."""
    taps = zip(_offset_slices(x, windows, 0.0), _weights(kernel), strict=True)
    first, *others = (part * weight for part, weight in taps)
    return sum(others, first)


def _weights(kernel: jax.Array) -> jax.Array:
    """Returns the weights of each tap, ready to be multiplied with an image of the same rank."""
    return kernel.reshape(-1, *(1,) * (kernel.ndim - 1), kernel.shape[-1])


def _thin_groups(
    x: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int
) -> jax.Array:
    """Adds up depthwise convolutions: of the first channel of every group, of the second, …."""
    return functools.reduce(
        jnp.add,
        (
            _taps_added(_repeated(part, kernel.shape[-1]), weights, windows)
            for part, weights in zip(_in_every_group(x, groups), _inputs_of(kernel), strict=True)
        ),
    )


def _thin_groups_input_gradient(
    y: jax.Array, kernel: jax.Array, windows: shapes.Windows, groups: int
) -> jax.Array:
    parts = [
        _depthwise_input_gradient(y, weights, windows, groups) for weights in _inputs_of(kernel)
    ]
    x = jnp.stack(parts, axis=-1)
    return x.reshape(*x.shape[:-2], groups * len(parts))


def _thin_groups_kernel_gradient(
    x: jax.Array, y: jax.Array, windows: shapes.Windows, groups: int
) -> jax.Array:
    parts = _in_every_group(x, groups)
    return jnp.concatenate([_depthwise_kernel_gradient(p, y, windows) for p in parts], axis=-2)


def _in_every_group(x: jax.Array, groups: int) -> list[jax.Array]:
    """Returns the first channel of every group, the second, …."""
    split = x.reshape(*x.shape[:-1], groups, -1)
    return [split[..., index] for index in range(split.shape[-1])]


def _inputs_of(kernel: jax.Array) -> list[jax.Array]:
    """Returns the weights of each input of a group: ``(*kernel_size, 1, features)``."""
    return jnp.split(kernel, kernel.shape[-2], axis=-2)


def _depthwise_input_gradient(
    y: jax.Array, kernel: jax.Array, windows: shapes.Windows, in_features: int
) -> jax.Array:
    """Convolves ``y``, its positions ``strides`` apart, with the flipped kernel."""
    spread = _padded(y, windows.gradient_borders)
    axes = len(windows.window)
    dense = windows._replace(
        spatial=spread.shape[1:-1], strides=(1,) * axes, padding=((0, 0),) * axes
    )
    x = _taps_added(spread, jnp.flip(kernel, range(axes)), dense)
    return x.reshape(*x.shape[:-1], in_features, -1).sum(axis=-1)


def _depthwise_kernel_gradient(x: jax.Array, y: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Adds up, row after row of ``y``, its product with the rows of ``x`` under the kernel.

    Nine sums over whole arrays would read both nine times; rows stay in the cache, and are long
    enough for vector code.
    """
    features = y.shape[-1]
    borders = ((0, 0, 0), *((low, high, 0) for low, high in windows.padding), (0, 0, 0))
    padded = _padded(_repeated(x, features), borders)
    *leading, row = tuple(zip(windows.window, windows.strides, windows.dilation, strict=True))
    counts = y.shape[:-2]
    extents = [shapes.extent(window, dilation) for window, _, dilation in leading]
    width = (y.shape[-2] - 1) * row[1] + 1

    def add(index: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        example, *places = jnp.unravel_index(index, counts)
        start = [place * stride for place, (_, stride, _) in zip(places, leading, strict=True)]
        rows = lax.dynamic_slice(padded, (example, *start, 0, 0), (1, *extents, *padded.shape[-2:]))
        weights = lax.dynamic_slice(y, (example, *places, 0, 0), (1,) * len(counts) + y.shape[-2:])
        taps = []
        for tap, total in enumerate(sums):
            at = tap * row[2]
            under = lax.slice(
                rows,
                (0,) * len(counts) + (at, 0),
                (1, *extents, at + width, features),
                (1, *(dilation for _, _, dilation in leading), row[1], 1),
            )
            taps.append(total + under[0] * weights[0])
        return tuple(taps)

    shape = (*(window for window, _, _ in leading), *y.shape[-2:])
    nothing, _ = alike(jnp.zeros(shape, y.dtype), y)
    sums = lax.fori_loop(0, math.prod(counts), add, (nothing,) * row[0])
    return jnp.stack([total.sum(axis=-2) for total in sums], axis=-2)[..., None, :]


def _repeated(x: jax.Array, features: int) -> jax.Array:
    """Returns each channel as often as outputs read it."""
    return jnp.repeat(x, features // x.shape[-1], axis=-1)


def is_small(windows: shapes.Windows) -> bool:
    """Whether to write out the positions of a window: many of them take long to compile."""
    return max(windows.window) <= 64


def _passes(windows: shapes.Windows) -> list[shapes.Windows]:
    """Returns windows along one axis each, one after the other the same as all at once, or that.

    From the last axis on, the first largest of the rows' first largest is the first in memory
    order. Forward and gradient of max pools: 9×9 of (8, 13, 13, 256), stride 1: 1.8 against 17 at
    once and 133 by XLA; 5×5 of (8, 28, 28, 128): 2.2 against 6.3; 7×7 with stride 2 of
    (8, 56, 56, 64): 2.8 against 8.1; 5×5×5 with stride 2 of (2, 12, 24, 24, 32): 0.9 against 8.6;
    but 3×3 with stride 2 of (32, 56, 56, 64): 41 against 29, 4×4 with stride 4: 6.2 against 3.9.
    """
    positions = math.prod(windows.window)
    if positions <= 9 * math.prod(windows.strides) and positions <= 64:
        return [windows]
    spatial, passes = windows.spatial, []
    for axis in reversed(range(len(spatial))):
        one = _along(windows, axis, spatial)
        passes.append(one)
        spatial = one.output_sizes
    return passes


def _along(windows: shapes.Windows, axis: int, spatial: shapes.Shape) -> shapes.Windows:
    """Returns the windows on one axis alone, over an input of other sizes."""

    def only(column: Sequence[Any], other: Any) -> tuple[Any, ...]:
        return tuple(value if at == axis else other for at, value in enumerate(column))

    return windows._replace(
        spatial=spatial,
        window=only(windows.window, 1),
        strides=only(windows.strides, 1),
        padding=only(windows.padding, (0, 0)),
        dilation=only(windows.dilation, 1),
    )


def max_pool(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Returns the largest value of each window of floating-point numbers.

    2×2 of (128, 26, 26, 64): 0.7 against 0.9; 3×3 with stride 2 of (32, 56, 56, 64): 2.8 against
    4.4.
    """
    for one in _passes(windows):
        x = functools.reduce(jnp.maximum, _offset_slices(x, one, -jnp.inf))
    return x


def index_dtype(windows: shapes.Windows) -> jnp.dtype:
    """Returns the dtype of offsets in a window; its largest number stands for none."""
    positions = max(math.prod(one.window) for one in _passes(windows))
    return jnp.dtype(jnp.uint8 if positions < 256 else jnp.uint32)


def index_size(windows: shapes.Windows) -> int:
    """Returns how many offsets of each channel of an example are kept."""
    return sum(math.prod(one.output_sizes) for one in _passes(windows))


def max_pool_index(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Returns the offset, in memory order, of the first maximum of each window; NaN is largest.

    Args:
      x: ``(batch, *spatial, channels)``.
      windows: The resolved window.

    Returns:
      Offsets of each pass, ``(batch, index_size, channels)``, of :func:`index_dtype`.
    """
    dtype, found = index_dtype(windows), []
    for one in _passes(windows):
        x, *others = _offset_slices(x, one, -jnp.inf)
        index = jnp.zeros(x.shape, dtype)
        for offset, value in enumerate(others, start=1):
            larger = (value > x) | (jnp.isnan(value) & ~jnp.isnan(x))
            index = jnp.where(larger, jnp.asarray(offset, dtype), index)
            x = jnp.where(larger, value, x)
        found.append(index.reshape(x.shape[0], math.prod(one.output_sizes), x.shape[-1]))
    return jnp.concatenate(found, axis=1)


def _indices(index: jax.Array, windows: shapes.Windows) -> list[tuple[jax.Array, shapes.Windows]]:
    """Returns each pass with the offsets of its windows, ``(batch, *output_sizes, channels)``."""
    passes = _passes(windows)
    ends = np.cumsum([math.prod(one.output_sizes) for one in passes])[:-1]
    batch, _, channels = index.shape
    return [
        (part.reshape(batch, *one.output_sizes, channels), one)
        for part, one in zip(jnp.split(index, ends, axis=1), passes, strict=True)
    ]


def max_pool_tangent(dx: jax.Array, index: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Returns what stands in ``dx`` where each window has its first maximum."""
    zero = jnp.zeros((), dx.dtype)
    for offsets, one in _indices(index, windows):
        slices = enumerate(_offset_slices(dx, one, 0.0))
        parts = (jnp.where(offsets == jnp.asarray(o, index.dtype), p, zero) for o, p in slices)
        dx = functools.reduce(jnp.add, parts)
    return dx


def max_pool_cotangent(dy: jax.Array, index: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Adds each value of ``dy`` to the input where its window has the first maximum."""
    if max(windows.dilation) > 1:
        shape = (dy.shape[0], *windows.spatial, dy.shape[-1])
        return transposed(lambda dx: max_pool_tangent(dx, index, windows), shape, dy)
    for offsets, one in reversed(_indices(index, windows)):
        dy = _to_winners(dy, offsets, one)
    return dy


def _to_winners(dy: jax.Array, index: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Returns the cotangent of one pass.

    The padded input is a grid of blocks, as large as the strides. An input is under windows that
    start in its block or a few before; which offset of them it is, its place in the block tells.
    So there is one sum for each place, over whole arrays, and nothing is scattered.

    Forward and gradient of a 2×2 pool of (128, 26, 26, 64): 0.9 against 45 by XLA's
    select-and-scatter, a scalar loop; 3×3 with stride 2 of (32, 56, 56, 64): 4.6 against 83, and
    6.5 by comparing a block's whole inside with each window at once.
    """
    axes = list(zip(windows.window, windows.strides, windows.output_sizes, strict=True))
    before = [-(-window // stride) - 1 for window, stride, _ in axes]
    blocks = [count + more for (_, _, count), more in zip(axes, before, strict=True)]
    ahead = ((0, 0, 0), *((count, count, 0) for count in before), (0, 0, 0))
    dy, index = _padded(dy, ahead), _padded(index, ahead)

    def gathered(place: tuple[int, ...]) -> jax.Array:
        """Returns what the inputs at this place of their blocks get, or more places at once."""
        axis = len(place)
        if axis < len(axes):
            parts = [gathered((*place, inside)) for inside in range(windows.strides[axis])]
            return jnp.stack(parts, axis=axis + 2)
        total = jnp.zeros((dy.shape[0], *blocks, dy.shape[-1]), dy.dtype)
        reads = [range(at, w, stride) for at, (w, stride, _) in zip(place, axes, strict=True)]
        for offset in itertools.product(*reads):
            start = [b - o // s for b, o, (_, s, _) in zip(before, offset, axes, strict=True)]
            stop = [at + count for at, count in zip(start, blocks, strict=True)]
            bounds = (0, *start, 0), (dy.shape[0], *stop, dy.shape[-1])
            number = jnp.asarray(np.ravel_multi_index(offset, windows.window), index.dtype)
            total += jnp.where(lax.slice(index, *bounds) == number, lax.slice(dy, *bounds), 0)
        return total

    ends = [count * stride for count, stride in zip(blocks, windows.strides, strict=True)]
    x = gathered(()).reshape(dy.shape[0], *ends, dy.shape[-1])
    borders = [
        (-low, size + low - end, 0)
        for size, end, (low, _) in zip(windows.spatial, ends, windows.padding, strict=True)
    ]
    return _padded(x, ((0, 0, 0), *borders, (0, 0, 0)))


def _padded(x: jax.Array, borders: Sequence[tuple[int, int, int]], fill: float = 0.0) -> jax.Array:
    """Pads as :func:`jax.lax.pad`, where there is something to pad."""
    if not any(map(any, borders)):
        return x
    return alone(lambda x: lax.pad(x, jnp.asarray(fill, x.dtype), borders), x)


def _offset_slices(x: jax.Array, windows: shapes.Windows, fill: float) -> Iterator[jax.Array]:
    """Yields, for each offset in the window in memory order, the inputs that it reads."""
    padded = _padded(x, windows.borders, fill)
    spans = [(n - 1) * s + 1 for n, s in zip(windows.output_sizes, windows.strides, strict=True)]
    for offset in itertools.product(*map(range, windows.window)):
        start = [o * d for o, d in zip(offset, windows.dilation, strict=True)]
        stop = [at + span for at, span in zip(start, spans, strict=True)]
        yield lax.slice(
            padded,
            (0, *start, 0),
            (x.shape[0], *stop, x.shape[-1]),
            (1, *windows.strides, 1),
        )


def sum_pool(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Returns the sum of each window.

    3×3 of (32, 28, 28, 64): 1.1 against 6.8; 2×2 of (128, 26, 26, 64): 0.6 against 1.1.
    """
    for one in _passes(windows):
        x = functools.reduce(jnp.add, _offset_slices(x, one, 0.0))
    return x


def sum_pool_cotangent(dy: jax.Array, windows: shapes.Windows) -> Result:
    """Adds each value of ``dy`` to every input of its window, or returns ``None``.

    3×3 of (32, 28, 28, 64): 0.9 against 3.1; 3×3 with stride 2 of (32, 56, 56, 64): 5.6 against 33.
    """
    if max(windows.strides) == 1:  # an input is under a window of outputs
        padding = windows.gradient_padding
        return sum_pool(dy, windows._replace(spatial=dy.shape[1:-1], padding=padding))
    if all(
        window <= stride for window, stride in zip(windows.window, windows.strides, strict=True)
    ):
        return None
    shape = (dy.shape[0], *windows.spatial, dy.shape[-1])
    return transposed(lambda x: sum_pool(x, windows), shape, dy)


def total(x: jax.Array) -> jax.Array:
    """Sums each channel over all positions: eight parts of the array first, then a product.

    XLA sums down the columns, a few at a time. (128, 26, 26, 64): 0.9 against 6.7; the sum of
    squares of (32, 32, 32, 64), squared on the way: 0.3 against 1.8.
    """
    rows = x.reshape(-1, x.shape[-1])
    part = len(rows) // 8
    eight = [rows[index * part : (index + 1) * part] for index in range(8)]
    sums = jnp.concatenate([functools.reduce(jnp.add, eight), rows[8 * part :]])
    return jnp.ones(len(sums), x.dtype) @ sums

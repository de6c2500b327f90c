"""Shifted slices under a window: the inputs that each offset of the window reads."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives.lowering import compile_separately


def pad_borders(
    x: jax.Array, borders: Sequence[tuple[int, int, int]], fill: float = 0.0
) -> jax.Array:
    """Apply :func:`jax.lax.pad` unless every border is zero."""
    if not any(map(any, borders)):
        return x
    return compile_separately(lambda x: lax.pad(x, jnp.asarray(fill, x.dtype), borders), x)


def offset_slices(x: jax.Array, windows: shapes.Windows, fill: float) -> Iterator[jax.Array]:
    """Yield, for each offset in the window in memory order, the inputs that it reads."""
    padded = pad_borders(x, windows.borders, fill)
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


def add_taps(x: jax.Array, kernel: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Sum, over the taps of the kernel, the inputs under the tap times its weights per channel."""
    weights = kernel.reshape(-1, *(1,) * (kernel.ndim - 1), kernel.shape[-1])
    taps = zip(offset_slices(x, windows, 0.0), weights, strict=True)
    first, *others = (part * weight for part, weight in taps)
    return sum(others, first)


def restrict_to_axis(windows: shapes.Windows, axis: int, spatial: shapes.Shape) -> shapes.Windows:
    """Return the windows with extent 1 on every axis but one, over an input of size ``spatial``."""

    def keep(column: Sequence[Any], other: Any) -> tuple[Any, ...]:
        return tuple(value if at == axis else other for at, value in enumerate(column))

    return windows._replace(
        spatial=spatial,
        window=keep(windows.window, 1),
        strides=keep(windows.strides, 1),
        padding=keep(windows.padding, (0, 0)),
        dilation=keep(windows.dilation, 1),
    )


def split_passes(windows: shapes.Windows) -> list[shapes.Windows]:
    """Return windows along one axis each that together equal ``windows``, or ``windows`` itself.

    The passes start at the last axis, so that the first maximum of the rows' first maxima is the
    first in memory order. Forward and gradient of max pools, in passes, at once, and by XLA: 9×9
    of (8, 13, 13, 256), stride 1: 1.8, 17, 133 ms. In passes and at once: 5×5 of (8, 28, 28, 128):
    2.2, 6.3 ms; 7×7, stride 2, of (8, 56, 56, 64): 2.8, 8.1 ms; 5×5×5, stride 2, of
    (2, 12, 24, 24, 32): 0.9, 8.6 ms; 3×3, stride 2, of (32, 56, 56, 64): 41, 29 ms; 4×4, stride 4:
    6.2, 3.9 ms.
    """
    positions = math.prod(windows.window)
    if positions <= 9 * math.prod(windows.strides) and positions <= 64:
        return [windows]
    spatial, passes = windows.spatial, []
    for axis in reversed(range(len(spatial))):
        one = restrict_to_axis(windows, axis, spatial)
        passes.append(one)
        spatial = one.output_sizes
    return passes


def are_few(windows: shapes.Windows) -> bool:
    """Return whether the slices of each axis are few enough to compile quickly."""
    return max(windows.window) <= 64

"""A sum pool as XLA's own operation, on every platform.

XLA sums dilated windows that read one value and padding wrongly, on small inputs (jaxlib 0.10.2);
they take the sum of the slices.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives import sum_slices
from jaxcnn.ops.primitives.pool_strategy import SumStrategy


def value(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Sum each window by one call of ``lax``."""
    if max(windows.dilation) > 1:
        return sum_slices.value(x, windows)
    return _sum(x, windows, windows.strides, [(low, high) for low, high, _ in windows.borders])


def cotangent(dy: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Sum, for each input, the values of ``dy`` of the windows that read it."""
    if max(windows.dilation) > 1:
        return sum_slices.cotangent(dy, windows)
    dy = lax.pad(dy, np.zeros((), dy.dtype), windows.gradient_borders)
    return _sum(dy, windows, (1,) * len(windows.strides), "VALID")


SUM_PLAIN = SumStrategy("plain", value, cotangent)


def _sum(
    x: jax.Array,
    windows: shapes.Windows,
    strides: shapes.Shape,
    padding: str | Sequence[tuple[int, int]],
) -> jax.Array:
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        window_dimensions=(1, *windows.window, 1),
        window_strides=(1, *strides, 1),
        padding=padding,
    )

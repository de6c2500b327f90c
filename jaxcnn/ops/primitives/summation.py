"""The sum of each window, and its transpose: two linear primitives, each the other's transpose."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops.primitives import cpu
from jaxcnn.ops.primitives.lowering import primitive


def accumulator(x: jax.Array) -> jnp.dtype:
    """Returns the dtype to sum in: at least float32, as sums of halves soon lose their digits."""
    return jnp.dtype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x.dtype


def window_sum(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Takes the sum of each window of ``(batch, *spatial, channels)``; padding counts as 0."""
    return _value.bind(x, what=windows)


def _plain_value(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return _sums(x, windows, [(low, high) for low, high, _ in windows.borders])


def _plain_cotangent(dy: jax.Array, windows: shapes.Windows) -> jax.Array:
    dy = lax.pad(dy, np.zeros((), dy.dtype), windows.gradient_borders)
    return _sums(dy, windows._replace(strides=(1,) * len(windows.strides)), "VALID")


def _sums(
    x: jax.Array, windows: shapes.Windows, padding: str | Sequence[tuple[int, int]]
) -> jax.Array:
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        window_dimensions=(1, *windows.window, 1),
        window_strides=(1, *windows.strides, 1),
        padding=padding,
        window_dilation=(1, *windows.dilation, 1),
    )


def _fast_value(x: jax.Array, windows: shapes.Windows) -> cpu.Result:
    return cpu.sum_pool(x, windows) if cpu.is_small(windows) else None


def _fast_cotangent(dy: jax.Array, windows: shapes.Windows) -> cpu.Result:
    return cpu.sum_pool_cotangent(dy, windows) if cpu.is_small(windows) else None


_value = primitive(
    "sum_pool",
    plain=_plain_value,
    fast=_fast_value,
    examples=(True,),
)
_cotangent = primitive(
    "sum_pool_cotangent",
    plain=_plain_cotangent,
    fast=_fast_cotangent,
    examples=(True,),
)

ad.deflinear2(_value, lambda dy, _, *, what: [_cotangent.bind(dy, what=what)])
ad.deflinear2(_cotangent, lambda dx, _, *, what: [_value.bind(dx, what=what)])

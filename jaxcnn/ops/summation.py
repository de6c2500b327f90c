"""The sum of each window, and its transpose: two linear primitives, each the other's transpose."""

from typing import Any

import jax
import numpy as np
from jax import lax
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops import cpu
from jaxcnn.ops.lowering import primitive, transposed


def window_sum(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Takes the sum of each window of ``(batch, *spatial, channels)``; padding counts as 0."""
    return _value.bind(x, what=windows)


def _plain_value(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    pairs = zip(windows.padding, windows.overhang, strict=True)
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        window_dimensions=(1, *windows.window, 1),
        window_strides=(1, *windows.strides, 1),
        padding=((0, 0), *((low, high + overhang) for (low, high), overhang in pairs), (0, 0)),
        window_dilation=(1, *windows.dilation, 1),
    )


def _plain_cotangent(dy: jax.Array, windows: shapes.Windows) -> jax.Array:
    return transposed(lambda x: _plain_value(x, windows), _input_shape(dy, windows), dy)


def _input_shape(dy: Any, windows: shapes.Windows) -> shapes.Shape:
    return (dy.shape[0], *windows.spatial, dy.shape[-1])


def _fast_value(x: jax.Array, windows: shapes.Windows) -> cpu.Result:
    return cpu.sum_pool(x, windows) if cpu.is_small(windows) else None


def _fast_cotangent(dy: jax.Array, windows: shapes.Windows) -> cpu.Result:
    return cpu.sum_pool_cotangent(dy, windows) if cpu.is_small(windows) else None


_value = primitive(
    "sum_pool",
    shape=lambda x, windows: (x.shape[0], *windows.output_sizes, x.shape[-1]),
    plain=_plain_value,
    fast=_fast_value,
    examples=(True,),
)
_cotangent = primitive(
    "sum_pool_cotangent",
    shape=_input_shape,
    plain=_plain_cotangent,
    fast=_fast_cotangent,
    examples=(True,),
)

ad.deflinear2(_value, lambda dy, _, *, what: [_cotangent.bind(dy, what=what)])
ad.deflinear2(_cotangent, lambda dx, _, *, what: [_value.bind(dx, what=what)])

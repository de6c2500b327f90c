"""One number per channel: spread over all positions, and summed over them.

Each is the transpose of the other, so that the gradient of a bias, and the statistics of a
batch with all their derivatives, are sums that CPU has a way of its own for.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from jaxcnn.ops.primitives import cpu
from jaxcnn.ops.primitives.lowering import alike, primitive, sharding


def spread(values: jax.Array, x: jax.Array) -> jax.Array:
    """Returns ``values``, ``(channels,)``, at every position of ``x``, ``(…, channels)``.

    >>> spread(jnp.array([1., 2.]), jnp.zeros((2, 2)))
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    values, _ = alike(values, x)
    return _spread.bind(values, what=(x.shape, sharding(jax.typeof(x))))


def total(x: jax.Array) -> jax.Array:
    """Returns the sum of each channel over all positions: ``(…, channels)`` to ``(channels,)``.

    >>> total(jnp.array([[1., 2.], [3., 4.]]))
    Array([4., 6.], dtype=float32)
    """
    return _total.bind(x, what=None)


def _fast_total(x: jax.Array, _: None) -> cpu.Result:
    return cpu.total(x) if x.dtype == jnp.float32 and math.prod(x.shape[:-1]) > 1 else None


_spread = primitive(
    "spread",
    plain=lambda values, place: jnp.broadcast_to(values, place[0], out_sharding=place[1]),
    fast=lambda values, place: None,
    examples=(False,),
)
_total = primitive(
    "total",
    plain=lambda x, _: x.sum(axis=range(x.ndim - 1)),
    fast=_fast_total,
    examples=(False,),
)


def _transpose_spread(cotangent: Any, values: Any, *, what: Any) -> list[Any]:
    return [total(cotangent)]


def _transpose_total(cotangent: Any, x: Any, *, what: None) -> list[Any]:
    return [_spread.bind(cotangent, what=(x.aval.shape, sharding(x.aval)))]


ad.deflinear2(_spread, _transpose_spread)
ad.deflinear2(_total, _transpose_total)

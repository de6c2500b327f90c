"""One number per channel: broadcast to all positions, and summed over them.

Each is the transpose of the other, so that the gradient of a bias, and the statistics of a batch
with all their derivatives, are sums with a fast CPU lowering.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from jaxcnn.ops.primitives import channel_total
from jaxcnn.ops.primitives.lowering import match_varying_axes, primitive, sharding
from jaxcnn.ops.primitives.strategy_choice import choose_total


def spread(values: jax.Array, x: jax.Array) -> jax.Array:
    """Broadcast ``values``, ``(channels,)``, to every position of ``x``, ``(…, channels)``.

    >>> spread(jnp.array([1., 2.]), jnp.zeros((2, 2)))
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    values, _ = match_varying_axes(values, x)
    return _spread.bind(values, params=(x.shape, sharding(jax.typeof(x))))


def total(x: jax.Array) -> jax.Array:
    """Sum each channel over all positions: ``(…, channels)`` to ``(channels,)``.

    >>> total(jnp.array([[1., 2.], [3., 4.]]))
    Array([4., 6.], dtype=float32)
    """
    return _total.bind(x, params=None)


_spread = primitive(
    "spread",
    plain=lambda values, place: jnp.broadcast_to(values, place[0], out_sharding=place[1]),
    examples=(False,),
)
_total = primitive(
    "total",
    plain=lambda x, _: channel_total.sum_plain(x),
    on_cpu=lambda x, _: choose_total(x.shape, x.dtype)(x),
    examples=(False,),
)


def _transpose_spread(cotangent: Any, values: Any, *, params: Any) -> list[Any]:
    return [total(cotangent)]


def _transpose_total(cotangent: Any, x: Any, *, params: None) -> list[Any]:
    return [_spread.bind(cotangent, params=(x.aval.shape, sharding(x.aval)))]


ad.deflinear2(_spread, _transpose_spread)
ad.deflinear2(_total, _transpose_total)

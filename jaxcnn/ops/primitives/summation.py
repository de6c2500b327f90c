"""The sum of each window, and its transpose: two linear primitives, each the other's transpose."""

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops.primitives import sum_plain
from jaxcnn.ops.primitives.lowering import primitive
from jaxcnn.ops.primitives.strategy_choice import choose_summation


def accumulator(x: jax.Array) -> jnp.dtype:
    """Return the dtype of sums: at least float32, as sums of half precision lose digits."""
    return jnp.dtype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x.dtype


def window_sum(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Sum each window of ``(batch, *spatial, channels)``; padding counts as 0."""
    return _value.bind(x, params=windows)


def _value_on_cpu(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return choose_summation("value", windows).value(x, windows)


def _cotangent_on_cpu(dy: jax.Array, windows: shapes.Windows) -> jax.Array:
    return choose_summation("cotangent", windows).cotangent(dy, windows)


_value = primitive("sum_pool", plain=sum_plain.value, on_cpu=_value_on_cpu, examples=(True,))
_cotangent = primitive(
    "sum_pool_cotangent", plain=sum_plain.cotangent, on_cpu=_cotangent_on_cpu, examples=(True,)
)

ad.deflinear2(_value, lambda dy, _, *, params: [_cotangent.bind(dy, params=params)])
ad.deflinear2(_cotangent, lambda dx, _, *, params: [_value.bind(dx, params=params)])

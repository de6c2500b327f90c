"""The max pool and its derivative: four primitives that keep where each maximum was.

The derivative takes from a tangent, and gives to a cotangent, what stands at the winners. On CPU
their offsets in the windows are kept, one byte each up to 255 positions, and the input is not read
again; elsewhere XLA's own gradient reads it, and offsets are computed for dilated windows alone,
which XLA has no gradient of.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops.primitives import cpu
from jaxcnn.ops.primitives.lowering import primitive


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def window_max(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Takes the largest value of each window of ``(batch, *spatial, channels)``."""
    return _value.bind(x, what=windows)


@window_max.defjvp
def _window_max_jvp(
    windows: shapes.Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    # Winners stay where they are when the inputs move a little.
    still = lax.stop_gradient(x)
    index = _index.bind(still, what=windows)
    return window_max(x, windows), _tangent.bind(dx, still, index, what=windows)


def _plain_value(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    lowest = np.asarray(-np.inf if floating else jnp.iinfo(x.dtype).min, x.dtype)
    return lax.reduce_window(
        x,
        lowest,
        lax.max,
        window_dimensions=(1, *windows.window, 1),
        window_strides=(1, *windows.strides, 1),
        padding=[(low, high) for low, high, _ in windows.borders],
        window_dilation=(1, *windows.dilation, 1),
    )


def _plain_index(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    if max(windows.dilation) > 1:
        return cpu.max_pool_index(x, windows)
    size = (x.shape[0], cpu.index_size(windows), x.shape[-1])
    return jnp.zeros(size, cpu.index_dtype(windows))  # nobody reads it


def _plain_tangent(
    dx: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows
) -> jax.Array:
    if max(windows.dilation) > 1:  # JAX has no gradient for it
        return cpu.max_pool_tangent(dx, index, windows)
    return jax.jvp(lambda x: _plain_value(x, windows), (x,), (dx,))[1]


def _plain_cotangent(
    dy: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows
) -> jax.Array:
    return jax.linear_transpose(lambda dx: _plain_tangent(dx, x, index, windows), x)(dy)[0]


def _if_small(fast: Callable[..., cpu.Result]) -> Callable[..., cpu.Result]:
    """Returns ``fast`` for the windows that it is for."""
    return lambda *args: fast(*args) if cpu.is_small(args[-1]) else None


def _fast_value(x: jax.Array, windows: shapes.Windows) -> cpu.Result:
    return cpu.max_pool(x, windows) if jnp.issubdtype(x.dtype, jnp.floating) else None


_value = primitive(
    "max_pool",
    plain=_plain_value,
    fast=_if_small(_fast_value),
    examples=(True,),
)
_index = primitive(
    "max_pool_index",
    plain=_plain_index,
    fast=_if_small(cpu.max_pool_index),
    examples=(True,),
)
_tangent = primitive(
    "max_pool_tangent",
    plain=_plain_tangent,
    fast=_if_small(lambda dx, x, index, windows: cpu.max_pool_tangent(dx, index, windows)),
    examples=(True, True, True),
)
_cotangent = primitive(
    "max_pool_cotangent",
    plain=_plain_cotangent,
    fast=_if_small(lambda dy, x, index, windows: cpu.max_pool_cotangent(dy, index, windows)),
    examples=(True, True, True),
)


def _transpose_to(primitive: Any) -> Any:
    """Returns the transpose in the first of three arrays, which another primitive computes."""

    def transpose(cotangent: Any, linear: Any, x: Any, index: Any, *, what: Any) -> Any:
        if isinstance(cotangent, ad.Zero):
            return ad.Zero(linear.aval), None, None
        return primitive.bind(cotangent, x, index, what=what), None, None

    return transpose


for _linear, _transposed in ((_tangent, _cotangent), (_cotangent, _tangent)):
    # Linear in the first array; the others do not move.
    ad.defjvp(
        _linear,
        lambda dot, _, x, index, *, what, linear=_linear: linear.bind(dot, x, index, what=what),
        None,
        None,
    )
    ad.primitive_transposes[_linear] = _transpose_to(_transposed)

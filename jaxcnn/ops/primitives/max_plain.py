"""A max pool as XLA's own operation, on every platform; its gradient reads the input again.

XLA has no gradient of dilated windows: they take that of the slices.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives import max_slices
from jaxcnn.ops.primitives.pool_strategy import MaxStrategy


def value(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Take the maximum of each window by one call of ``lax``."""
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


def index(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Return zeros, which nothing reads, or the offsets in dilated windows."""
    if max(windows.dilation) > 1:
        return max_slices.index(x, windows)
    size = (x.shape[0], max_slices.index_size(windows), x.shape[-1])
    return jnp.zeros(size, max_slices.index_dtype(windows))


def tangent(dx: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Apply the derivative that JAX defines for ``lax.reduce_window``."""
    if max(windows.dilation) > 1:
        return max_slices.tangent(dx, x, index, windows)
    return jax.jvp(lambda x: value(x, windows), (x,), (dx,))[1]


def cotangent(dy: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Apply the transpose of :func:`tangent`."""
    return jax.linear_transpose(lambda dx: tangent(dx, x, index, windows), x)(dy)[0]


MAX_PLAIN = MaxStrategy("plain", value, index, tangent, cotangent)

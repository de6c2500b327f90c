"""First values of parameters, computed by few programs whatever the shapes.

XLA on CPU takes 0.25 s or more to compile the random numbers of each shape, and a network has
dozens of shapes. JAX's counter-based generator (Threefry, partitionable) gives the same number at
the same position of an array of any size; so numbers are drawn for sizes that are powers of four,
and the first are taken: the same values bit for bit.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxcnn import shapes
from jaxcnn.runtime import run_once

Initializer = Callable[..., jax.Array]
"""The type of a function of ``(key, shape, dtype)`` that returns first values of a parameter."""

# Smaller arrays are drawn at this size; larger ones than the second have a program of their own.
_SMALLEST, _LARGEST = 1 << 12, 1 << 22
# Standard deviation of the normal distribution that is cut off at two standard deviations.
_TRUNCATED = 0.87962566103423978

# Whether first values are asked for their shapes alone, and need not be drawn.
_only_shapes: ContextVar[bool] = ContextVar("only_shapes", default=False)

_he_normal: Initializer = jax.nn.initializers.he_normal()


def he_normal(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return a kernel that keeps the variance of activations constant through ReLU layers.

    After He et al., 2015, arXiv 1502.01852.

    Args:
      key: Source of randomness.
      shape: ``(*kernel_size, in_features, features)``.
      dtype: Type of the kernel.
    """
    if _only_shapes.get():
        return jnp.zeros(shape, dtype)
    count = math.prod(shape)
    is_usual = jnp.dtype(dtype) == jnp.float32 and 0 < count <= _LARGEST
    if not (is_usual and _is_by_position(key)):
        return _drawn_alone(key, shape, dtype)
    size = _SMALLEST
    while size < count:
        size *= 4
    variance = np.float32(2 / (count // shape[-1]))
    drawn = _draw(key, size, np.sqrt(variance) / np.float32(_TRUNCATED))
    return jax.device_put(np.asarray(drawn)[:count].reshape(shape).copy())


@contextmanager
def only_shapes() -> Iterator[None]:
    """Let :func:`he_normal` return zeros, which are traced in a tenth of the time."""
    token = _only_shapes.set(True)
    try:
        yield
    finally:
        _only_shapes.reset(token)


def zeros(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return zeros, without a compilation outside of other transformations.

    Args:
      key: Not used.
      shape: Shape of the parameter.
      dtype: Type of the parameter.
    """
    return _constant(key, shape, dtype, 0)


def ones(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return ones, as :func:`zeros` returns zeros."""
    return _constant(key, shape, dtype, 1)


def _constant(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike, value: int) -> jax.Array:
    if isinstance(key, jax.core.Tracer):
        return jnp.full(shape, value, dtype)
    return jax.device_put(np.full(shape, value, jax.dtypes.canonicalize_dtype(dtype)))


def _is_by_position(key: jax.Array) -> bool:
    """Return whether a number depends on key and position alone, and can be drawn now."""
    if isinstance(key, jax.core.Tracer):
        return False
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    # JAX adds its options while it is imported, unseen by a type checker.
    return is_threefry and bool(jax.config.jax_threefry_partitionable)  # type: ignore[attr-defined]  # set at run time


@functools.partial(run_once, static_argnums=(1, 2))
def _drawn_alone(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    return _he_normal(key, shape, dtype)


@functools.partial(run_once, static_argnums=(1,))
def _draw(key: jax.Array, size: int, deviation: jax.Array) -> jax.Array:
    return jax.random.truncated_normal(key, -2, 2, (size,), jnp.float32) * deviation

"""Interpolation along one axis: a linear primitive, which is its own kind of transpose.

Each result is a sum of a few neighbors, read one after the other. ``jax.image.resize`` multiplies
by a matrix instead, where an infinity or NaN spreads over the whole axis, and which is slower on
CPU: (32, 28, 28, 64) to twice the size takes 49 ms, and 2 ms here; (16, 224, 224, 3) to 64×64 takes
7.8 and 2.0 ms (``examples/benchmarks/ops.py``).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad

from jaxcnn.ops.primitives.lowering import primitive

# More neighbors than this are added in a loop, so that a program stays short.
_MOST_UNROLLED = 24


@dataclass(frozen=True)
class Interpolation:
    """A change of the size of one axis.

    Attributes:
      axis: The axis.
      length, size: Its size before and after.
      method: A name in :data:`KERNELS`, or ``"nearest"``.
      antialias: Whether the kernel is widened where the axis becomes shorter.
      is_transposed: Whether the transpose is meant, from ``size`` back to ``length``.
    """

    axis: int
    length: int
    size: int
    method: str
    antialias: bool
    is_transposed: bool = False

    def weights(self) -> np.ndarray:
        """Return the weight of each input (rows) in each output (columns), in float64."""
        weights = _weights(self.length, self.size, self.method, self.antialias)
        return weights.T if self.is_transposed else weights


def interpolate(x: jax.Array, interpolation: Interpolation) -> jax.Array:
    """Change the size of one axis of ``(batch, …)``; ``x`` is floating point."""
    return _value.bind(x, params=interpolation)


def _value_plain(x: jax.Array, interpolation: Interpolation) -> jax.Array:
    first, weights = _neighbors(interpolation)
    axis, shape = interpolation.axis, [1] * x.ndim
    shape[axis] = -1

    def term(number: int | jax.Array, weight: np.ndarray | jax.Array) -> jax.Array:
        # What lies inside is not checked again.
        values = jnp.take(x, first + number, axis=axis, mode="clip")
        weight = jnp.asarray(weight, x.dtype).reshape(shape)
        # A weight of 0 keeps out infinities and NaN too.
        return jnp.where(weight == 0, 0, values * weight)

    if (weights == 1).all() and len(weights) == 1:
        return jnp.take(x, first, axis=axis, mode="clip")
    if len(weights) <= _MOST_UNROLLED:
        return functools.reduce(jnp.add, map(term, range(len(weights)), weights))
    table = jnp.asarray(weights, x.dtype)
    return lax.fori_loop(1, len(weights), lambda n, sum: sum + term(n, table[n]), term(0, table[0]))


@functools.lru_cache(maxsize=256)
def _neighbors(interpolation: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """Return the first neighbor of each output, and the weights ``(neighbors, outputs)``."""
    weights = interpolation.weights()
    inputs, outputs = weights.shape
    used = weights != 0
    first = np.where(used.any(axis=0), used.argmax(axis=0), 0)
    last = np.where(used.any(axis=0), inputs - 1 - used[::-1].argmax(axis=0), 0)
    count = int((last - first).max(initial=0)) + 1
    first = np.minimum(first, inputs - count)
    return first, weights[first + np.arange(count)[:, None], np.arange(outputs)]


def _weights(length: int, size: int, method: str, antialias: bool) -> np.ndarray:
    """Return the weights, each column summing to 1, for pixels that are areas."""
    centers = (np.arange(size) + 0.5) * (length / size)
    if method == "nearest":
        return np.eye(length)[np.minimum(centers.astype(int), length - 1)].T
    stretch = max(length / size, 1) if antialias else 1
    distances = np.abs(centers - 0.5 - np.arange(length)[:, None]) / stretch
    weights = KERNELS[method](distances)
    return weights / weights.sum(axis=0)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - x, 0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Return the kernel of Keys (1981) with a = −1/2."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray, radius: int) -> np.ndarray:
    return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": _triangle,
    "cubic": _cubic,
    "lanczos3": functools.partial(_lanczos, radius=3),
    "lanczos5": functools.partial(_lanczos, radius=5),
}


def _value_on_cpu(x: jax.Array, interpolation: Interpolation) -> jax.Array:
    # Fused with what reads it, each value is computed once for each reader: the gradient of
    # (16, 224, 224, 3) to 64×64 takes 33 ms, and 5 ms so.
    return lax.optimization_barrier(_value_plain(x, interpolation))


_value = primitive("interpolate", plain=_value_plain, on_cpu=_value_on_cpu, examples=(True,))


def _transposed(dy: jax.Array, _: object, *, params: Interpolation) -> list[jax.Array]:
    return [_value.bind(dy, params=replace(params, is_transposed=not params.is_transposed))]


ad.deflinear2(_value, _transposed)

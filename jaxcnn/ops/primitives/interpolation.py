"""Interpolation along one axis: a linear primitive, which is its own kind of transpose.

Each result is a sum of a few neighbors, read one after the other. ``jax.image.resize`` multiplies
by a matrix instead, where an infinity or NaN spreads over the whole axis, and which is slower on
CPU: (32, 28, 28, 64) to twice the size takes 49 ms, and 2 ms here; (16, 224, 224, 3) to 64×64 takes
7.8 and 2.0 ms (``examples/benchmarks/ops.py``).
"""

import functools
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad

from jaxcnn.ops.primitives.lowering import primitive

METHODS = ("nearest", "nearest_floor", "linear", "cubic", "bicubic", "lanczos3", "lanczos5")
# The parameter a of PyTorch's cubic kernel; that of "cubic" is −1/2.
BICUBIC = -0.75
COORDINATES = ("half_pixel", "align_corners", "asymmetric")
# More neighbors than this are added in a loop, so that a program stays short.
_MOST_UNROLLED = 24
# Weights below this are rounding: they would carry an infinity to the next pixel.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Interpolation:
    """A change of the size of one axis.

    Attributes:
      axis: The axis.
      length, size: Its size before and after.
      method: One of :data:`METHODS`.
      antialias: Whether the kernel is widened where the axis becomes shorter.
      coordinates: One of :data:`COORDINATES`.
      scale: What stands for ``size / length`` in the coordinates; ``None`` means that itself.
      is_transposed: Whether the transpose is meant, from ``size`` back to ``length``.
    """

    axis: int
    length: int
    size: int
    method: str
    antialias: bool
    coordinates: str = "half_pixel"
    scale: float | None = None
    is_transposed: bool = False


def interpolate(x: jax.Array, how: Interpolation) -> jax.Array:
    """Change the size of one axis of ``(batch, …)``; ``x`` is floating point."""
    if isinstance(how.length, int) and isinstance(how.size, int):
        return _value.bind(x, params=how)
    # Weights of a symbolic size are computed in the program.
    moved = jnp.moveaxis(x, how.axis, -1)
    product = jnp.matmul(moved, _weights(how, jnp).astype(x.dtype), precision="highest")
    return jnp.moveaxis(product, -1, how.axis)


def _value_plain(x: jax.Array, how: Interpolation) -> jax.Array:
    first, weights = _neighbors(how)
    shape = [1] * x.ndim
    shape[how.axis] = -1

    def term(number: int | jax.Array, weight: np.ndarray | jax.Array) -> jax.Array:
        values = jnp.take(x, first + number, axis=how.axis, mode="clip")
        weight = jnp.asarray(weight, x.dtype).reshape(shape)
        # A weight of 0 keeps out infinities and NaN too.
        return jnp.where(weight == 0, 0, values * weight)

    if len(weights) == 1 and (weights == 1).all():
        return jnp.take(x, first, axis=how.axis, mode="clip")
    if len(weights) <= _MOST_UNROLLED:
        return functools.reduce(jnp.add, map(term, range(len(weights)), weights))
    table = jnp.asarray(weights, x.dtype)
    return lax.fori_loop(1, len(weights), lambda n, sum: sum + term(n, table[n]), term(0, table[0]))


@functools.lru_cache(maxsize=256)
def _neighbors(how: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """Return the first neighbor of each result, and the weights ``(neighbors, results)``."""
    weights = weights_of(how)
    inputs, outputs = weights.shape
    used = weights != 0
    first = np.where(used.any(axis=0), used.argmax(axis=0), 0)
    last = np.where(used.any(axis=0), inputs - 1 - used[::-1].argmax(axis=0), 0)
    count = int((last - first).max(initial=0)) + 1
    first = np.minimum(first, inputs - count)
    return first, weights[first + np.arange(count)[:, None], np.arange(outputs)]


def weights_of(how: Interpolation) -> np.ndarray:
    """Return the weight of each input in each result, ``(inputs, results)``, float64.

    >>> weights_of(Interpolation(1, 2, 4, "nearest", False))
    array([[1., 1., 0., 0.],
           [0., 0., 1., 1.]])

    Args:
      how: The change of size, of known sizes.
    """
    weights: np.ndarray = _weights(how, np)
    weights = np.where(np.abs(weights) < _ROUNDING, 0, weights)
    return weights.T if how.is_transposed else weights


def _weights(how: Interpolation, library: Any) -> Any:
    """Return the weight of each input in each result, ``(length, size)``.

    Args:
      how: The change of size.
      library: NumPy, in float64, or ``jax.numpy`` for symbolic sizes.
    """
    length, centers = how.length, _centers(how, library)
    pixels = library.arange(length).astype(centers.dtype)
    if how.method in ("nearest", "nearest_floor"):
        shift = 0.5 if how.method == "nearest" else 0.0
        index = library.clip(library.floor(centers + shift), 0, pixels[-1])
        return (pixels[:, None] == index[None]).astype(centers.dtype)
    stretch: Any = 1.0
    if how.antialias:
        # The distance between the centers, which is 0 where there is only one.
        one = isinstance(how.size, int) and how.size == 1
        steps = centers[0] * 0 + length if one else centers[1] - centers[0]
        stretch = library.maximum(steps, 1.0)
    border = 0
    if how.method == "bicubic":  # as far as the kernel reaches beyond the edges
        border = 2 * length + 3 if how.antialias else 3
        pixels = library.arange(length + 2 * border).astype(centers.dtype) - border
    weights = _kernel(how.method, library.abs(pixels[:, None] - centers[None]) / stretch, library)
    weights = weights / weights.sum(axis=0, keepdims=True)
    if border:
        before, after = weights[:border].sum(axis=0), weights[border + length :].sum(axis=0)
        weights = weights[border : border + length]
        ends = (library.arange(length) == end for end in (0, length - 1))
        first, last = (end.astype(weights.dtype) for end in ends)
        weights = weights + first[:, None] * before[None] + last[:, None] * after[None]
    return weights


def _centers(how: Interpolation, library: Any) -> Any:
    """Return where each new pixel lies, in pixels of the input."""
    length, size = (_number(number, library) for number in (how.length, how.size))
    new = library.arange(how.size).astype(library.float64 if library is np else library.float32)
    if how.coordinates == "align_corners":
        return new * (length - 1) / library.maximum(size - 1, 1)
    shift = 0.5 if how.coordinates == "half_pixel" else 0.0
    if how.scale is None:
        return (new + shift) * length / size - shift
    return (new + shift) / how.scale - shift


def _number(size: int, library: Any) -> Any:
    """Return a size, which may be symbolic, as a floating-point number."""
    return float(size) if library is np else jnp.asarray(size).astype(jnp.float32)


def _kernel(method: str, distance: Any, library: Any) -> Any:
    """Return the weight of a pixel at a distance."""
    if method == "linear":
        return library.maximum(1 - distance, 0)
    if method.startswith("lanczos"):
        lobes = int(method[-1])
        weights = library.sinc(distance) * library.sinc(distance / lobes)
        return library.where(distance < lobes, weights, 0)
    a = BICUBIC if method == "bicubic" else -0.5
    far = library.where(distance < 2, cubic_far(distance, a), 0)
    return library.where(distance <= 1, cubic_near(distance, a), far)


def cubic_near(distance: Any, a: float) -> Any:
    """Return the cubic weight (Keys, 1981) of a pixel at a distance of at most 1."""
    return ((a + 2) * distance - (a + 3)) * distance**2 + 1


def cubic_far(distance: Any, a: float) -> Any:
    """Return the cubic weight of a pixel at a distance from 1 to 2."""
    return a * (((distance - 5) * distance + 8) * distance - 4)


def _value_on_cpu(x: jax.Array, how: Interpolation) -> jax.Array:
    # Fused with what reads it, each value is computed once for each reader: the gradient of
    # (16, 224, 224, 3) to 64×64 takes 33 ms, and 5 ms so.
    return lax.optimization_barrier(_value_plain(x, how))


_value = primitive("interpolate", plain=_value_plain, on_cpu=_value_on_cpu, examples=(True,))


def _transposed(dy: jax.Array, _: object, *, params: Interpolation) -> list[jax.Array]:
    return [_value.bind(dy, params=replace(params, is_transposed=not params.is_transposed))]


ad.deflinear2(_value, _transposed)

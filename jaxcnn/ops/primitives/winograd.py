"""Winograd's convolution with kernels of 3×3: fewer multiplications (Lavin and Gray, 2016).

A tile of 4×4 outputs, read from 6×6 inputs, costs 36 multiplications per pair of channels in
place of 144: inputs, kernel and outputs are moved to where a convolution is a product, point by
point, and the sum over channels is one product of matrices for each of the 36 points.

Points of interpolation 0, ±2/3, ±3/2 keep the error to a few times that of the direct sum; the
usual 0, ±1, ±2 has twice as much again.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives.lowering import alone
from jaxcnn.shapes.numbers import Pairs

_TAPS = 3
_TILE = 4
READ = _TILE + _TAPS - 1
_POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)


def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the maps of inputs ``(6, 6)``, kernels ``(6, 3)`` and products ``(4, 6)``.

    The product of two polynomials is found from its values at five points and at infinity; the
    transpose of that, by the input's side, is a correlation.
    """

    def at_points(count: int) -> np.ndarray:
        return np.vstack([np.vander(_POINTS, count, increasing=True), np.eye(count)[-1]])

    inputs, kernels = np.linalg.inv(at_points(READ)).T, at_points(_TAPS)
    # A power of two moved from one to the other balances them without rounding.
    norms = np.linalg.norm(inputs, axis=1) / np.linalg.norm(kernels, axis=1)
    scale = 2.0 ** np.round(np.log2(norms))[:, None]
    exact = np.where(abs(inputs) < 1e-12, 0, inputs) / scale, kernels * scale, at_points(_TILE).T
    inputs, kernels, products = (matrix.astype(np.float32) for matrix in exact)
    return inputs, kernels, products


_INPUTS, _KERNELS, _PRODUCTS = _matrices()


def tiles(output_sizes: Sequence[int]) -> shapes.Shape:
    """Returns how many tiles cover each axis.

    >>> tiles((8, 9))
    (2, 3)
    """
    return tuple(-(-size // _TILE) for size in output_sizes)


def conv(x: jax.Array, kernel: jax.Array, padding: Pairs) -> jax.Array:
    """Convolves ``(batch, height, width, in_features)`` with ``(3, 3, in_features, features)``.

    Args:
      x: The images, float32.
      kernel: The kernel, float32.
      padding: ``(low, high)`` of height and width, at least 0.

    Returns:
      ``(batch, height + padding - 2, width + padding - 2, features)``.
    """
    height, width = (
        size + low + high - _TAPS + 1
        for size, (low, high) in zip(x.shape[1:3], padding, strict=True)
    )
    rows, columns = tiles((height, width))
    products = lax.dot_general(
        _cut(x, _INPUTS, padding, rows, columns),
        alone(lambda k: _on_both_axes(_KERNELS, k).reshape(READ**2, *k.shape[2:]), kernel),
        (((2,), (1,)), ((0,), (0,))),
    )
    points = (READ, READ, x.shape[0], rows, columns, kernel.shape[-1])
    return _assemble(products.reshape(points))[:, :height, :width]


def kernel_gradient(x: jax.Array, y: jax.Array, padding: Pairs) -> jax.Array:
    """Returns the transpose of :func:`conv` in its kernel, applied to ``y``."""
    rows, columns = tiles(y.shape[1:3])
    products = lax.dot_general(
        _cut(x, _INPUTS, padding, rows, columns),
        _cut(y, _PRODUCTS.T, ((0, 0), (0, 0)), rows, columns),
        (((1,), (1,)), ((0,), (0,))),
    )
    points = (READ, READ, x.shape[-1], y.shape[-1])
    return _on_both_axes(_KERNELS.T, products.reshape(points))


def _cut(x: jax.Array, matrix: np.ndarray, padding: Pairs, rows: int, columns: int) -> jax.Array:
    """Cuts images into tiles, ``_TILE`` apart, and maps each to the points.

    Args:
      x: ``(batch, height, width, channels)``.
      matrix: ``(points, positions that a tile reads)``.
      padding: ``(low, high)`` of height and width; zeros fill up the last tile too.
      rows: Tiles along the height.
      columns: Tiles along the width.

    Returns:
      ``(points², batch · rows · columns, channels)``.
    """
    batch, *sizes, channels = x.shape
    points, reads = matrix.shape
    ends = [(count - 1) * _TILE + reads for count in (rows, columns)]
    border = [
        (low, end - size - low, 0) for size, end, (low, _) in zip(sizes, ends, padding, strict=True)
    ]

    def along_height(x: jax.Array) -> jax.Array:
        x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *border, (0, 0, 0)))
        parts = [_every_tile(x, 1, start, rows).reshape(batch, rows, -1) for start in range(reads)]
        return _sums(matrix, parts, axis=2).reshape(batch, rows, points, ends[1], channels)

    def along_width(x: jax.Array) -> jax.Array:
        parts = [_every_tile(x, 3, start, columns) for start in range(reads)]
        return _sums(matrix, [jnp.moveaxis(part, 2, 0) for part in parts], axis=1)

    x = alone(along_width, alone(along_height, x))
    return x.reshape(points**2, batch * rows * columns, channels)


def _assemble(products: jax.Array) -> jax.Array:
    """Maps ``(6, 6, batch, rows, columns, features)`` to images of ``(4·rows, 4·columns)``."""
    batch, rows, columns, features = products.shape[2:]

    def along_width(products: jax.Array) -> jax.Array:
        return _sums(_PRODUCTS, [products[:, point] for point in range(READ)], axis=4)

    def along_height(products: jax.Array) -> jax.Array:
        parts = [products[point].reshape(batch, rows, -1) for point in range(READ)]
        return _sums(_PRODUCTS, parts, axis=2)

    y = alone(along_height, alone(along_width, products))
    return y.reshape(batch, rows * _TILE, columns * _TILE, features)


def _every_tile(x: jax.Array, axis: int, start: int, count: int) -> jax.Array:
    """Returns the position ``start`` of every tile along an axis."""
    return lax.slice_in_dim(x, start, start + (count - 1) * _TILE + 1, _TILE, axis)


def _on_both_axes(matrix: np.ndarray, x: jax.Array) -> jax.Array:
    """Applies a matrix to the first and to the second axis."""
    x = _sums(matrix, list(x), axis=0)
    return _sums(matrix, [x[:, index] for index in range(matrix.shape[1])], axis=1)


def _sums(matrix: np.ndarray, parts: Sequence[jax.Array], axis: int) -> jax.Array:
    """Stacks, for each row of the matrix, the sum of the parts times its entries."""
    shape = [1] * (parts[0].ndim + 1)
    shape[axis] = len(matrix)
    terms = [
        entries.reshape(shape) * jnp.expand_dims(part, axis)
        for entries, part in zip(matrix.T, parts, strict=True)
    ]
    return functools.reduce(jnp.add, terms)

"""Winograd's convolution with kernels of 3×3: fewer multiplications (Lavin and Gray, 2016).

A tile of 4×4 outputs, read from 6×6 inputs, takes 36 multiplications per pair of channels instead
of 144: inputs, kernel and outputs are transformed to 36 points at which the convolution is a
product, and the sum over channels is one product of matrices per point.

The interpolation points 0, ±2/3, ±3/2 keep the error to a few times that of the direct sum; the
usual 0, ±1, ±2 have twice that error.

XLA's own lowering on CPU in brackets. 3×3 of (32, 32, 32, 64) to 64: 10 (17) ms, kernel gradient
17 (21); (32, 16, 16, 128) to 128: 7 (14) and 11 (19); (32, 8, 8, 256) to 256: 8 (15) and 11 (18).
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives.conv_strategy import Convolution, Strategy
from jaxcnn.ops.primitives.lowering import compile_separately
from jaxcnn.shapes.numbers import Pairs

_TAPS = 3
_TILE = 4
_READ = _TILE + _TAPS - 1
_POINTS = (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)


def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices of inputs ``(6, 6)``, kernels ``(6, 3)`` and products ``(4, 6)``.

    The product of two polynomials follows from its values at five points and at infinity; the
    transpose of that map on the input's side is a correlation.
    """

    def at_points(count: int) -> np.ndarray:
        return np.vstack([np.vander(_POINTS, count, increasing=True), np.eye(count)[-1]])

    inputs, kernels = np.linalg.inv(at_points(_READ)).T, at_points(_TAPS)
    # Powers of two balance the two matrices without rounding.
    norms = np.linalg.norm(inputs, axis=1) / np.linalg.norm(kernels, axis=1)
    scale = 2.0 ** np.round(np.log2(norms))[:, None]
    exact = np.where(abs(inputs) < 1e-12, 0, inputs) / scale, kernels * scale, at_points(_TILE).T
    inputs, kernels, products = (matrix.astype(np.float32) for matrix in exact)
    return inputs, kernels, products


_INPUTS, _KERNELS, _PRODUCTS = _matrices()


def _count_tiles(output_sizes: Sequence[int]) -> shapes.Shape:
    """Return the number of tiles that cover each axis.

    >>> _count_tiles((8, 9))
    (2, 3)
    """
    return tuple(-(-size // _TILE) for size in output_sizes)


def suits(convolution: Convolution, batch: int, in_features: int, features: int) -> bool:
    """Return whether the multiplications saved outweigh the memory traffic added.

    Writing and reading one value costs as much as eight multiplications, and products of fewer
    than 64 rows are slow: (32, 4, 4, 512) to 512 has 32 rows and takes 13 ms (XLA 17), kernel
    gradient 23 (15).
    """
    windows = convolution.windows
    if windows.window != (3, 3) or convolution.groups != 1:
        return False
    if max(*windows.strides, *windows.dilation) > 1:
        return False
    if min(in_features, features) < 32:  # thin products
        return False
    if max(map(max, windows.padding)) > 2:  # the input gradient would crop
        return False
    rows = batch * math.prod(_count_tiles(windows.output_sizes))
    points = _READ**2
    moved = points * (rows * (in_features + features) + in_features * features)
    multiplications = points * rows * in_features * features
    direct = 9 * batch * math.prod(windows.output_sizes) * in_features * features
    return rows >= 64 and multiplications + 8 * moved < direct


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``(batch, height, width, in_features)`` with ``(3, 3, in_features, features)``."""
    return _convolve(x, kernel, convolution.windows.padding)


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Convolve ``y`` with the flipped kernel, its inputs and outputs exchanged."""
    flipped = jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3)
    padding = tuple((2 - low, 2 - high) for low, high in convolution.windows.padding)
    return _convolve(y, flipped, padding)


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Apply the transpose of :func:`value` in ``kernel`` to ``y``."""
    rows, columns = _count_tiles(y.shape[1:3])
    products = lax.dot_general(
        _cut(x, _INPUTS, convolution.windows.padding, rows, columns),
        _cut(y, _PRODUCTS.T, ((0, 0), (0, 0)), rows, columns),
        (((1,), (1,)), ((0,), (0,))),
    )
    points = (_READ, _READ, x.shape[-1], y.shape[-1])
    return _transform_both_axes(_KERNELS.T, products.reshape(points))


WINOGRAD = Strategy("winograd", value, input_gradient, kernel_gradient)


def _convolve(x: jax.Array, kernel: jax.Array, padding: Pairs) -> jax.Array:
    height, width = (
        size + low + high - _TAPS + 1
        for size, (low, high) in zip(x.shape[1:3], padding, strict=True)
    )
    rows, columns = _count_tiles((height, width))
    products = lax.dot_general(
        _cut(x, _INPUTS, padding, rows, columns),
        compile_separately(
            lambda k: _transform_both_axes(_KERNELS, k).reshape(_READ**2, *k.shape[2:]), kernel
        ),
        (((2,), (1,)), ((0,), (0,))),
    )
    points = (_READ, _READ, x.shape[0], rows, columns, kernel.shape[-1])
    return _assemble(products.reshape(points))[:, :height, :width]


def _cut(x: jax.Array, matrix: np.ndarray, padding: Pairs, rows: int, columns: int) -> jax.Array:
    """Cut images into tiles, ``_TILE`` apart, and transform each to the points.

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

    x = compile_separately(along_width, compile_separately(along_height, x))
    return x.reshape(points**2, batch * rows * columns, channels)


def _assemble(products: jax.Array) -> jax.Array:
    """Transform ``(6, 6, batch, rows, columns, features)`` to images of ``(4·rows, 4·columns)``."""
    batch, rows, columns, features = products.shape[2:]

    def along_width(products: jax.Array) -> jax.Array:
        return _sums(_PRODUCTS, [products[:, point] for point in range(_READ)], axis=4)

    def along_height(products: jax.Array) -> jax.Array:
        parts = [products[point].reshape(batch, rows, -1) for point in range(_READ)]
        return _sums(_PRODUCTS, parts, axis=2)

    y = compile_separately(along_height, compile_separately(along_width, products))
    return y.reshape(batch, rows * _TILE, columns * _TILE, features)


def _every_tile(x: jax.Array, axis: int, start: int, count: int) -> jax.Array:
    """Return the position ``start`` of every tile along an axis."""
    return lax.slice_in_dim(x, start, start + (count - 1) * _TILE + 1, _TILE, axis)


def _transform_both_axes(matrix: np.ndarray, x: jax.Array) -> jax.Array:
    """Apply a matrix to the first and to the second axis."""
    x = _sums(matrix, list(x), axis=0)
    return _sums(matrix, [x[:, index] for index in range(matrix.shape[1])], axis=1)


def _sums(matrix: np.ndarray, parts: Sequence[jax.Array], axis: int) -> jax.Array:
    """Stack, for each row of the matrix, the sum of the parts times its entries."""
    shape = [1] * (parts[0].ndim + 1)
    shape[axis] = len(matrix)
    terms = [
        entries.reshape(shape) * jnp.expand_dims(part, axis)
        for entries, part in zip(matrix.T, parts, strict=True)
    ]
    return functools.reduce(jnp.add, terms)

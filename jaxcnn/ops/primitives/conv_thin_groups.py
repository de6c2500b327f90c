"""A convolution of groups of few channels, depthwise included, as sums over shifted images.

Products of such groups have little to sum over, and XLA on CPU runs a scalar loop (times in
brackets). Depthwise 3×3 of (16, 48, 48, 96): forward 2.6 (121) ms, all gradients 11 (490). 32
groups of 4 channels, 3×3 of (16, 28, 28, 128): forward 6 (76), all gradients 20 (5000). All
gradients of depthwise 9×9 of (4, 28, 28, 96): 4.5 (190); 21×21 of (2, 28, 28, 32): 53 (166), and
2.6 s to compile; 5×5×5 of (2, 8, 16, 16, 16): 16 (315). 32 groups of 8, 3×3 of (8, 28, 28, 256):
60, and 44 group by group.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import shapes
from jaxcnn.ops.primitives.conv_strategy import Convolution, Strategy
from jaxcnn.ops.primitives.lowering import match_varying_axes, may_be_split
from jaxcnn.ops.primitives.slices import add_taps, pad_borders

MOST_INPUTS = 4  # channels per group


def suits(convolution: Convolution, group_inputs: int) -> bool:
    """Return whether groups have few channels, and few enough products to compile quickly."""
    products = group_inputs * math.prod(convolution.windows.window)
    return convolution.groups > 1 and group_inputs <= MOST_INPUTS and products <= 512


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Sum depthwise convolutions: of the first channel of every group, of the second, …."""
    windows, features = convolution.windows, kernel.shape[-1]
    parts = zip(_split_inputs(x, convolution.groups), _split_kernel(kernel), strict=True)
    return functools.reduce(
        jnp.add,
        (add_taps(_repeat_channels(part, features), weights, windows) for part, weights in parts),
    )


def input_gradient(y: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Compute the gradient of each channel of the groups by a depthwise convolution of ``y``."""
    windows, groups = convolution.windows, convolution.groups
    parts = [
        _depthwise_input_gradient(y, weights, windows, groups) for weights in _split_kernel(kernel)
    ]
    x = jnp.stack(parts, axis=-1)
    return x.reshape(*x.shape[:-2], groups * len(parts))


def kernel_gradient(x: jax.Array, y: jax.Array, convolution: Convolution) -> jax.Array:
    """Compute the gradient of each input of the groups in turn."""
    parts = _split_inputs(x, convolution.groups)
    gradients = [_depthwise_kernel_gradient(part, y, convolution.windows) for part in parts]
    return jnp.concatenate(gradients, axis=-2)


THIN_GROUPS = Strategy("thin_groups", value, input_gradient, kernel_gradient)


def _split_inputs(x: jax.Array, groups: int) -> list[jax.Array]:
    """Return the first channel of every group, the second, …."""
    split = x.reshape(*x.shape[:-1], groups, -1)
    return [split[..., index] for index in range(split.shape[-1])]


def _split_kernel(kernel: jax.Array) -> list[jax.Array]:
    """Return the weights of each input of a group: ``(*kernel_size, 1, features)``."""
    return jnp.split(kernel, kernel.shape[-2], axis=-2)


def _repeat_channels(x: jax.Array, features: int) -> jax.Array:
    """Repeat each channel for every output that reads it."""
    return jnp.repeat(x, features // x.shape[-1], axis=-1)


def _depthwise_input_gradient(
    y: jax.Array, kernel: jax.Array, windows: shapes.Windows, in_features: int
) -> jax.Array:
    """Convolve ``y``, its positions ``strides`` apart, with the flipped kernel."""
    spread = pad_borders(y, windows.gradient_borders)
    axes = len(windows.window)
    dense = windows._replace(
        spatial=spread.shape[1:-1], strides=(1,) * axes, padding=((0, 0),) * axes
    )
    x = add_taps(spread, jnp.flip(kernel, range(axes)), dense)
    return x.reshape(*x.shape[:-1], in_features, -1).sum(axis=-1)


def _depthwise_kernel_gradient(x: jax.Array, y: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Sum, row by row of ``y``, its product with the rows of ``x`` under the kernel.

    One sum over whole arrays per tap would read both arrays once per tap. Rows stay in the cache,
    and are long enough for vector code. Where devices may share the batch, the rows of all examples
    are taken at a time, and their sums added at the end, so that each device takes its own.
    """
    features = y.shape[-1]
    borders = ((0, 0, 0), *((low, high, 0) for low, high in windows.padding), (0, 0, 0))
    padded = pad_borders(_repeat_channels(x, features), borders)
    *leading, row = tuple(zip(windows.window, windows.strides, windows.dilation, strict=True))
    batch, *places_of_rows = y.shape[:-2]
    together = batch if may_be_split() else 1
    counts = (batch // together, *places_of_rows)
    extents = [shapes.extent(window, dilation) for window, _, dilation in leading]
    width = (y.shape[-2] - 1) * row[1] + 1

    def add(index: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        example, *places = jnp.unravel_index(index, counts)
        start = [place * stride for place, (_, stride, _) in zip(places, leading, strict=True)]
        rows = lax.dynamic_slice(
            padded, (example, *start, 0, 0), (together, *extents, *padded.shape[-2:])
        )
        weights = lax.dynamic_slice(
            y, (example, *places, 0, 0), (together, *[1] * len(places_of_rows), *y.shape[-2:])
        )
        taps = []
        for tap, total in enumerate(sums):
            at = tap * row[2]
            under = lax.slice(
                rows,
                (0,) * len(counts) + (at, 0),
                (together, *extents, at + width, features),
                (1, *(dilation for _, _, dilation in leading), row[1], 1),
            )
            taps.append(total + under * weights)
        return tuple(taps)

    shape = (together, *(window for window, _, _ in leading), *y.shape[-2:])
    zeros, _ = match_varying_axes(jnp.zeros(shape, y.dtype), y)
    sums = lax.fori_loop(0, math.prod(counts), add, (zeros,) * row[0])
    return jnp.stack([total.sum(axis=(0, -2)) for total in sums], axis=-2)[..., None, :]

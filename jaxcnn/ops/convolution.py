"""Convolution and its transpose in any number of dimensions."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.padding import MODES, pad
from jaxcnn.ops.primitives.channels import spread
from jaxcnn.ops.primitives.conv_plain import swap_channels
from jaxcnn.ops.primitives.conv_strategy import Convolution
from jaxcnn.ops.primitives.convolution import convolve, input_gradient


def conv(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    padding_mode: str = "zeros",
    dilation: shapes.PerAxis = 1,
    groups: int = 1,
    flip_kernel: bool = False,
    precision: Any = None,
) -> jax.Array:
    """Convolves ``x`` with ``kernel``; the kernel's rank says in how many dimensions.

    Deep learning's convolution is the cross-correlation O_ij = Σ_ab I_{i+a, j+b} K_ab, summed
    over the input channels. ``flip_kernel=True`` is the mathematical convolution,
    (f∗g)(i) = Σ_t f(t) g(i − t). Sums of bfloat16 and float16 are accumulated in float32.

    On CPU a float32 convolution of 3×3 with many channels takes Winograd's way, whose error is a
    few times that of the direct sum (about 2e-6 of the largest value), and where an infinity or
    NaN reaches the tile of 4×4 outputs that it is read for. Any ``precision`` but ``None`` asks for
    the direct sum.

    Where peers differ: ``"SAME"`` at stride 2 or more puts the odd pixel of padding at the end,
    as Keras and Flax do; PyTorch pads both sides alike, which is ``padding=kernel_size // 2``.

    >>> image = jnp.array([[1., 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1],
    ...                    [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
    >>> kernel = jnp.array([[1., 0, 1], [0, 1, 0], [1, 0, 1]])
    >>> conv(image[None, :, :, None], kernel[:, :, None, None])[0, :, :, 0]
    Array([[4., 3., 4.],
           [2., 4., 3.],
           [2., 3., 4.]], dtype=float32)

    Args:
      x: ``(batch, *spatial, in_features)``.
      kernel: ``(*kernel_size, in_features // groups, features)``, of the same dtype.
      bias: ``(features,)``, of the same dtype, or ``None``.
      strides: Step of the kernel: an int or one per spatial axis, at least 1.
      padding: ``"VALID"``, ``"SAME"``, ``"SAME_LOWER"``, ``"CAUSAL"``, an int, one int per axis
        or one ``(low, high)`` per axis, as in :func:`jaxcnn.shapes.windows`.
      padding_mode: What the padding is filled with: ``"zeros"``, ``"reflect"``, ``"replicate"``
        or ``"circular"``, as in :func:`jaxcnn.ops.pad`.
      dilation: Distance between the inputs that the kernel reads, at least 1.
      groups: The channels are split into so many groups that do not mix; it divides
        ``in_features`` and ``features``. ``groups=in_features`` is a depthwise convolution.
      flip_kernel: Whether to flip the kernel along every spatial axis.
      precision: As in :func:`jax.lax.conv_general_dilated`.

    Returns:
      ``(batch, *output_sizes, features)``; see :func:`jaxcnn.shapes.conv_shape`.

    Raises:
      TypeError: the dtypes differ, or an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x, kernel, bias = _arrays(x, kernel, bias)
    groups = check_kernel(x, kernel, bias, groups)
    window = shapes.windows(
        x.shape[1:-1],
        kernel.shape[:-2],
        strides=strides,
        padding=padding,
        dilation=dilation,
        name="kernel_size",
    )
    arguments.check_known("padding_mode", padding_mode, MODES)
    if padding_mode != "zeros":
        x = pad(x, window.padding, mode=padding_mode)
        window = shapes.windows(
            x.shape[1:-1], kernel.shape[:-2], strides=strides, dilation=dilation
        )
    if arguments.check_flag("flip_kernel", flip_kernel):
        kernel = _flip(kernel)
    convolution = Convolution(window, groups, hashable(precision))
    y = convolve(x, kernel, convolution)
    return _add_bias(y, bias)


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    output_padding: shapes.PerAxis = 0,
    dilation: shapes.PerAxis = 1,
    groups: int = 1,
    precision: Any = None,
) -> jax.Array:
    """Spreads each value of ``x`` over a window of the output, weighted by ``kernel``.

    It is the gradient of :func:`conv` with respect to its input, as in PyTorch and Keras: a
    value at i adds x_i·K_a to the output at i·stride + a·dilation − pad. (Flax's default flips
    the kernel.) See :func:`jaxcnn.shapes.conv_transpose_shape` for what ``padding`` and
    ``output_padding`` do to the size.

    Where peers differ: ``output_padding`` adds at the end, as in PyTorch, and with ``"SAME"`` to
    size·stride. Keras, once it is given one, crops ``2·(kernel_size // 2) − output_padding`` with
    ``"same"``, the larger half at the end: write it as ``padding``, and no ``output_padding``.

    >>> x, kernel = jnp.array([1., 2.]), jnp.array([1., 10., 100.])
    >>> conv_transpose(x[None, :, None], kernel[:, None, None], strides=2)[0, :, 0]
    Array([  1.,  10., 102.,  20., 200.], dtype=float32)

    Args:
      x: ``(batch, *spatial, in_features)``.
      kernel: ``(*kernel_size, in_features // groups, features)``, of the same dtype.
      bias: ``(features,)``, of the same dtype, or ``None``.
      strides: Step of the window in the output: an int or one per spatial axis, at least 1.
      padding: What is cropped from the output: an int, one int per axis or one ``(low, high)``
        per axis crop as PyTorch's; ``"SAME"`` and ``"SAME_LOWER"`` give size·stride, and
        ``"VALID"`` crops nothing, as Keras's words do.
      output_padding: Positions added at the end of each axis, below its stride or dilation.
      dilation: Distance between the outputs that one value is spread over, at least 1.
      groups: The channels are split into so many groups that do not mix; it divides
        ``in_features`` and ``features``.
      precision: As in :func:`jax.lax.conv_general_dilated`.

    Returns:
      ``(batch, *output_sizes, features)``.

    Raises:
      TypeError: the dtypes differ, or an option is not a whole number.
      ValueError: a shape or an option does not fit; the message names it.
    """
    x, kernel, bias = _arrays(x, kernel, bias)
    groups = check_kernel(x, kernel, bias, groups)
    window = shapes.transposed_windows(
        x.shape[1:-1],
        kernel.shape[:-2],
        strides=strides,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    # A convolution of the output to the input: what output_padding adds, it does not read.
    unread = zip(window.crop, window.output_padding, strict=True)
    convolved = shapes.Windows(
        spatial=window.output_sizes,
        window=window.window,
        strides=window.strides,
        padding=tuple((low, high - added) for (low, high), added in unread),
        dilation=window.dilation,
        ceil_mode=False,
    )
    convolution = Convolution(convolved, groups, hashable(precision))
    return _add_bias(input_gradient(x, swap_channels(kernel, groups), convolution), bias)


def _flip(kernel: jax.Array) -> jax.Array:
    return jnp.flip(kernel, tuple(range(kernel.ndim - 2)))


def _add_bias(y: jax.Array, bias: jax.Array | None) -> jax.Array:
    return y if bias is None else y + spread(bias, y)


def _arrays(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    bias = None if bias is None else checks.array("bias", bias)
    return checks.array("x", x), checks.array("kernel", kernel), bias


def hashable(precision: Any) -> Any:
    """Returns a precision as the key of a program: one for each array may come as a list."""
    return tuple(precision) if isinstance(precision, list) else precision


def check_kernel(x: jax.Array, kernel: jax.Array, bias: jax.Array | None, groups: int) -> int:
    """Returns ``groups`` as an int, checked to fit ``x`` with kernel and bias.

    Raises:
      TypeError: the dtypes differ, or ``groups`` is not a whole number.
      ValueError: ranks, channels or groups do not fit.
    """
    if kernel.ndim < 3:
        raise ValueError(
            "kernel must be (*kernel_size, in_features // groups, features), with at least one "
            f"spatial axis. Received: shape {kernel.shape}"
        )
    checks.rank("x", x, kernel.ndim)
    groups = check_groups(groups, x.shape[-1], kernel.shape[-1])
    if groups == 1:
        checks.channels("x", x, kernel.shape[-2])
    elif kernel.shape[-2] * groups != x.shape[-1]:
        fitting = (*kernel.shape[:-2], x.shape[-1] // groups, kernel.shape[-1])
        raise ValueError(
            f"kernel must be (*kernel_size, in_features // groups, features) = {fitting} for x "
            f"with {x.shape[-1]} channels and groups={groups}. Received: shape {kernel.shape}"
        )
    checks.same_dtype(x=x, kernel=kernel, bias=bias)
    if bias is not None and bias.shape != kernel.shape[-1:]:
        raise ValueError(
            f"bias must be (features,) = {kernel.shape[-1:]}, as the kernel's last axis. "
            f"Received: shape {bias.shape}"
        )
    return groups


def check_groups(groups: int, in_features: int, features: int) -> int:
    """Returns ``groups`` as an int, checked to be at least 1 and to divide both channels.

    >>> check_groups(3, in_features=4, features=6)
    Traceback (most recent call last):
    ValueError: groups must divide in_features and features. Received: groups=3, in_features=4, \
features=6

    Raises:
      TypeError: ``groups`` is not a whole number.
      ValueError: it is below 1 or does not divide.
    """
    groups = arguments.check_integer("groups", groups, minimum=1)
    if in_features % groups or features % groups:
        raise ValueError(
            "groups must divide in_features and features. "
            f"Received: groups={groups}, in_features={in_features}, features={features}"
        )
    return groups

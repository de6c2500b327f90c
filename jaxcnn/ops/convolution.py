"""Convolution and its transpose in any number of dimensions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.padding import MODES, pad
from jaxcnn.ops.primitives.channels import spread
from jaxcnn.ops.primitives.conv_plain import swap_channels
from jaxcnn.ops.primitives.conv_strategy import Convolution
from jaxcnn.ops.primitives.convolution import convolve, input_gradient
from jaxcnn.other_names import explained


@explained
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
    """Convolve ``x`` with ``kernel``; the kernel's rank gives the number of dimensions.

    Deep learning's convolution is the cross-correlation
    :math:`O_{i,j} = Σ_{a,b} I_{i+a,j+b}·K_{a,b}`, summed over the input channels.
    ``flip_kernel=True`` is the mathematical convolution, :math:`(f ∗ g)(i) = Σ_t f(t)·g(i − t)`.
    Sums of bfloat16 and float16 are accumulated in float32.

    On CPU a float32 convolution of 3×3 with many channels is computed by Winograd's algorithm. Its
    error is a few times that of the direct sum (about 2e-6 of the largest value), and an infinity
    or NaN spreads over the tile of 4×4 outputs that reads it. Any ``precision`` but ``None`` asks
    for the direct sum; so does ``jax.default_matmul_precision``.

    Differences between libraries: ``"SAME"`` at stride 2 or more puts the odd pixel of padding at
    the end, as in Keras and Flax; PyTorch pads both sides by the same amount, which is
    ``padding=kernel_size // 2``.

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
      padding_mode: Content of the padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
        ``"circular"``, as in :func:`jaxcnn.ops.pad`.
      dilation: Distance between the inputs that the kernel reads, at least 1.
      groups: Number of groups of channels that do not mix; it divides ``in_features`` and
        ``features``. ``groups=in_features`` is a depthwise convolution.
      flip_kernel: Whether to flip the kernel along every spatial axis.
      precision: As in :func:`jax.lax.conv_general_dilated`: ``None`` means
        ``jax.default_matmul_precision``.

    Returns:
      ``(batch, *output_sizes, features)``; see :func:`jaxcnn.shapes.conv_shape`.

    Raises:
      TypeError: the dtypes differ, or an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
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
    arguments.check_choice("padding_mode", padding_mode, MODES)
    if padding_mode != "zeros":
        x = pad(x, window.padding, mode=padding_mode)
        window = shapes.windows(
            x.shape[1:-1], kernel.shape[:-2], strides=strides, dilation=dilation
        )
    if arguments.check_flag("flip_kernel", flip_kernel):
        kernel = _flip(kernel)
    convolution = Convolution(window, groups, resolve_precision(precision))
    y = convolve(x, kernel, convolution)
    return _add_bias(y, bias)


@explained
def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    output_padding: shapes.PerAxis | None = None,
    dilation: shapes.PerAxis = 1,
    groups: int = 1,
    precision: Any = None,
) -> jax.Array:
    """Spread each value of ``x`` over a window of the output, weighted by ``kernel``.

    It is the transpose T of :func:`conv` as a linear map of its input, for all options, as in
    PyTorch and Keras: :math:`⟨conv(u), x⟩ = ⟨u, T(x)⟩` for every u of the shape of the result,
    where ``conv`` has the same options and the kernel with its channels exchanged. A value at i
    adds :math:`x_i·K_a` to the output at :math:`i·stride + a·dilation − pad`. (Flax's default flips
    the kernel.) See :func:`jaxcnn.shapes.conv_transpose_shape` for the effect of ``padding`` and
    ``output_padding`` on the size.

    Differences between libraries: PyTorch also takes an ``output_padding`` between the stride and
    the dilation, whose size no such convolution maps back. With ``"same"``, an ``output_padding``
    and an even kernel, Keras gives one position less than here, which none maps back either.

    >>> x, kernel = jnp.array([1., 2.]), jnp.array([1., 10., 100.])
    >>> conv_transpose(x[None, :, None], kernel[:, None, None], strides=2)[0, :, 0]
    Array([  1.,  10., 102.,  20., 200.], dtype=float32)

    Args:
      x: ``(batch, *spatial, in_features)``.
      kernel: ``(*kernel_size, in_features // groups, features)``, of the same dtype.
      bias: ``(features,)``, of the same dtype, or ``None``.
      strides: Step of the window in the output: an int or one per spatial axis, at least 1.
      padding: Amount cropped from the output: an int, one int per axis or one ``(low, high)`` per
        axis, as in PyTorch; ``"SAME"``, ``"SAME_LOWER"`` or ``"VALID"``.
      output_padding: Positions beyond the smallest output on each axis, below its stride. ``None``
        means 0, but with ``"SAME"`` size·stride, and with ``"VALID"`` at least that, as in Keras.
      dilation: Distance between the outputs that one value is added to, at least 1.
      groups: Number of groups of channels that do not mix; it divides ``in_features`` and
        ``features``.
      precision: As in :func:`jax.lax.conv_general_dilated`: ``None`` means
        ``jax.default_matmul_precision``.

    Returns:
      ``(batch, *output_sizes, features)``.

    Raises:
      TypeError: the dtypes differ, or an option is not an integer.
      ValueError: a shape or an option is invalid; the message names it.
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
    # The convolution of the output to the input, which does not read what output_padding adds.
    unread = zip(window.crop, window.output_padding, strict=True)
    convolved = shapes.Windows(
        spatial=window.output_sizes,
        window=window.window,
        strides=window.strides,
        padding=tuple((low, high - added) for (low, high), added in unread),
        dilation=window.dilation,
        ceil_mode=False,
    )
    convolution = Convolution(convolved, groups, resolve_precision(precision))
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


def to_hashable(precision: Any) -> Any:
    """Return a precision as a hashable value: a pair of precisions may be a list."""
    return tuple(precision) if isinstance(precision, list) else precision


def check_precision(precision: Any) -> None:
    """Check that ``lax`` knows a precision.

    Raises:
      ValueError: it does not.
    """
    one = jax.ShapeDtypeStruct((1, 1), jnp.float32)
    try:
        jax.eval_shape(lambda x: lax.dot(x, x, precision=precision), one)
    except ValueError:
        names = ", ".join(repr(each.name.lower()) for each in lax.Precision)
        raise ValueError(
            f"precision must be None, one of {names}, a pair of them, or another precision that "
            f"jax.lax takes. Received: precision={precision!r}"
        ) from None


def resolve_precision(precision: Any) -> Any:
    """Return a precision as a hashable value, JAX's default in place of ``None``.

    The choice of a strategy depends on it, and is made before ``lax`` would read the default.
    """
    if precision is None:
        return jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]  # set at run time
    return to_hashable(precision)


def check_kernel(x: jax.Array, kernel: jax.Array, bias: jax.Array | None, groups: int) -> int:
    """Check that ``x``, kernel, bias and groups match, and return ``groups`` as an int.

    Raises:
      TypeError: the dtypes differ, or ``groups`` is not an integer.
      ValueError: ranks, channels or groups do not match.
    """
    if kernel.ndim < 3:
        raise ValueError(
            "kernel must be (*kernel_size, in_features // groups, features), with at least one "
            f"spatial axis. Received: shape {kernel.shape}"
        )
    checks.rank("x", x, kernel.ndim)
    checks.images("x", x)
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


def check_features(groups: int, features: int) -> None:
    """Check that ``groups`` is at least 1 and divides the output channels.

    Raises:
      TypeError: ``groups`` is not an integer.
      ValueError: ``groups`` is below 1 or does not divide the channels.
    """
    groups = arguments.check_integer("groups", groups, minimum=1)
    if features % groups:
        raise ValueError(
            f"groups must divide features. Received: groups={groups}, features={features}"
        )


def check_groups(groups: int, in_features: int, features: int) -> int:
    """Check that ``groups`` is at least 1 and divides both channels, and return it as an int.

    >>> check_groups(3, in_features=4, features=6)
    Traceback (most recent call last):
    ValueError: groups must divide in_features and features. Received: groups=3, in_features=4, \
features=6

    Raises:
      TypeError: ``groups`` is not an integer.
      ValueError: ``groups`` is below 1 or does not divide the channels.
    """
    groups = arguments.check_integer("groups", groups, minimum=1)
    if in_features % groups or features % groups:
        raise ValueError(
            "groups must divide in_features and features. "
            f"Received: groups={groups}, in_features={in_features}, features={features}"
        )
    return groups

"""Convolutions and dense layers: a kernel and a bias."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, checks, ops, shapes
from jaxcnn.ops.convolution import check_groups, hashable
from jaxcnn.ops.padding import MODES
from jaxcnn.runtime import run_once

Initializer = Callable[..., jax.Array]

# He et al., 2015: keeps the variance of activations through ReLU layers.
he_normal: Initializer = run_once(jax.nn.initializers.he_normal(), static_argnums=(1, 2))
zeros: Initializer = jax.nn.initializers.zeros


class _Affine(nnx.Module):
    """A kernel, a bias, and what the computation runs in."""

    def _own(
        self,
        shape: shapes.Shape,
        use_bias: bool,
        kernel_init: Initializer,
        bias_init: Initializer,
        dtype: DTypeLike | None,
        param_dtype: DTypeLike,
        rngs: nnx.Rngs | None,
    ) -> None:
        """Creates the parameters: a kernel of the shape, and a number for each of its features."""
        self.dtype = None if dtype is None else jnp.dtype(dtype)
        arguments.check_initializer("kernel_init", kernel_init)
        arguments.check_initializer("bias_init", bias_init)
        use_bias = arguments.check_flag("use_bias", use_bias)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[-1:], param_dtype) if use_bias else None

    def _cast(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Returns input, kernel and bias in the dtype of the computation."""
        checks.floating("x", x)
        dtype = self.kernel[...].dtype if self.dtype is None else self.dtype
        bias = None if self.bias is None else self.bias[...].astype(dtype)
        return x.astype(dtype), self.kernel[...].astype(dtype), bias


class Conv(_Affine):
    """A convolution and its parameters; see :func:`jaxcnn.ops.conv`.

    >>> layer = Conv(3, 8, (5, 5), padding="SAME", rngs=nnx.Rngs(0))
    >>> layer.kernel.shape, layer(jnp.zeros((2, 32, 32, 3))).shape
    ((5, 5, 3, 8), (2, 32, 32, 8))

    Attributes:
      kernel: ``nnx.Param`` of ``(*kernel_size, in_features // groups, features)``.
      bias: ``nnx.Param`` of ``(features,)``, or ``None``.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        kernel_size: Sequence[int],
        *,
        strides: shapes.PerAxis = 1,
        padding: shapes.Padding = "VALID",
        padding_mode: str = "zeros",
        dilation: shapes.PerAxis = 1,
        groups: int = 1,
        flip_kernel: bool = False,
        use_bias: bool = True,
        kernel_init: Initializer = he_normal,
        bias_init: Initializer = zeros,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: Any = None,
        rngs: nnx.Rngs | None,
    ) -> None:
        """Creates the parameters.

        Args:
          in_features: Input channels, at least 1.
          features: Output channels, at least 1.
          kernel_size: One int per spatial axis; their number is the convolution's dimension.
          strides: As in :func:`jaxcnn.ops.conv`.
          padding: As in :func:`jaxcnn.ops.conv`.
          padding_mode: As in :func:`jaxcnn.ops.conv`.
          dilation: As in :func:`jaxcnn.ops.conv`.
          groups: As in :func:`jaxcnn.ops.conv`.
          flip_kernel: As in :func:`jaxcnn.ops.conv`.
          use_bias: Whether to add a bias.
          kernel_init: A function of ``(key, shape, dtype)``, such as Flax's initializers.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: What the computation runs in; ``None`` means the parameters' own.
          param_dtype: What the parameters are stored in.
          precision: As in :func:`jaxcnn.ops.conv`.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        axes = _axes(kernel_size)
        self.strides = shapes.per_axis("strides", strides, axes)
        self.padding = shapes.padding_of(padding, axes)
        arguments.check_known("padding_mode", padding_mode, MODES)
        self.padding_mode = padding_mode
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.flip_kernel = arguments.check_flag("flip_kernel", flip_kernel)
        self.precision = hashable(precision)
        shape = _kernel_shape(kernel_size, in_features, features, groups)
        self.groups = arguments.check_integer("groups", groups, minimum=1)
        self._own(shape, use_bias, kernel_init, bias_init, dtype, param_dtype, rngs)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        x, kernel, bias = self._cast(x)
        return ops.conv(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
            flip_kernel=self.flip_kernel,
            precision=self.precision,
        )


class ConvTranspose(_Affine):
    """A transposed convolution and its parameters; see :func:`jaxcnn.ops.conv_transpose`.

    >>> layer = ConvTranspose(8, 3, (4, 4), strides=2, padding="SAME", rngs=nnx.Rngs(0))
    >>> layer.kernel.shape, layer(jnp.zeros((2, 16, 16, 8))).shape
    ((4, 4, 8, 3), (2, 32, 32, 3))

    Attributes:
      kernel: ``nnx.Param`` of ``(*kernel_size, in_features // groups, features)``.
      bias: ``nnx.Param`` of ``(features,)``, or ``None``.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        kernel_size: Sequence[int],
        *,
        strides: shapes.PerAxis = 1,
        padding: shapes.Padding = "VALID",
        output_padding: shapes.PerAxis = 0,
        dilation: shapes.PerAxis = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_init: Initializer = he_normal,
        bias_init: Initializer = zeros,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: Any = None,
        rngs: nnx.Rngs | None,
    ) -> None:
        """Creates the parameters.

        Args:
          in_features: Input channels, at least 1.
          features: Output channels, at least 1.
          kernel_size: One int per spatial axis; their number is the convolution's dimension.
          strides: As in :func:`jaxcnn.ops.conv_transpose`.
          padding: As in :func:`jaxcnn.ops.conv_transpose`.
          output_padding: As in :func:`jaxcnn.ops.conv_transpose`.
          dilation: As in :func:`jaxcnn.ops.conv_transpose`.
          groups: As in :func:`jaxcnn.ops.conv_transpose`.
          use_bias: Whether to add a bias.
          kernel_init: A function of ``(key, shape, dtype)``, such as Flax's initializers.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: What the computation runs in; ``None`` means the parameters' own.
          param_dtype: What the parameters are stored in.
          precision: As in :func:`jaxcnn.ops.conv_transpose`.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        axes = _axes(kernel_size)
        self.strides = shapes.per_axis("strides", strides, axes)
        self.padding = shapes.padding_of(padding, axes, words=shapes.PADDINGS_TRANSPOSED)
        self.output_padding = shapes.per_axis("output_padding", output_padding, axes, minimum=0)
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.precision = hashable(precision)
        shape = _kernel_shape(kernel_size, in_features, features, groups)
        self.groups = arguments.check_integer("groups", groups, minimum=1)
        self._own(shape, use_bias, kernel_init, bias_init, dtype, param_dtype, rngs)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        x, kernel, bias = self._cast(x)
        return ops.conv_transpose(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
            precision=self.precision,
        )


class Dense(_Affine):
    """A dense layer and its parameters; see :func:`jaxcnn.ops.dense`.

    >>> Dense(576, 10, rngs=nnx.Rngs(0))(jnp.zeros((2, 576))).shape
    (2, 10)

    Attributes:
      kernel: ``nnx.Param`` of ``(in_features, features)``.
      bias: ``nnx.Param`` of ``(features,)``, or ``None``.
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        use_bias: bool = True,
        kernel_init: Initializer = he_normal,
        bias_init: Initializer = zeros,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs | None,
    ) -> None:
        """Creates the parameters.

        Args:
          in_features: Inputs per example, at least 1.
          features: Outputs per example, at least 1.
          use_bias: Whether to add a bias.
          kernel_init: A function of ``(key, shape, dtype)``, such as Flax's initializers.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: What the computation runs in; ``None`` means the parameters' own.
          param_dtype: What the parameters are stored in.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        in_features = arguments.check_integer("in_features", in_features, minimum=1)
        features = arguments.check_integer("features", features, minimum=1)
        shape = (in_features, features)
        self._own(shape, use_bias, kernel_init, bias_init, dtype, param_dtype, rngs)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, in_features)`` to ``(batch, features)``."""
        return ops.dense(*self._cast(x))


def _axes(kernel_size: Sequence[int]) -> int:
    kernel_size = arguments.as_python(kernel_size)
    if not isinstance(kernel_size, Sequence):
        raise TypeError(
            "kernel_size must have one int per spatial axis, such as (3, 3). "
            f"Received: kernel_size={kernel_size!r}"
        )
    return len(kernel_size)


def _kernel_shape(
    kernel_size: Sequence[int], in_features: int, features: int, groups: int
) -> shapes.Shape:
    size = shapes.per_axis("kernel_size", kernel_size, len(kernel_size))
    in_features = arguments.check_integer("in_features", in_features, minimum=1)
    features = arguments.check_integer("features", features, minimum=1)
    groups = check_groups(groups, in_features, features)
    return (*size, in_features // groups, features)


def parameter(
    init: Initializer, rngs: nnx.Rngs | None, shape: shapes.Shape, dtype: DTypeLike
) -> nnx.Param[Any]:
    """Returns a parameter, abstract where there are no keys."""
    check_rngs(rngs)
    if rngs is None:
        return nnx.Param(jax.ShapeDtypeStruct(shape, dtype))
    return nnx.Param(init(rngs.params(), shape, dtype))


def check_rngs(rngs: Any) -> None:
    """Checks where a module's keys come from.

    Raises:
      TypeError: it is neither Flax's ``Rngs`` nor ``None``.
    """
    if not (rngs is None or isinstance(rngs, nnx.Rngs)):
        kind = type(rngs).__name__
        raise TypeError(f"rngs must be nnx.Rngs, such as nnx.Rngs(0). Received: {kind}")

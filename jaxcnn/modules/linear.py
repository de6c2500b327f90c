"""Convolutions and dense layers: a kernel and a bias."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, checks, ops, shapes
from jaxcnn.modules.initializers import Initializer, he_normal, zeros
from jaxcnn.modules.masked_rules import convolve
from jaxcnn.modules.masking import Masked
from jaxcnn.ops.convolution import check_groups, to_hashable
from jaxcnn.ops.padding import MODES
from jaxcnn.other_names import Explained
from jaxcnn.shapes.transposed import check_output_padding


class _Affine(Explained, nnx.Module):
    """A kernel, a bias, and the dtype of the computation."""

    def _create(
        self,
        shape: shapes.Shape,
        use_bias: bool,
        kernel_init: Initializer,
        bias_init: Initializer,
        dtype: DTypeLike | None,
        param_dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        """Create the parameters: a kernel of ``shape``, and one number per feature."""
        self.dtype = None if dtype is None else jnp.dtype(dtype)
        arguments.check_initializer("kernel_init", kernel_init)
        arguments.check_initializer("bias_init", bias_init)
        use_bias = arguments.check_flag("use_bias", use_bias)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[-1:], param_dtype) if use_bias else None

    def _cast(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Return input, kernel and bias in the dtype of the computation."""
        checks.floating("x", x)
        dtype = self.kernel[...].dtype if self.dtype is None else self.dtype
        bias = None if self.bias is None else self.bias[...].astype(dtype)
        return x.astype(dtype), self.kernel[...].astype(dtype), bias


class _Convolution(_Affine):
    """The options and parameters that a convolution and its transpose share."""

    _PADDINGS: Sequence[str] = shapes.PADDINGS

    def __init_subclass__(cls, **options: Any) -> None:
        """Show the shared options in the signature of each convolution instead of ``**options``."""
        super().__init_subclass__(**options)
        signature, shared = inspect.signature(cls.__init__), _Convolution.__init__
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {parameter.name for parameter in own}
        options_of_all = inspect.signature(shared).parameters.values()
        own += [parameter for parameter in options_of_all if parameter.name not in names]
        shown = signature.replace(parameters=own)
        setattr(cls.__init__, "__signature__", shown)  # noqa: B010  # functions declare no such field

    def __init__(
        self,
        in_features: int,
        features: int,
        kernel_size: Sequence[int],
        *,
        strides: shapes.PerAxis = 1,
        padding: shapes.Padding = "VALID",
        dilation: shapes.PerAxis = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_init: Initializer = he_normal,
        bias_init: Initializer = zeros,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: Any = None,
        rngs: nnx.Rngs,
    ) -> None:
        axes = _axes(kernel_size)
        self.strides = shapes.per_axis("strides", strides, axes)
        self.padding = shapes.padding_of(padding, axes, words=self._PADDINGS)
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.precision = to_hashable(precision)
        shape = _kernel_shape(kernel_size, in_features, features, groups)
        self.groups = arguments.check_integer("groups", groups, minimum=1)
        self._create(shape, use_bias, kernel_init, bias_init, dtype, param_dtype, rngs)

    def _apply(self, op: Callable[..., jax.Array], x: jax.Array, **options: Any) -> jax.Array:
        """Apply an operation to ``x``, the parameters and the shared options."""
        return op(
            *self._cast(x),
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            precision=self.precision,
            **options,
        )


class Conv(_Convolution):
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
        padding_mode: str = "zeros",
        flip_kernel: bool = False,
        **options: Any,
    ) -> None:
        """Create the parameters.

        Args:
          in_features: Input channels, at least 1.
          features: Output channels, at least 1.
          kernel_size: One int per spatial axis; their number is the convolution's dimension.
          padding_mode: Fill of the padding: ``"zeros"``, ``"reflect"``, ``"replicate"`` or
            ``"circular"``.
          flip_kernel: Whether to compute the mathematical convolution, with a flipped kernel.
          **options: ``strides``, ``padding``, ``dilation``, ``groups`` and ``precision`` of
            :func:`jaxcnn.ops.conv`, and the options of :class:`Dense`.

        Raises:
          TypeError: an option has the wrong type or is unknown.
          ValueError: a value is outside its range.
        """
        super().__init__(in_features, features, kernel_size, **options)
        arguments.check_choice("padding_mode", padding_mode, MODES)
        self.padding_mode = padding_mode
        self.flip_kernel = arguments.check_flag("flip_kernel", flip_kernel)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        own = {"padding_mode": self.padding_mode, "flip_kernel": self.flip_kernel}
        return self._apply(ops.conv, x, **own)

    def call_masked(self, x: Masked) -> Masked:
        """Convolve series of several lengths."""
        return convolve(self, x, self)


class ConvTranspose(_Convolution):
    """A transposed convolution and its parameters; see :func:`jaxcnn.ops.conv_transpose`.

    >>> layer = ConvTranspose(8, 3, (4, 4), strides=2, padding="SAME", rngs=nnx.Rngs(0))
    >>> layer.kernel.shape, layer(jnp.zeros((2, 16, 16, 8))).shape
    ((4, 4, 8, 3), (2, 32, 32, 3))

    Attributes:
      kernel: ``nnx.Param`` of ``(*kernel_size, in_features // groups, features)``.
      bias: ``nnx.Param`` of ``(features,)``, or ``None``.
    """

    _PADDINGS = shapes.PADDINGS_TRANSPOSED

    def __init__(
        self,
        in_features: int,
        features: int,
        kernel_size: Sequence[int],
        *,
        output_padding: shapes.PerAxis | None = None,
        **options: Any,
    ) -> None:
        """Create the parameters.

        Args:
          in_features: Input channels, at least 1.
          features: Output channels, at least 1.
          kernel_size: One int per spatial axis; their number is the convolution's dimension.
          output_padding: As in :func:`jaxcnn.ops.conv_transpose`.
          **options: ``strides``, ``padding``, ``dilation``, ``groups`` and ``precision`` of
            :func:`jaxcnn.ops.conv_transpose`, and the options of :class:`Dense`.

        Raises:
          TypeError: an option has the wrong type or is unknown.
          ValueError: a value is outside its range.
        """
        super().__init__(in_features, features, kernel_size, **options)
        self.output_padding = check_output_padding(output_padding, self.strides, len(self.strides))

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        return self._apply(ops.conv_transpose, x, output_padding=self.output_padding)


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
        rngs: nnx.Rngs,
    ) -> None:
        """Create the parameters.

        Args:
          in_features: Inputs per example, at least 1.
          features: Outputs per example, at least 1.
          use_bias: Whether to add a bias.
          kernel_init: A function of ``(key, shape, dtype)``, such as Flax's initializers.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: Dtype of the computation; ``None`` means that of the parameters.
          param_dtype: Dtype of the parameters.
          rngs: Source of the parameters' keys.

        Raises:
          TypeError: an option has the wrong type.
          ValueError: a value is outside its range.
        """
        in_features = arguments.check_integer("in_features", in_features, minimum=1)
        features = arguments.check_integer("features", features, minimum=1)
        shape = (in_features, features)
        self._create(shape, use_bias, kernel_init, bias_init, dtype, param_dtype, rngs)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Map ``(batch, in_features)`` to ``(batch, features)``."""
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
    init: Initializer, rngs: nnx.Rngs, shape: shapes.Shape, dtype: DTypeLike
) -> nnx.Param[Any]:
    """Create a parameter."""
    check_rngs(rngs)
    return nnx.Param(init(rngs.params(), shape, dtype))


def check_rngs(rngs: Any) -> None:
    """Check the source of a module's keys.

    Raises:
      TypeError: `rngs` is not Flax's ``Rngs``.
    """
    if not isinstance(rngs, nnx.Rngs):
        hint = ""
        if rngs is None:
            hint = ". For a module without arrays, use layer.abstract(input_shape)"
        raise TypeError(
            f"rngs must be nnx.Rngs, such as nnx.Rngs(0). Received: {type(rngs).__name__}{hint}"
        )

"""Convolutions: plain, transposed, depthwise, separable."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, modules, shapes
from jaxcnn.layers.composition import serial
from jaxcnn.layers.layer import Layer, WindowLayer
from jaxcnn.layers.option_checks import (
    check_dtypes,
    check_flags,
    check_padding,
    check_per_axis,
    count_axes,
)
from jaxcnn.modules import Initializer
from jaxcnn.modules.linear import check_rngs
from jaxcnn.ops.convolution import check_features, check_groups, check_precision
from jaxcnn.ops.padding import MODES, check_mode
from jaxcnn.other_names import explained
from jaxcnn.shapes.transposed import check_output_padding

_PER_AXIS = ("kernel_size", "strides", "padding", "dilation", "output_padding")


@dataclass(frozen=True, repr=False)
class _Convolution(Layer):
    """The options that all convolutions share."""

    _: KW_ONLY
    strides: shapes.PerAxis = 1
    padding: shapes.Padding = "VALID"
    dilation: shapes.PerAxis = 1
    use_bias: bool = True
    kernel_init: Initializer = modules.he_normal
    bias_init: Initializer = modules.zeros
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Any = None

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        check_per_axis(self, "kernel_size", "strides", "dilation")
        count_axes(self, *_PER_AXIS)
        check_flags(self, "use_bias")
        check_dtypes(self)
        check_precision(self.precision)
        arguments.check_initializer("kernel_init", self.kernel_init)
        arguments.check_initializer("bias_init", self.bias_init)

    def _module_options(self, input_shape: Sequence[int]) -> dict[str, Any]:
        """Return the fields as options of the module: the kernel size with one int per axis."""
        return vars(self) | {"kernel_size": self._kernel_shape(input_shape)}

    def _kernel_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        size = vars(self)["kernel_size"]  # declared by each kind, after its features
        return shapes.per_axis("kernel_size", size, len(input_shape) - 1)

    def _kernel_positions(self, input_shape: Sequence[int]) -> int:
        return math.prod(self._kernel_shape(input_shape))


@dataclass(frozen=True, repr=False)
class _Correlation(_Convolution, WindowLayer):
    """The options that the convolutions that are not transposed share."""

    _: KW_ONLY
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        check_padding(self)
        arguments.check_choice("padding_mode", self.padding_mode, MODES)

    def windows(self, input_shape: Sequence[int]) -> shapes.Windows:
        """Return the window with every option resolved for inputs of ``input_shape``."""
        *spatial, _ = shapes.image_shape(input_shape)
        windows = shapes.windows(
            spatial,
            self._kernel_shape(input_shape),
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            name="kernel_size",
        )
        check_mode("padding_mode", self.padding_mode, 0, spatial, windows.padding)
        return windows


@dataclass(frozen=True, repr=False)
class conv(_Correlation):
    """A convolution with as many spatial axes as its input; see :func:`jaxcnn.ops.conv`.

    >>> conv(64, 3).output_shape((28, 28, 1))
    (26, 26, 64)
    >>> conv(64, 3, strides=2, padding="SAME")
    conv(64, 3, strides=2, padding='SAME')

    Attributes:
      features: Output channels, at least 1.
      kernel_size: An int or one per spatial axis, at least 1.
      strides: Step of the kernel: an int or one per spatial axis, at least 1.
      padding: ``"VALID"``, ``"SAME"``, ``"SAME_LOWER"``, ``"CAUSAL"``, an int, one int per spatial
        axis, or one ``(low, high)`` per spatial axis.
      padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
      dilation: Distance between the positions that the kernel reads, at least 1.
      groups: Number of groups of channels that are convolved separately.
      flip_kernel: Whether to compute the mathematical convolution.
      use_bias: Whether to add a bias.
      kernel_init, bias_init: Functions of ``(key, shape, dtype)``.
      dtype: Dtype of the computation; ``None`` means that of the input.
      param_dtype: Dtype in which the parameters are stored.
      precision: Precision of the products, an argument of ``lax.conv_general_dilated``.
    """

    features: int
    kernel_size: shapes.PerAxis
    _: KW_ONLY
    groups: int = 1
    flip_kernel: bool = False

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        features = arguments.check_integer("features", self.features, minimum=1)
        check_features(self.groups, features)
        check_flags(self, "flip_kernel")

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*output_sizes, features)``; see :func:`jaxcnn.shapes.conv_shape`."""
        sizes = self.windows(input_shape).output_sizes
        check_groups(self.groups, input_shape[-1], self.features)
        return (*sizes, self.features)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return those of one output, kernel_size · in_features / groups, times the outputs."""
        outputs = math.prod(self.output_shape(input_shape))
        return outputs * self._kernel_positions(input_shape) * input_shape[-1] // self.groups

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Conv:
        """Return a :class:`jaxcnn.modules.Conv`."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        return modules.Conv(input_shape[-1], rngs=rngs, **self._module_options(input_shape))


@dataclass(frozen=True, repr=False)
class conv_transpose(_Convolution):
    """A transposed convolution; see :func:`jaxcnn.ops.conv_transpose`.

    >>> conv_transpose(3, 4, strides=2, padding="SAME").output_shape((14, 14, 64))
    (28, 28, 3)

    Attributes:
      features: Output channels, at least 1.
      kernel_size: An int or one per spatial axis, at least 1.
      strides: Distance between the outputs of neighboring inputs, at least 1.
      padding: What is cropped from the output: ``"VALID"``, ``"SAME"``, ``"SAME_LOWER"``, an int,
        one int per spatial axis, or one ``(low, high)`` per spatial axis.
      output_padding: Positions beyond the smallest output, at least 0, below the stride; ``None``
        means 0, but with words for padding the sizes of Keras.
      dilation: Distance between the outputs that one value is spread over, at least 1.
      groups: Number of groups of channels that are convolved separately.
      use_bias, kernel_init, bias_init, dtype, param_dtype, precision: The meaning of
        :class:`conv`.
    """

    features: int
    kernel_size: shapes.PerAxis
    _: KW_ONLY
    output_padding: shapes.PerAxis | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        features = arguments.check_integer("features", self.features, minimum=1)
        check_features(self.groups, features)
        check_padding(self, shapes.PADDINGS_TRANSPOSED)
        check_output_padding(self.output_padding, self.strides, count_axes(self, *_PER_AXIS))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return the shape that :func:`jaxcnn.shapes.conv_transpose_shape` gives."""
        *sizes, _ = shapes.image_shape(input_shape)
        check_groups(self.groups, input_shape[-1], self.features)
        return (*self._windows(sizes).output_sizes, self.features)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return those of one input, kernel_size · features / groups, times the inputs."""
        inputs = math.prod(input_shape)
        return inputs * self._kernel_positions(input_shape) * self.features // self.groups

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.ConvTranspose:
        """Return a :class:`jaxcnn.modules.ConvTranspose`."""
        check_rngs(rngs)
        self.output_shape(input_shape)
        options = self._module_options(input_shape)
        return modules.ConvTranspose(input_shape[-1], rngs=rngs, **options)

    def explain(self, input_shape: Sequence[int]) -> str:
        """Return the formula of each spatial axis with its numbers."""
        return self._windows(shapes.image_shape(input_shape)[:-1]).explain()

    def _windows(self, sizes: Sequence[int]) -> shapes.TransposedWindows:
        return shapes.transposed_windows(
            sizes,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
        )


@dataclass(frozen=True, repr=False)
class depthwise(_Correlation):
    """A convolution of each channel separately: ``groups`` is the number of channels.

    >>> depthwise(3, padding="SAME").output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      kernel_size: An int or one per spatial axis, at least 1.
      multiplier: Output channels for each input channel, at least 1.
      strides, padding, padding_mode, dilation, use_bias, kernel_init, bias_init, dtype,
        param_dtype, precision: The meaning of :class:`conv`.
    """

    kernel_size: shapes.PerAxis
    _: KW_ONLY
    multiplier: int = 1

    def __post_init__(self) -> None:
        """Check the options that do not depend on the input's shape."""
        super().__post_init__()
        arguments.check_integer("multiplier", self.multiplier, minimum=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``(*output_sizes, channels · multiplier)``."""
        return (*self.windows(input_shape).output_sizes, input_shape[-1] * self.multiplier)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return the size of the kernel times the outputs."""
        return math.prod(self.output_shape(input_shape)) * self._kernel_positions(input_shape)

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> modules.Conv:
        """Return a :class:`jaxcnn.modules.Conv` with as many groups as channels."""
        check_rngs(rngs)
        features = self.output_shape(input_shape)[-1]
        channels = input_shape[-1]
        options = self._module_options(input_shape)
        del options["multiplier"]
        return modules.Conv(channels, features, groups=channels, rngs=rngs, **options)


@explained
def separable(
    features: int,
    kernel_size: shapes.PerAxis,
    *,
    multiplier: int = 1,
    strides: shapes.PerAxis = 1,
    padding: shapes.Padding = "VALID",
    padding_mode: str = "zeros",
    dilation: shapes.PerAxis = 1,
    use_bias: bool = True,
    kernel_init: Initializer = modules.he_normal,
    bias_init: Initializer = modules.zeros,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    precision: Any = None,
) -> serial:
    """A depthwise convolution and one of size 1 that mixes the channels (Chollet, 2017).

    >>> separable(64, 3)
    serial(depthwise(3, use_bias=False), conv(64, 1))

    Args:
      features: Output channels, at least 1.
      kernel_size: Size of the depthwise kernel: an int or one per spatial axis, at least 1.
      multiplier: Depthwise output channels for each input channel, at least 1.
      strides: Step of the depthwise kernel, at least 1.
      padding: Padding of the depthwise convolution, of the forms of :class:`conv`.
      padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
      dilation: Distance between the positions that the depthwise kernel reads, at least 1.
      use_bias: Whether the second convolution adds a bias; the first never does.
      kernel_init: A function of ``(key, shape, dtype)``, for both kernels.
      bias_init: A function of ``(key, shape, dtype)``.
      dtype: Dtype of both computations; ``None`` means that of the input.
      param_dtype: Dtype in which the parameters are stored.
      precision: Precision of the products of both.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: an option has a value that is not allowed.
    """
    shared: dict[str, Any] = {
        "kernel_init": kernel_init,
        "dtype": dtype,
        "param_dtype": param_dtype,
        "precision": precision,
    }
    return serial(
        depthwise(
            kernel_size,
            multiplier=multiplier,
            strides=strides,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            use_bias=False,
            **shared,
        ),
        conv(features, 1, use_bias=use_bias, bias_init=bias_init, **shared),
    )

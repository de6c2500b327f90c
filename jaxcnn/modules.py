"""Flax NNX modules: each owns the parameters of one operation and calls it.

Every call is ``module(x, *, train=False, key=None)``: randomness is an argument, never a state.
``rngs=None`` makes an abstract module, whose parameters are ``jax.ShapeDtypeStruct``: what a
summary counts and what saved weights fill, with nothing allocated.
"""

import functools
import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import checks, ops, shapes
from jaxcnn.ops.conv import check_groups
from jaxcnn.ops.drop import check_rate

Initializer = Callable[..., jax.Array]

# He et al., 2015: keeps the variance of activations through ReLU layers.
he_normal: Initializer = jax.nn.initializers.he_normal()
zeros: Initializer = jax.nn.initializers.zeros


class Conv(nnx.Module):
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
          dilation: As in :func:`jaxcnn.ops.conv`.
          groups: As in :func:`jaxcnn.ops.conv`.
          flip_kernel: As in :func:`jaxcnn.ops.conv`.
          use_bias: Whether to add a bias.
          kernel_init: A function of ``(key, shape, dtype)``, such as Flax's initializers.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: What the computation runs in; ``None`` means ``param_dtype``.
          param_dtype: What the parameters are stored in.
          precision: As in :func:`jaxcnn.ops.conv`.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        if not isinstance(kernel_size, Sequence):
            raise TypeError(
                "kernel_size must have one int per spatial axis, such as (3, 3). "
                f"Received: kernel_size={kernel_size!r}"
            )
        axes = len(kernel_size)
        size = shapes.per_axis("kernel_size", kernel_size, axes)
        in_features = shapes.whole("in_features", in_features, least=1)
        features = shapes.whole("features", features, least=1)
        check_groups(groups, in_features, features)
        self.strides = shapes.per_axis("strides", strides, axes)
        self.padding = (
            padding if isinstance(padding, str) else shapes.pad_widths("padding", padding, axes)
        )
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.groups = groups
        self.flip_kernel = flip_kernel
        self.precision = precision
        self.dtype = jnp.dtype(param_dtype if dtype is None else dtype)
        kernel_shape = (*size, in_features // groups, features)
        self.kernel = _parameter(kernel_init, rngs, kernel_shape, param_dtype)
        self.bias = _parameter(bias_init, rngs, (features,), param_dtype) if use_bias else None

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        x, kernel, bias = _cast(self.dtype, x, self.kernel, self.bias)
        return ops.conv(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            flip_kernel=self.flip_kernel,
            precision=self.precision,
        )


class Dense(nnx.Module):
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
          dtype: What the computation runs in; ``None`` means ``param_dtype``.
          param_dtype: What the parameters are stored in.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        in_features = shapes.whole("in_features", in_features, least=1)
        features = shapes.whole("features", features, least=1)
        self.dtype = jnp.dtype(param_dtype if dtype is None else dtype)
        self.kernel = _parameter(kernel_init, rngs, (in_features, features), param_dtype)
        self.bias = _parameter(bias_init, rngs, (features,), param_dtype) if use_bias else None

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, in_features)`` to ``(batch, features)``."""
        return ops.dense(*_cast(self.dtype, x, self.kernel, self.bias))


class Dropout(nnx.Module):
    """Dropout while training, nothing at inference; see :func:`jaxcnn.ops.dropout`.

    >>> Dropout(0.5)(jnp.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float) -> None:
        """Stores ``rate``, the probability of dropping, in [0, 1).

        Raises:
          TypeError: ``rate`` is not a number.
          ValueError: ``rate`` is outside [0, 1).
        """
        check_rate(rate)
        self.rate = float(rate)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Drops values of ``x`` where ``train``; it then needs a ``key``."""
        if not train:
            return x
        if key is None:
            raise ValueError("dropout needs a key while training: model(x, train=True, key=key)")
        return ops.dropout(key, x, self.rate)


class Function(nnx.Module):
    """A pure function of an array with fixed options, such as a pool or an activation.

    >>> Function(ops.max_pool, window=2)(jnp.zeros((1, 4, 4, 1))).shape
    (1, 2, 2, 1)
    """

    def __init__(self, function: Callable[..., jax.Array], **options: Hashable) -> None:
        """Stores the function and its options."""
        self.function = function
        self.options = tuple(options.items())

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Returns ``function(x, **options)``."""
        return self.function(x, **dict(self.options))


class Serial(nnx.Module):
    """Modules called one after the other, each an attribute under its name.

    >>> model = Serial(first=Dense(4, 3, rngs=nnx.Rngs(0)), drop=Dropout(0.5))
    >>> model.first.kernel.shape, model(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))
    """

    def __init__(self, **children: nnx.Module) -> None:
        """Stores the modules in the order given."""
        self.names = tuple(children)
        for name, child in children.items():
            setattr(self, name, child)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Calls each module on the result of the one before; each gets a key of its own."""
        for index, name in enumerate(self.names):
            child_key = None if key is None else jax.random.fold_in(key, index)
            x = call(getattr(self, name), x, train=train, key=child_key)
        return x


def call(
    module: nnx.Module, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
) -> jax.Array:
    """Calls ``module`` with those of ``train`` and ``key`` that its signature takes.

    >>> call(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), jnp.zeros((2, 4)), train=True).shape
    (2, 3)
    """
    accepted = _call_options(type(module))
    options = {"train": train, "key": key}
    return module(x, **{name: options[name] for name in accepted})


@functools.cache
def _call_options(kind: type) -> tuple[str, ...]:
    parameters = inspect.signature(kind.__call__).parameters
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return tuple(name for name in ("train", "key") if any_keyword or name in parameters)


def _parameter(
    init: Initializer, rngs: nnx.Rngs | None, shape: shapes.Shape, dtype: DTypeLike
) -> nnx.Param[Any]:
    if rngs is None:
        return nnx.Param(jax.ShapeDtypeStruct(shape, dtype))
    return nnx.Param(init(rngs.params(), shape, dtype))


def _cast(
    dtype: jnp.dtype, x: jax.Array, kernel: nnx.Param[Any], bias: nnx.Param[Any] | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    checks.floating("x", x)
    cast_bias = None if bias is None else bias[...].astype(dtype)
    return x.astype(dtype), kernel[...].astype(dtype), cast_bias

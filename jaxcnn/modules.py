"""Flax NNX modules: each owns the parameters of one operation and calls it.

Every call is ``module(x, *, train=False, key=None)``: randomness is an argument, never a state.
``rngs=None`` makes an abstract module, whose parameters are ``jax.ShapeDtypeStruct``: what a
summary counts and what saved weights fill, with nothing allocated.
"""

import functools
import inspect
import itertools
import math
import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jaxcnn import checks, ops, shapes
from jaxcnn.compilation import run_once
from jaxcnn.ops.channels import spread, total
from jaxcnn.ops.conv import check_groups
from jaxcnn.ops.drop import check_rate

Initializer = Callable[..., jax.Array]

# He et al., 2015: keeps the variance of activations through ReLU layers.
he_normal: Initializer = run_once(jax.nn.initializers.he_normal(), static_argnums=(1, 2))
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
        self.padding = _static_padding(padding, axes)
        self.padding_mode = padding_mode
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.groups = groups
        self.flip_kernel = flip_kernel
        self.precision = precision
        self.dtype = None if dtype is None else jnp.dtype(dtype)
        shape = _kernel_shape(kernel_size, in_features, features, groups)
        self.kernel = _parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = _parameter(bias_init, rngs, shape[-1:], param_dtype) if use_bias else None

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
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
            flip_kernel=self.flip_kernel,
            precision=self.precision,
        )


class ConvTranspose(nnx.Module):
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
        self.padding = _static_padding(padding, axes)
        self.output_padding = shapes.per_axis("output_padding", output_padding, axes, least=0)
        self.dilation = shapes.per_axis("dilation", dilation, axes)
        self.groups = groups
        self.precision = precision
        self.dtype = None if dtype is None else jnp.dtype(dtype)
        shape = _kernel_shape(kernel_size, in_features, features, groups)
        self.kernel = _parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = _parameter(bias_init, rngs, shape[-1:], param_dtype) if use_bias else None

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, *spatial, in_features)`` to ``(batch, *output_sizes, features)``."""
        x, kernel, bias = _cast(self.dtype, x, self.kernel, self.bias)
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
          dtype: What the computation runs in; ``None`` means the parameters' own.
          param_dtype: What the parameters are stored in.
          rngs: Where the parameters' keys come from; ``None`` makes an abstract module.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        in_features = shapes.whole("in_features", in_features, least=1)
        features = shapes.whole("features", features, least=1)
        self.dtype = None if dtype is None else jnp.dtype(dtype)
        self.kernel = _parameter(kernel_init, rngs, (in_features, features), param_dtype)
        self.bias = _parameter(bias_init, rngs, (features,), param_dtype) if use_bias else None

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Maps ``(batch, in_features)`` to ``(batch, features)``."""
        return ops.dense(*_cast(self.dtype, x, self.kernel, self.bias))


class Dropout(nnx.Module):
    """Drops values while training, nothing at inference; see :mod:`jaxcnn.ops.drop`.

    >>> Dropout(0.5)(jnp.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, *, op: Callable[..., jax.Array] = ops.dropout) -> None:
        """Stores what is dropped, and how often.

        Args:
          rate: Probability of dropping, in [0, 1).
          op: :func:`jaxcnn.ops.dropout`, :func:`jaxcnn.ops.spatial_dropout` or
            :func:`jaxcnn.ops.drop_path`.

        Raises:
          TypeError: ``rate`` is not a number.
          ValueError: ``rate`` is outside [0, 1).
        """
        check_rate(rate)
        self.rate = float(rate)
        self.op = op

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Drops where ``train``; it then needs a ``key``."""
        if not train:
            return x
        if key is None:
            raise ValueError(
                f"{self.op.__name__} needs a key while training: model(x, train=True, key=key)"
            )
        return self.op(key, x, self.rate)


class BatchNorm(nnx.BatchNorm):
    """Flax's batch normalisation with this library's sums over a batch and its call.

    While training it normalises with the batch's mean and variance and moves the running ones
    towards them; at inference it uses those.

    >>> layer = BatchNorm(3, momentum=0.9, rngs=nnx.Rngs(0))
    >>> images = jnp.arange(24.0).reshape(2, 2, 2, 3)
    >>> layer(images, train=True).shape, [f"{mean:.2f}" for mean in layer.mean[...]]
    ((2, 2, 2, 3), ['1.05', '1.15', '1.25'])
    """

    def __call__(  # type: ignore[override]  # this library's call, not Flax's
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalises each channel of ``x``; the shape stays."""
        dtype = jnp.promote_types(jnp.float32, x.dtype)  # statistics of halves lose their digits
        wide = x.astype(dtype)
        mean, variance = self.mean[...].astype(dtype), self.var[...].astype(dtype)
        if train:
            count = math.prod(x.shape[:-1])
            mean = total(wide) / count
            centred = wide - spread(mean, wide)
            # The mean of squares of what is centred: E[x²] − E[x]² has no right digit left where
            # the mean is large beside the deviation.
            variance = total(centred * centred) / count
            self._follow(self.mean, mean)
            self._follow(self.var, variance)
        else:
            centred = wide - spread(mean, wide)
        slope = lax.rsqrt(variance + self.epsilon)
        if self.scale is not None:
            slope *= self.scale[...].astype(dtype)
        y = centred * spread(slope, wide)
        if self.bias is not None:
            y += spread(self.bias[...].astype(dtype), wide)
        return y.astype(x.dtype if self.dtype is None else self.dtype)

    def _follow(self, running: nnx.Variable[jax.Array], batch: jax.Array) -> None:
        """Moves a running statistic towards the batch's."""
        old = running[...]
        batch = lax.stop_gradient(batch).astype(old.dtype)
        running[...] = self.momentum * old + (1 - self.momentum) * batch


class _Normalised:
    """Flax's normalisations that do the same in training and at inference."""

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalises ``x``; the shape stays."""
        return super().__call__(x)  # type: ignore[misc]  # Flax's, which comes next in order


class LayerNorm(_Normalised, nnx.LayerNorm):  # type: ignore[misc]  # the call is ours
    """Flax's layer normalisation; see :class:`jaxcnn.layers.layer_norm`.

    >>> LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[[1., 3.]]]))
    Array([[[-0.9999995,  0.9999995]]], dtype=float32)
    """


class GroupNorm(_Normalised, nnx.GroupNorm):  # type: ignore[misc]  # the call is ours
    """Flax's group normalisation; see :class:`jaxcnn.layers.group_norm`.

    >>> GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """


class InstanceNorm(_Normalised, nnx.InstanceNorm):  # type: ignore[misc]  # the call is ours
    """Flax's instance normalisation; see :class:`jaxcnn.layers.instance_norm`.

    >>> InstanceNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """


class RMSNorm(_Normalised, nnx.RMSNorm):  # type: ignore[misc]  # the call is ours
    """Flax's normalisation by the root mean square; see :class:`jaxcnn.layers.rms_norm`.

    >>> RMSNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """


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
        children = [(index, getattr(self, name)) for index, name in enumerate(self.names)]
        for index, child in _pools_first(children):
            x = call(child, x, train=train, key=_child_key(key, index))
        return x


def _pools_first(children: list[tuple[int, nnx.Module]]) -> list[tuple[int, nnx.Module]]:
    """Returns the children with each max pool before the ReLU that it follows.

    Both orders give the same values and gradients, bit for bit: ReLU keeps the order of numbers,
    and what it makes equal, zeros, has no gradient. A pool of 2×2 leaves it a quarter of the work.
    """
    swapped = list(children)
    for at, ((_, first), (_, second)) in enumerate(itertools.pairwise(children)):
        functions = [child.function for child in (first, second) if isinstance(child, Function)]
        if functions == [jax.nn.relu, ops.max_pool]:
            swapped[at : at + 2] = swapped[at + 1], swapped[at]
    return swapped


class Residual(nnx.Module):
    """The sum of a body and a shortcut past it: y = body(x) + shortcut(x) (He et al., 2016).

    >>> model = Residual(Dense(4, 4, kernel_init=zeros, rngs=nnx.Rngs(0)))
    >>> model(jnp.ones((1, 4)))
    Array([[1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(self, body: nnx.Module, shortcut: nnx.Module | None = None) -> None:
        """Stores both; without a shortcut the input itself is added."""
        self.body = body
        self.shortcut = shortcut

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Returns ``body(x) + shortcut(x)``."""
        y = call(self.body, x, train=train, key=_child_key(key, 0))
        if self.shortcut is None:
            return y + x
        return y + call(self.shortcut, x, train=train, key=_child_key(key, 1))


class Parallel(nnx.Module):
    """Modules that read the same input side by side, each an attribute under its name.

    >>> model = Parallel(a=Function(jax.nn.relu), b=Function(jnp.negative), combine="concat")
    >>> model(jnp.array([[1., -2.]]))
    Array([[ 1.,  0., -1.,  2.]], dtype=float32)
    """

    def __init__(self, *, combine: str, **branches: nnx.Module) -> None:
        """Stores the branches, and how their outputs are combined.

        Args:
          combine: ``"concat"`` (along the channels), ``"add"`` or ``"multiply"``.
          **branches: The modules by name.

        Raises:
          ValueError: ``combine`` is another word.
        """
        checks.known("way to combine", combine, _COMBINE)
        self.combine = combine
        self.names = tuple(branches)
        for name, branch in branches.items():
            setattr(self, name, branch)

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Calls each branch on ``x`` with a key of its own, and combines what they return."""
        outputs = [
            call(getattr(self, name), x, train=train, key=_child_key(key, index))
            for index, name in enumerate(self.names)
        ]
        return _COMBINE[self.combine](outputs)


def remat(module: nnx.Module) -> nnx.Module:
    """Returns ``module`` with activations that are computed again in the backward pass.

    Between the passes only its input is kept: less memory for one more forward pass of it (Chen
    et al., 2016, arXiv 1604.06174). Values, gradients, statistics and what dropout drops are the
    same, and so are the names of parameters: the result is of a subclass of the module's class and
    shares its variables.

    jax 0.10 on CPU keeps the activations nevertheless, except in the training step, which tells
    the compiler not to (:mod:`jaxcnn.compilation`).

    >>> block = remat(Serial(inner=Dense(4, 3, rngs=nnx.Rngs(0))))
    >>> block.inner.kernel.shape, block(jnp.zeros((2, 4))).shape
    ((4, 3), (2, 3))

    Args:
      module: Any module called as ``module(x)`` or ``module(x, *, train, key)``.
    """
    kind = _remat_kind(type(module))
    recomputed = object.__new__(kind)
    vars(recomputed).update(vars(module))
    return recomputed


@functools.cache  # so that two builds of one layer compare equal
def _remat_kind(kind: type[nnx.Module]) -> type[nnx.Module]:
    class Remat(kind):  # type: ignore[misc,valid-type]  # known at run time alone
        def __call__(
            self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
        ) -> jax.Array:
            def run(module: nnx.Module, x: jax.Array, key: jax.Array | None) -> jax.Array:
                return kind.__call__(module, x, **_accepted(kind, train, key))

            return nnx.remat(run)(self, x, key)

    return Remat


_COMBINE: dict[str, Callable[[list[jax.Array]], jax.Array]] = {
    "concat": functools.partial(jnp.concatenate, axis=-1),
    "add": functools.partial(functools.reduce, operator.add),
    "multiply": functools.partial(functools.reduce, operator.mul),
}


def call(
    module: nnx.Module, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
) -> jax.Array:
    """Calls ``module`` with those of ``train`` and ``key`` that its signature takes.

    >>> call(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), jnp.zeros((2, 4)), train=True).shape
    (2, 3)
    """
    return module(x, **_accepted(type(module), train, key))


def _accepted(kind: type, train: bool, key: jax.Array | None) -> dict[str, Any]:
    options = {"train": train, "key": key}
    return {name: options[name] for name in _call_options(kind)}


@functools.cache
def _call_options(kind: type) -> tuple[str, ...]:
    parameters = inspect.signature(kind.__call__).parameters
    # nnx.Sequential takes any keyword, but hands it to a first layer that may know nothing of it.
    any_keyword = kind is not nnx.Sequential and any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    )
    return tuple(name for name in ("train", "key") if any_keyword or name in parameters)


def _child_key(key: jax.Array | None, index: int) -> jax.Array | None:
    return None if key is None else jax.random.fold_in(key, index)


def _axes(kernel_size: Sequence[int]) -> int:
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
    in_features = shapes.whole("in_features", in_features, least=1)
    features = shapes.whole("features", features, least=1)
    check_groups(groups, in_features, features)
    return (*size, in_features // groups, features)


def _static_padding(padding: shapes.Padding, axes: int) -> str | tuple[shapes.Pair, ...]:
    # A tuple, so that two builds of one layer compare equal.
    return padding if isinstance(padding, str) else shapes.pad_widths("padding", padding, axes)


def _parameter(
    init: Initializer, rngs: nnx.Rngs | None, shape: shapes.Shape, dtype: DTypeLike
) -> nnx.Param[Any]:
    if rngs is None:
        return nnx.Param(jax.ShapeDtypeStruct(shape, dtype))
    return nnx.Param(init(rngs.params(), shape, dtype))


def _cast(
    dtype: jnp.dtype | None, x: jax.Array, kernel: nnx.Param[Any], bias: nnx.Param[Any] | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    checks.floating("x", x)
    dtype = kernel[...].dtype if dtype is None else dtype
    cast_bias = None if bias is None else bias[...].astype(dtype)
    return x.astype(dtype), kernel[...].astype(dtype), cast_bias

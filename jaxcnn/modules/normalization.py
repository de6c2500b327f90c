"""Batch normalization with running statistics, and Flax's normalizations with our call."""

import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jaxcnn import arguments, checks, ops
from jaxcnn.modules import masked_rules
from jaxcnn.modules.initializers import Initializer, ones, zeros
from jaxcnn.modules.linear import check_rngs
from jaxcnn.modules.masked_rules import batch_moments
from jaxcnn.modules.masking import Masked
from jaxcnn.ops.normalization import normalize_examples, normalize_over_batch
from jaxcnn.other_names import Explained


class BatchNorm(Explained, nnx.BatchNorm):
    """Batch normalization and its running statistics; see :func:`jaxcnn.ops.batch_norm`.

    In training it normalizes by the batch's mean and variance and moves the running ones towards
    them; an empty batch leaves them unchanged. At inference it normalizes by the running ones.

    >>> layer = BatchNorm(3, rngs=nnx.Rngs(0))
    >>> images = jnp.arange(24.0).reshape(2, 2, 2, 3)
    >>> layer(images, train=True).shape, [f"{mean:.2f}" for mean in layer.mean[...]]
    ((2, 2, 2, 3), ['1.05', '1.15', '1.25'])

    Attributes:
      mean, var: ``nnx.BatchStat`` of ``(features,)``, float32: the running statistics.
      scale, bias: ``nnx.Param`` of ``(features,)``, or ``None``.
      groups: Number of equal parts of a batch, each of which is normalized by its own statistics
        in training; the running ones move towards their mean.
    """

    groups: int = 1

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        use_scale: bool = True,
        use_bias: bool = True,
        scale_init: Initializer = ones,
        bias_init: Initializer = zeros,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        axis_name: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        """Create the parameters and the statistics.

        Args:
          features: Channels, at least 1.
          momentum: Share of the running statistics that each step keeps, in [0, 1].
          epsilon: Added to the variance, at least 0.
          use_scale: Whether to multiply by a learned number per channel.
          use_bias: Whether to add a learned number per channel.
          scale_init: A function of ``(key, shape, dtype)``.
          bias_init: A function of ``(key, shape, dtype)``.
          dtype: Dtype of the result; ``None`` means that of the input.
          param_dtype: Dtype of the parameters.
          axis_name: Axis of a ``jax.shard_map`` or ``jax.pmap`` over whose devices the statistics
            of a training step are synchronized, each with an equal part of the batch. ``None``
            takes those of each device's part; a batch that is sharded without them is one batch.
          rngs: Source of the parameters' keys.

        Raises:
          TypeError: an option is not of its type.
          ValueError: an option is out of its range.
        """
        check_rngs(rngs)
        super().__init__(
            arguments.check_integer("features", features, minimum=1),
            momentum=arguments.check_number("momentum", momentum, minimum=0, maximum=1),
            epsilon=arguments.check_number("epsilon", epsilon, minimum=0),
            use_scale=arguments.check_flag("use_scale", use_scale),
            use_bias=arguments.check_flag("use_bias", use_bias),
            use_running_average=True,
            scale_init=scale_init,
            bias_init=bias_init,
            dtype=dtype,
            param_dtype=param_dtype,
            axis_name=check_axis_name(axis_name),
            rngs=rngs,
        )

    def __call__(  # type: ignore[override]  # this library's call, not Flax's
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalize each channel of ``x``; keep its shape."""
        x = _checked(x, self.num_features)
        scale, bias = (None if p is None else p[...] for p in (self.scale, self.bias))
        count = math.prod(x.shape[:-1])
        if train is None:
            train = not self.use_running_average
        if not (train and count):
            return ops.batch_norm(
                x,
                scale,
                bias,
                self.mean[...],
                self.var[...],
                epsilon=self.epsilon,
                dtype=self.dtype,
            )
        normalize = functools.partial(
            normalize_over_batch, epsilon=self.epsilon, dtype=self.dtype, axis_name=self.axis_name
        )
        if self.groups > 1:
            parts = x.reshape(self.groups, len(x) // self.groups, *x.shape[1:])
            # A copy for each group: else the derivative of the bias adds up whole outputs of the
            # groups first, and devices that have one each exchange those.
            scale, bias = (
                None if p is None else jnp.broadcast_to(p, (self.groups, *p.shape))
                for p in (scale, bias)
            )
            y, means, variances = jax.vmap(normalize)(parts, scale, bias)
            y, mean, variance = y.reshape(x.shape), means.mean(axis=0), variances.mean(axis=0)
        else:
            y, mean, variance = normalize(x, scale, bias)
        self._update(self.mean, mean)
        self._update(self.var, variance)
        return y

    def call_masked(
        self, x: Masked, *, train: bool | None = None, key: jax.Array | None = None
    ) -> Masked:
        """Normalize series of several lengths by the statistics of their real steps."""
        if train is None:
            train = not self.use_running_average
        if not train:
            return x.with_values(self(x.values, train=False))
        if self.groups > 1:
            raise ValueError("batch_norm='device' does not support padded series: use 'global'")
        values = _checked(x.values, self.num_features)
        scale, bias = (None if p is None else p[...] for p in (self.scale, self.bias))
        count, mean, variance = batch_moments(x, self.axis_name)
        y = ops.batch_norm(
            values, scale, bias, mean, variance, epsilon=self.epsilon, dtype=self.dtype
        )
        self._update(self.mean, jnp.where(count > 0, mean, self.mean[...]))
        self._update(self.var, jnp.where(count > 0, variance, self.var[...]))
        return x.with_values(y)

    def _update(self, running: nnx.Variable[jax.Array], batch: jax.Array) -> None:
        """Move a running statistic towards the batch's."""
        old = running[...]
        batch = lax.stop_gradient(batch).astype(old.dtype)
        running[...] = self.momentum * old + (1 - self.momentum) * batch


def normalize_in_groups(model: nnx.Module, groups: int) -> None:
    """Let each batch normalization of a model use the statistics of parts of the batch.

    Args:
      model: The model, whose modules are changed.
      groups: Number of equal parts.

    Raises:
      TypeError: the model has a batch normalization of Flax.
    """
    for path, module in nnx.iter_modules(model):
        if isinstance(module, BatchNorm):
            module.groups = groups
        elif isinstance(module, nnx.BatchNorm):
            raise TypeError(
                "batch_norm='device' needs batch normalizations of jaxcnn. "
                f"Received: nnx.BatchNorm at {'.'.join(map(str, path))}"
            )


class _Normalized(Explained):
    """The call of Flax's normalizations, the same in training and at inference."""

    num_features: int
    num_groups: int = 1
    epsilon: float
    scale: nnx.Param[jax.Array] | None
    bias: nnx.Param[jax.Array] | None = None
    dtype: Any
    # What shares a mean and a variance, as `normalize_examples` takes it.
    _positions: ClassVar[bool] = False
    _channels: ClassVar[bool] = False
    _center: ClassVar[bool] = True

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalize ``x``; keep its shape."""
        x = _checked(x, self.num_features)
        scale, bias = (None if p is None else p[...] for p in (self.scale, self.bias))
        return normalize_examples(
            x,
            scale,
            bias,
            positions=self._positions,
            channels=self._channels,
            groups=self.num_groups,
            center=self._center,
            epsilon=self.epsilon,
            dtype=self.dtype,
        )

    def call_masked(self, x: Masked) -> Masked:
        """Normalize series of several lengths, over their real steps."""
        if not self._positions:
            return x.with_values(self(x.values))
        _checked(x.values, self.num_features)
        scale, bias = (None if p is None else p[...] for p in (self.scale, self.bias))
        return masked_rules.normalize_examples(
            x,
            scale,
            bias,
            channels=self._channels,
            groups=self.num_groups if self._channels else self.num_features,
            epsilon=self.epsilon,
            dtype=self.dtype,
        )


class LayerNorm(_Normalized, nnx.LayerNorm):  # type: ignore[misc]  # the call is ours
    """Flax's layer normalization; see :class:`jaxcnn.layer_norm`.

    >>> LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[[1., 3.]]]))
    Array([[[-0.9999995,  0.9999995]]], dtype=float32)
    """

    _channels = True


class GroupNorm(_Normalized, nnx.GroupNorm):  # type: ignore[misc]  # the call is ours
    """Flax's group normalization; see :class:`jaxcnn.group_norm`.

    >>> GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """

    _positions = _channels = True

    def __init__(self, num_features: int, **options: Any) -> None:
        """Take Flax's options; keep the number of features, which Flax does not."""
        super().__init__(num_features, **options)
        self.num_features = num_features


class InstanceNorm(_Normalized, nnx.InstanceNorm):  # type: ignore[misc]  # the call is ours
    """Flax's instance normalization; see :class:`jaxcnn.instance_norm`.

    >>> InstanceNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """

    _positions = True


class RMSNorm(_Normalized, nnx.RMSNorm):  # type: ignore[misc]  # the call is ours
    """Flax's normalization by the root mean square; see :class:`jaxcnn.rms_norm`.

    >>> RMSNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """

    _channels = True
    _center = False


def check_axis_name(name: Any) -> str | None:
    """Return the name of an axis of devices, or ``None``.

    Raises:
      TypeError: it is anything else.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"axis_name must be a string or None. Received: axis_name={name!r}")
    return name


def _checked(x: jax.Array, features: int) -> jax.Array:
    x = checks.array("x", x)
    checks.floating("x", x)
    checks.channels("x", x, features, owner="parameters have")
    return x

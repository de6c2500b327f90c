"""Normalization over a batch, an example, groups of channels or a position."""

import abc
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxcnn import arguments, modules, ops, shapes
from jaxcnn.layers.layer import Layer, OpLayer
from jaxcnn.layers.option_checks import check_dtypes, check_flags
from jaxcnn.modules.linear import check_rngs
from jaxcnn.modules.normalization import check_axis_name
from jaxcnn.ops.normalization import check_local_response


@dataclass(frozen=True, repr=False)
class _Norm(Layer):
    """The base of all normalizations: the shape stays; scale and bias are one per channel."""

    _: KW_ONLY
    epsilon: float = 1e-5
    use_scale: bool = True
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        arguments.check_number("epsilon", self.epsilon, minimum=0)
        check_dtypes(self)
        check_flags(self, *(name for name in ("use_scale", "use_bias") if name in vars(self)))

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``, which must have several values for each statistic."""
        shape = shapes.check_shape(input_shape)
        if self._values(shape) == 1:
            raise ValueError(
                f"input_shape must give {self.kind} several values for each mean and variance, "
                f"else all results would be 0. Received: input_shape={shape}"
            )
        return shape

    def _values(self, shape: shapes.Shape) -> int | None:
        """Return the number of values of one example that are normalized together.

        ``None``: values of other examples are normalized together with them.
        """
        return None

    def build(self, input_shape: Sequence[int], *, rngs: nnx.Rngs) -> nnx.Module:
        """Return the module for the channels of the input."""
        check_rngs(rngs)
        return self._module(self.output_shape(input_shape)[-1], rngs)

    @abc.abstractmethod
    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module: ...


@dataclass(frozen=True, repr=False)
class batch_norm(_Norm):
    """Normalize each channel over the batch and all positions (Ioffe and Szegedy, 2015).

    Training uses the mean and variance of the batch, inference the running ones:
    :math:`running ← momentum·running + (1 − momentum)·batch`, as in Flax and Keras. PyTorch's
    ``momentum`` is 1 − momentum (0.9 here is its default 0.1), and its running variance is the
    unbiased one, :math:`n/(n − 1)` times the one here.

    >>> batch_norm().output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      momentum: Share of the running statistics that stays at each step, in [0, 1].
      epsilon: Added to the variance, at least 0.
      use_scale, use_bias: Whether to multiply by a learned number per channel, and to add one.
      dtype: Dtype of the result; ``None`` means that of the input. Statistics are float32.
      param_dtype: Dtype in which the parameters are stored.
      axis_name: Axis of a ``jax.shard_map`` or ``jax.pmap`` over whose devices training
        synchronizes the statistics; see :class:`jaxcnn.modules.BatchNorm`.
    """

    _: KW_ONLY
    momentum: float = 0.9
    use_bias: bool = True
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        arguments.check_number("momentum", self.momentum, minimum=0, maximum=1)
        check_axis_name(self.axis_name)

    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return modules.BatchNorm(channels, rngs=rngs, **vars(self))


@dataclass(frozen=True, repr=False)
class layer_norm(_Norm):
    """Normalize each position over its channels (Ba et al., 2016).

    >>> layer_norm().output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      epsilon, use_scale, use_bias, dtype, param_dtype: The meaning of :class:`batch_norm`.
    """

    _: KW_ONLY
    use_bias: bool = True

    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return modules.LayerNorm(channels, rngs=rngs, **vars(self))

    def _values(self, shape: shapes.Shape) -> int:
        return shape[-1]


@dataclass(frozen=True, repr=False)
class group_norm(_Norm):
    """Normalize each example over all positions and groups of channels (Wu and He, 2018).

    >>> group_norm(8).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      groups: Number of groups; it must divide the channels.
      epsilon, use_scale, use_bias, dtype, param_dtype: The meaning of :class:`batch_norm`.
    """

    groups: int
    _: KW_ONLY
    use_bias: bool = True

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        arguments.check_integer("groups", self.groups, minimum=1)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``, whose channels must be divisible by the groups."""
        shape = shapes.check_shape(input_shape)
        if shape[-1] % self.groups:
            raise ValueError(
                f"groups must divide the channels. Received: groups={self.groups}, "
                f"input_shape={shape}"
            )
        return super().output_shape(shape)

    def _values(self, shape: shapes.Shape) -> int:
        return math.prod(shape) // self.groups

    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        options = dict(vars(self))
        return modules.GroupNorm(channels, num_groups=options.pop("groups"), rngs=rngs, **options)


@dataclass(frozen=True, repr=False)
class instance_norm(_Norm):
    """Normalize each channel of each example over all positions (Ulyanov et al., 2016).

    >>> instance_norm().output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      epsilon, use_scale, use_bias, dtype, param_dtype: The meaning of :class:`batch_norm`.
    """

    _: KW_ONLY
    use_bias: bool = True

    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return modules.InstanceNorm(channels, rngs=rngs, **vars(self))

    def _values(self, shape: shapes.Shape) -> int:
        return math.prod(shape[:-1])


@dataclass(frozen=True, repr=False)
class local_response_norm(OpLayer):
    """Divide by a power of the squares of nearby channels; see :func:`ops.local_response_norm`.

    >>> local_response_norm(5).output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      size: Number of channels in the mean of the squares, at least 1.
      alpha: Factor of the mean, at least 0.
      beta: Exponent, at least 0.
      k: Added to the mean, at least 0.
    """

    op = staticmethod(ops.local_response_norm)

    size: int
    _: KW_ONLY
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_local_response(self.size, self.alpha, self.beta, self.k)

    def output_shape(self, input_shape: Sequence[int]) -> shapes.Shape:
        """Return ``input_shape``."""
        return shapes.check_shape(input_shape)


@dataclass(frozen=True, repr=False)
class rms_norm(_Norm):
    """Divide each position by the root mean square of its channels (Zhang and Sennrich, 2019).

    >>> rms_norm().output_shape((28, 28, 32))
    (28, 28, 32)

    Attributes:
      epsilon, use_scale, dtype, param_dtype: The meaning of :class:`batch_norm`.
    """

    def _module(self, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return modules.RMSNorm(channels, rngs=rngs, **vars(self))

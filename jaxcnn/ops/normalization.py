"""Normalization over a batch, and over the parts of each example."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxcnn import arguments, checks
from jaxcnn.ops.primitives.channels import spread, total
from jaxcnn.ops.primitives.summation import accumulator
from jaxcnn.other_names import explained


def batch_moments(x: jax.Array, *, axis_name: str | None = None) -> tuple[jax.Array, jax.Array]:
    """Compute the mean and the variance of each channel over the batch and all positions.

    The variance is the mean of :math:`(x − mean)²`, divided by the number of values n, not
    n − 1. The mean of an empty batch is NaN.

    >>> import jax.numpy as jnp
    >>> batch_moments(jnp.array([[1., 0.], [3., 0.]]))
    (Array([2., 0.], dtype=float32), Array([1., 0.], dtype=float32))

    Args:
      x: ``(batch, …, channels)``, floating point; halves are summed in float32.
      axis_name: Axis of a ``jax.shard_map``, ``jax.pmap`` or ``jax.vmap`` over whose parts of the
        batch, of equal size, the moments are taken too.

    Returns:
      Mean and variance, ``(channels,)`` each, in the dtype of the sums: at least float32.

    Raises:
      TypeError: ``x`` is not floating point.
      ValueError: ``x`` has fewer than two axes.
    """
    x = _check_input(x)
    _, mean, variance = _center(x, axis_name)
    return mean, variance


@explained
def batch_norm(
    x: jax.Array,
    scale: jax.Array | None,
    bias: jax.Array | None,
    mean: jax.Array,
    variance: jax.Array,
    *,
    epsilon: float = 1e-5,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Normalize each channel: :math:`y = scale·(x − mean)/√{variance + ε} + bias`.

    Mean and variance are those of :func:`batch_moments` in training and running ones at inference.
    An infinite variance, which float32 has for deviations above 1e19, gives NaN. (Ioffe and
    Szegedy, 2015, arXiv 1502.03167.)

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[1.], [3.]])
    >>> batch_norm(x, jnp.array([10.]), None, *batch_moments(x), epsilon=0)
    Array([[-10.],
           [ 10.]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point; halves are computed in float32.
      scale: ``(channels,)``, floating point, or ``None`` for 1.
      bias: ``(channels,)``, floating point, or ``None`` for 0.
      mean: ``(channels,)``, floating point.
      variance: ``(channels,)``, floating point, at least 0.
      epsilon: Added to the variance, at least 0.
      dtype: Dtype of the result; ``None`` means that of ``x``.

    Returns:
      The shape of ``x``.

    Raises:
      TypeError: an array is not floating point, or ``epsilon`` is not a number.
      ValueError: the channels do not match, or ``epsilon`` is negative.
    """
    mean = checks.array("mean", mean)
    if mean.ndim != 1:
        raise ValueError(f"mean must be (channels,). Received: shape {mean.shape}")
    x = _check_input(x)
    checks.channels("x", x, mean.shape[0], owner="mean has")
    wide = x.astype(accumulator(x))
    mean, variance = (
        _check_channels(name, values, x).astype(wide.dtype)
        for name, values in (("mean", mean), ("variance", variance))
    )
    centered = wide - spread(mean, wide)
    return _scale(x, centered, variance, scale, bias, epsilon, dtype)


def normalize_over_batch(
    x: jax.Array,
    scale: jax.Array | None,
    bias: jax.Array | None,
    *,
    epsilon: float = 1e-5,
    dtype: DTypeLike | None = None,
    axis_name: str | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return ``batch_norm(x, scale, bias, *batch_moments(x))`` and the two moments.

    The difference x − mean is computed once, which saves the backward pass one sum over ``x``.
    """
    x = _check_input(x)
    centered, mean, variance = _center(x, axis_name)
    return _scale(x, centered, variance, scale, bias, epsilon, dtype), mean, variance


def normalize_examples(
    x: jax.Array,
    scale: jax.Array | None,
    bias: jax.Array | None,
    *,
    positions: bool = False,
    channels: bool = False,
    groups: int = 1,
    center: bool = True,
    epsilon: float,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Normalize parts of each example: :math:`y = scale·(x − mean)/√{variance + ε} + bias`.

    The body of layer, group, instance and root-mean-square normalization, computed in at least
    float32.

    Args:
      x: ``(batch, …, channels)``, floating point.
      scale: ``(channels,)``, or ``None`` for 1.
      bias: ``(channels,)``, or ``None`` for 0.
      positions: Whether the positions of an example share a mean and a variance.
      channels: Whether its channels do.
      groups: Number of groups of channels, each with moments of its own.
      center: Whether to subtract the mean; without it the variance is the mean of the squares.
      epsilon: Added to the variance, at least 0.
      dtype: Dtype of the result; ``None`` means that of ``x``.

    Returns:
      The shape of ``x``.
    """
    parts = x.astype(accumulator(x))
    axes = (*(range(1, x.ndim - 1) if positions else ()), *((-1,) if channels else ()))
    if groups > 1:  # the reshape alone makes the gradient of layer norm three times as slow
        parts = parts.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    if center:
        parts = parts - parts.mean(axis=axes, keepdims=True)
    variance = jnp.square(parts).mean(axis=axes, keepdims=True)
    y = (parts * _inverse_deviation(variance, epsilon)).reshape(x.shape)
    if scale is not None:
        y *= spread(scale.astype(y.dtype), y)
    if bias is not None:
        y += spread(bias.astype(y.dtype), y)
    return y.astype(x.dtype if dtype is None else dtype)


def local_response_norm(
    x: jax.Array,
    size: int,
    *,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> jax.Array:
    """Divide each value by a power of the squares around it: :math:`y = x/(k + α·mean(x²))^β`.

    The mean is over ``size`` channels, from :math:`⌊size/2⌋` before to :math:`⌊(size − 1)/2⌋` after
    the channel; channels that do not exist count as 0. These are the α of PyTorch and ONNX;
    TensorFlow's multiplies the sum. (Krizhevsky et al., 2012.)

    >>> import jax.numpy as jnp
    >>> local_response_norm(jnp.array([[3., 4.]]), 1, alpha=1, beta=0.5, k=0)
    Array([[1., 1.]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point; halves are computed in float32.
      size: Number of channels in the mean, at least 1.
      alpha: Factor of the mean, at least 0.
      beta: Exponent, at least 0.
      k: Added to the mean, at least 0; with 0, a position of zeros gives NaN.

    Returns:
      The shape of ``x``.

    Raises:
      TypeError: ``x`` is not floating point, or an option is not a number.
      ValueError: an option is out of its range, or ``x`` has fewer than two axes.
    """
    x = _check_input(x)
    size, alpha, beta, k = check_local_response(size, alpha, beta, k)
    wide = x.astype(accumulator(x))
    squares = jnp.square(wide)
    border = [(0, 0)] * (x.ndim - 1) + [(size // 2, (size - 1) // 2)]
    padded = jnp.pad(squares, border)
    channels = x.shape[-1]
    parts = (padded[..., start : start + channels] for start in range(size))
    mean = functools.reduce(jnp.add, parts) / size
    return (wide / (k + alpha * mean) ** beta).astype(x.dtype)


def check_local_response(
    size: int, alpha: float, beta: float, k: float
) -> tuple[int, float, float, float]:
    """Return the options of :func:`local_response_norm` as Python's numbers.

    Raises:
      TypeError: an option is not a number.
      ValueError: an option is out of its range.
    """
    return (
        arguments.check_integer("size", size, minimum=1),
        arguments.check_number("alpha", alpha, minimum=0),
        arguments.check_number("beta", beta, minimum=0),
        arguments.check_number("k", k, minimum=0),
    )


def _center(x: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return x − mean, the mean and the variance."""
    wide = x.astype(accumulator(x))
    count = math.prod(x.shape[:-1])

    def average(values: jax.Array) -> jax.Array:
        mean = total(values) / count
        return mean if axis_name is None else lax.pmean(mean, axis_name)

    mean = average(wide)
    centered = wide - spread(mean, wide)
    # The mean of squared differences: E[x²] − E[x]² has no correct digit left where the mean is
    # large compared with the deviation.
    return centered, mean, average(centered * centered)


def _inverse_deviation(variance: jax.Array, epsilon: float) -> jax.Array:
    """Return 1 / √(variance + ε), NaN where the variance is above the largest number.

    The result would be 0 there, and so would be all that it scales, which nothing notices.
    """
    return jnp.where(jnp.isposinf(variance), jnp.nan, lax.rsqrt(variance + epsilon))


def _scale(
    x: jax.Array,
    centered: jax.Array,
    variance: jax.Array,
    scale: jax.Array | None,
    bias: jax.Array | None,
    epsilon: float,
    dtype: DTypeLike | None,
) -> jax.Array:
    slope = _inverse_deviation(variance, arguments.check_number("epsilon", epsilon, minimum=0))
    if scale is not None:
        slope *= _check_channels("scale", scale, x).astype(slope.dtype)
    y = centered * spread(slope, centered)
    if bias is not None:
        y += spread(_check_channels("bias", bias, x).astype(y.dtype), y)
    return y.astype(x.dtype if dtype is None else dtype)


def _check_input(x: jax.Array) -> jax.Array:
    x = checks.array("x", x)
    if x.ndim < 2:
        raise ValueError(
            f"x must be (batch, …, channels) with two axes or more. Received: shape {x.shape}"
        )
    checks.floating("x", x)
    return x


def _check_channels(name: str, values: jax.Array, x: jax.Array) -> jax.Array:
    values = checks.array(name, values)
    checks.floating(name, values)
    if values.shape != x.shape[-1:]:
        raise ValueError(
            f"{name} must be (channels,) = {x.shape[-1:]}, as the last axis of x. "
            f"Received: shape {values.shape}"
        )
    return values

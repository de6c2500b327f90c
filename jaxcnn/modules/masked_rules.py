"""How each kind of module computes series of several lengths, each as if it were alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jaxcnn import ops, shapes
from jaxcnn.modules.masking import Masked, align, masked_values
from jaxcnn.ops.primitives.channels import spread
from jaxcnn.shapes.window import extent, windows_of_lengths

# Functions of each position alone, besides those that are marked as nondecreasing.
_POINTWISE = frozenset(
    {
        *(getattr(jax.nn, name) for name in (
            "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_tanh", "identity",
            "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
            "silu", "soft_sign", "softmax", "softplus", "squareplus", "tanh",
        )),
        jnp.abs, jnp.exp, jnp.negative, jnp.sin, jnp.square, jnp.tanh,
        ops.local_response_norm, ops.standardize,
    }
)  # fmt: skip


def pointwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of your own as one of each position alone, for a masked network.

    >>> @pointwise
    ... def double(x):
    ...     return 2 * x

    Args:
      function: Maps ``(batch, time, channels)`` to the same without mixing time steps.

    Returns:
      ``function`` itself, with an attribute.
    """
    function.pointwise = True  # type: ignore[attr-defined]  # functions declare no such field
    return function


def call_function(function: Callable[..., Any], x: Masked, options: dict[str, Any]) -> Any:
    """Call a function on series of several lengths.

    Raises:
      ValueError: there is no rule for this function.
    """
    if function in _GLOBAL:
        return _GLOBAL[function](x, **options)
    if function in _POOLS:
        return _pool(function, x, **options)
    if function in (ops.spectrogram, ops.mel_spectrogram):
        return _frames(function, x, **options)
    wrapped: Any = getattr(function, "func", function)  # of a functools.partial
    marks = ("pointwise", "nondecreasing")
    if wrapped in _POINTWISE or any(getattr(wrapped, mark, False) for mark in marks):
        return x.with_values(function(x.values, **options))
    raise no_rule(getattr(wrapped, "__name__", repr(wrapped)))


def no_rule(name: str) -> ValueError:
    """Return the error of a layer that cannot respect the lengths of series."""
    return ValueError(
        f"{name} cannot be used within masked: it has no rule for series of several lengths. For a "
        "function of each time step alone, mark it by cnn.modules.pointwise. "
        f"Received: {name}"
    )


def convolve(module: Any, x: Masked, call: Callable[[jax.Array], jax.Array]) -> Masked:
    """Convolve series of several lengths.

    Args:
      module: The convolution.
      x: The series.
      call: The call of the module as it is.
    """
    (size,) = module.kernel.shape[:-2]
    padded = shapes.windows(
        x.values.shape[1:2],
        size,
        strides=module.strides,
        padding=module.padding,
        dilation=module.dilation,
        name="kernel_size",
    )
    low, _, counts = windows_of_lengths(padded, module.padding, x.lengths)
    starts_alike = padded.strides == (1,) or module.padding not in ("SAME", "SAME_LOWER")
    if module.padding_mode == "zeros" and starts_alike:  # the padding before each is the same
        return masked_values(call(x.values), counts)
    steps = _steps_read(padded)
    aligned = align(x, low, steps, fill=0, mode=module.padding_mode)
    valid = nnx.clone(module, variables=False)
    valid.padding, valid.padding_mode = ((0, 0),), "zeros"
    return masked_values(valid(aligned), counts)


def _steps_read(padded: shapes.Windows) -> int:
    """Return the number of steps that the windows on the longest series read."""
    (count,), (stride,) = padded.output_sizes, padded.strides
    return (count - 1) * stride + extent(padded.window[0], padded.dilation[0])


def _pool(
    op: Callable[..., jax.Array],
    x: Masked,
    *,
    window: Any,
    strides: Any = None,
    padding: Any = "VALID",
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    **options: Any,
) -> Masked:
    if ceil_mode:
        raise no_rule(f"{op.__name__} with ceil_mode")
    padded = shapes.pool_windows(
        x.values.shape[1:2], window, strides=strides, padding=padding, dilation=dilation
    )
    low, high, counts = windows_of_lengths(padded, padding, x.lengths)
    steps, fill = _steps_read(padded), -jnp.inf if op is ops.max_pool else 0.0
    aligned = align(x, low, steps, fill=fill)
    moved = {"strides": padded.strides, "dilation": dilation}
    if op is not ops.avg_pool:
        return masked_values(op(aligned, window=window, **moved, **options), counts)
    places = jnp.arange(steps)[None]
    first, end = (0 * low, low + x.lengths + high) if count_include_pad else (low, low + x.lengths)
    counted = (places >= first[:, None]) & (places < end[:, None])
    total = ops.sum_pool(aligned, window, **moved)
    inputs = ops.sum_pool(counted[..., None].astype(aligned.dtype), window, **moved)
    return masked_values(total / jnp.maximum(inputs, 1), counts)


def _frames(
    op: Callable[..., jax.Array],
    x: Masked,
    *,
    n_fft: int,
    center: bool,
    padding_mode: str,
    **options: Any,
) -> Masked:
    """Return the spectra of the frames that lie within each series and its own padding."""
    low = n_fft // 2 if center else 0
    steps = x.values.shape[1] + 2 * low
    aligned = align(x, jnp.full_like(x.lengths, low), steps, fill=0, mode=padding_mode)
    window = options.get("win_length") or n_fft
    strides = options.pop("strides") or max(window // 4, 1)
    values = op(aligned, n_fft=n_fft, center=False, strides=strides, **options)
    counts = jnp.maximum((x.lengths + 2 * low - n_fft) // strides + 1, 0)
    return masked_values(values, counts)


def _global_avg_pool(x: Masked, *, keepdims: bool = False) -> jax.Array:
    total = x.values.sum(axis=1, keepdims=True)
    mean = total / jnp.maximum(x.lengths, 1)[:, None, None].astype(total.dtype)
    return mean if keepdims else mean[:, 0]


def _global_max_pool(x: Masked, *, keepdims: bool = False) -> jax.Array:
    return ops.global_max_pool(x.filled(-jnp.inf), keepdims=keepdims)


_POOLS = frozenset({ops.max_pool, ops.avg_pool, ops.sum_pool, ops.lp_pool})
_GLOBAL: dict[Callable[..., Any], Callable[..., jax.Array]] = {
    ops.global_avg_pool: _global_avg_pool,
    ops.global_max_pool: _global_max_pool,
}


def batch_moments(x: Masked, axis_name: str | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the number of real steps, and mean and variance of each channel over them."""
    wide, mask = x.values.astype(jnp.float32), x.mask

    def add(values: jax.Array) -> jax.Array:
        total = jnp.where(mask, values, 0).sum(axis=(0, 1))
        return total if axis_name is None else lax.psum(total, axis_name)

    count = add(jnp.ones((1, 1, 1), jnp.float32))
    mean = add(wide) / jnp.maximum(count, 1)
    return count, mean, add(jnp.square(wide - spread(mean, wide))) / jnp.maximum(count, 1)


def normalize_examples(
    x: Masked,
    scale: jax.Array | None,
    bias: jax.Array | None,
    *,
    channels: bool,
    groups: int,
    epsilon: float,
    dtype: Any,
) -> Masked:
    """Normalize over the real steps of each series, as group and instance normalization do.

    Args:
      x: The series.
      scale: ``(channels,)``, or ``None`` for 1.
      bias: ``(channels,)``, or ``None`` for 0.
      channels: Whether the channels of a group share a mean and a variance.
      groups: Number of groups of channels.
      epsilon: Added to the variance.
      dtype: Dtype of the result; ``None`` means that of the values.
    """
    batch, time, width = x.values.shape
    parts = x.values.astype(jnp.float32).reshape(batch, time, groups, width // groups)
    axes = (1, 3) if channels else (1,)
    each = width // groups if channels else 1
    count = (jnp.maximum(x.lengths, 1) * each).astype(jnp.float32)[:, None, None, None]
    mask = x.mask[..., None]
    mean = jnp.where(mask, parts, 0).sum(axis=axes, keepdims=True) / count
    centered = jnp.where(mask, parts - mean, 0)
    variance = jnp.square(centered).sum(axis=axes, keepdims=True) / count
    y = (centered * lax.rsqrt(variance + epsilon)).reshape(batch, time, width)
    y = y if scale is None else y * spread(scale.astype(y.dtype), y)
    y = y if bias is None else y + spread(bias.astype(y.dtype), y)
    return x.with_values(y.astype(x.values.dtype if dtype is None else dtype))

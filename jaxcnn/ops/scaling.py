"""Each channel scaled by a number of its own."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.ops.primitives.channels import spread


def standardize(
    x: jax.Array, mean: float | Sequence[float], std: float | Sequence[float]
) -> jax.Array:
    """Subtract a fixed mean from each channel and divide by a standard deviation.

    >>> import jax.numpy as jnp
    >>> standardize(jnp.array([[1.0, 2.0]]), (1.0, 0.0), (1.0, 4.0))
    Array([[0. , 0.5]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point.
      mean: A number, or one per channel, in the unit of ``x``: for images in 0…1, a number
        in 0…1.
      std: A number above 0, or one per channel.

    Returns:
      The shape and dtype of ``x``.

    Raises:
      TypeError: ``x`` is not floating point, or a mean or standard deviation is not a number.
      ValueError: a standard deviation is not above 0, or there is neither one number nor one per
        channel.
    """
    x = checks.array("x", x)
    checks.floating("x", x)
    means, stds = check_standardize(mean, std, x.shape[-1:])
    axes = (1,) * (x.ndim - 1)

    def constant(numbers: tuple[float, ...]) -> jax.Array:
        return jnp.asarray(numbers, x.dtype).reshape(*axes, len(numbers))

    return (x - constant(means)) / constant(stds)


def prelu(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Keep positive values and multiply the others by the slope of their channel.

    :math:`y = x` for x > 0, and :math:`slope·x` elsewhere (He et al., 2015, arXiv 1502.01852).

    >>> import jax.numpy as jnp
    >>> prelu(jnp.array([[-2.0, 3.0]]), jnp.array([0.25, 0.25]))
    Array([[-0.5,  3. ]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point.
      slope: ``(channels,)``, floating point.

    Returns:
      The shape and dtype of ``x``.

    Raises:
      TypeError: an array is not floating point.
      ValueError: ``slope`` is not one number per channel.
    """
    x, slopes = _per_channel(x, "slope", slope)
    return jnp.where(x > 0, x, x * slopes)


def layer_scale(x: jax.Array, scale: jax.Array) -> jax.Array:
    """Multiply each channel by a number (Touvron et al., 2021, arXiv 2103.17239).

    >>> import jax.numpy as jnp
    >>> layer_scale(jnp.array([[4.0, 2.0]]), jnp.array([0.5, 3.0]))
    Array([[2., 6.]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point.
      scale: ``(channels,)``, floating point.

    Returns:
      The shape and dtype of ``x``.

    Raises:
      TypeError: an array is not floating point.
      ValueError: ``scale`` is not one number per channel.
    """
    x, factors = _per_channel(x, "scale", scale)
    return x * factors


def _per_channel(x: jax.Array, name: str, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return ``x``, and the values of its channels at every position, in the dtype of ``x``."""
    x, values = checks.array("x", x), checks.array(name, values)
    checks.floating("x", x)
    checks.floating(name, values)
    if values.ndim != 1:
        raise ValueError(f"{name} must be (channels,). Received: shape {values.shape}")
    checks.channels("x", x, values.shape[0], owner=f"{name} does")
    return x, spread(values.astype(x.dtype), x)


def check_standardize(
    mean: float | Sequence[float], std: float | Sequence[float], channels: Sequence[int] = ()
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the numbers of :func:`standardize`, where there is one or one per channel.

    Args:
      mean: A number, or one per channel.
      std: A number above 0, or one per channel.
      channels: The number of channels, or nothing before it is known.

    Raises:
      TypeError: it is not a number.
      ValueError: a standard deviation is not above 0, or there is neither one number nor one per
        channel.
    """
    means, stds = (
        _numbers(name, given, bound, channels)
        for name, given, bound in (("mean", mean, None), ("std", std, 0))
    )
    return means, stds


def _numbers(
    name: str, given: float | Sequence[float], above: float | None, channels: Sequence[int]
) -> tuple[float, ...]:
    plain = arguments.as_python(given)
    listed = tuple(plain) if arguments.is_sequence(plain) else (plain,)
    numbers = tuple(arguments.check_number(name, number, above=above) for number in listed)
    if not numbers or (channels and len(numbers) not in (1, *channels)):
        count = f" ({channels[0]})" if channels else ""
        raise ValueError(
            f"{name} must be one number or one per channel of the input{count}. "
            f"Received: {name}={arguments.shown(given)}"
        )
    return numbers

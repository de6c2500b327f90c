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
      mean: A number, or one per channel.
      std: A number above 0, or one per channel.

    Raises:
      TypeError: ``x`` is not floating point, or a number is none.
      ValueError: ``std`` is not above 0, or there is another number of channels.
    """
    x = checks.array("x", x)
    checks.floating("x", x)
    check_standardize(mean, std, x.shape[-1])
    shape = (1,) * (x.ndim - 1) + (-1,)
    middle, scale = (jnp.asarray(each, x.dtype).reshape(shape) for each in (mean, std))
    return (x - middle) / scale


def prelu(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Return positive values as they are, and others times a slope (He et al., 2015).

    >>> import jax.numpy as jnp
    >>> prelu(jnp.array([[-2.0, 3.0]]), jnp.array([0.25, 0.25]))
    Array([[-0.5,  3. ]], dtype=float32)

    Args:
      x: ``(batch, …, channels)``, floating point.
      slope: ``(channels,)``.

    Raises:
      TypeError: ``x`` is not floating point.
      ValueError: ``slope`` is not one number per channel.
    """
    x = checks.array("x", x)
    checks.floating("x", x)
    if slope.shape != x.shape[-1:]:
        raise ValueError(
            f"slope must be (channels,) = {x.shape[-1:]}. Received: shape {slope.shape}"
        )
    return jnp.where(x > 0, x, x * spread(slope.astype(x.dtype), x))


def check_standardize(
    mean: float | Sequence[float], std: float | Sequence[float], channels: int | None = None
) -> None:
    """Check the numbers of :func:`standardize`, and that there is one or one per channel.

    Raises:
      TypeError: a number is none.
      ValueError: ``std`` is not above 0, or there is another number of channels.
    """
    for name, given in (("mean", mean), ("std", std)):
        numbers = given if isinstance(given, Sequence) else (given,)
        for number in numbers:
            arguments.check_number(name, number, above=0 if name == "std" else None)
        if channels is not None and len(numbers) not in (1, channels):
            raise ValueError(
                f"{name} must be one number or one per channel of the input. Received: "
                f"{name}={given}, channels={channels}"
            )

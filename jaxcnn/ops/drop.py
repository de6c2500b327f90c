"""Regularization by dropping values at random."""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.other_names import explained


@explained
def dropout(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    """Set each value to 0 with probability ``rate`` and scale the others by :math:`1/(1 − rate)`.

    The expected value stays the same, so that inference needs no scaling (Srivastava et al., 2014,
    in the inverted form of the common frameworks).

    >>> y = dropout(jax.random.key(0), jnp.ones(10_000), 0.25)
    >>> sorted({round(float(v), 3) for v in y}), abs(float(y.mean()) - 1) < 0.05
    ([0.0, 1.333], True)

    Args:
      key: A PRNG key; the same key drops the same values.
      x: Any shape, floating point.
      rate: Probability of dropping, in [0, 1).

    Returns:
      Shape and dtype of ``x``.

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1).
    """
    x = checks.array("x", x)
    return _drop(key, x, rate, x.shape)


@explained
def spatial_dropout(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    """Drop whole feature maps, and scale the others by :math:`1/(1 − rate)`.

    Neighboring pixels of a map are correlated, so that dropping single pixels regularizes little
    (Tompson et al., 2015). PyTorch calls it ``Dropout2d``.

    >>> y = spatial_dropout(jax.random.key(0), jnp.ones((2, 8, 8, 100)), 0.25)
    >>> bool((y == y[:, :1, :1]).all()), sorted({round(float(v), 3) for v in y[:, 0, 0].ravel()})
    (True, [0.0, 1.333])

    Args:
      key: A PRNG key; the same key drops the same maps.
      x: ``(batch, *spatial, channels)``, floating point.
      rate: Probability of dropping, in [0, 1).

    Returns:
      Shape and dtype of ``x``.

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1), or ``x`` has no spatial axis.
    """
    x = checks.array("x", x)
    checks.images("x", x)
    return _drop(key, x, rate, (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1]))


@explained
def drop_path(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    """Drop whole examples, and scale the others by :math:`1/(1 − rate)`.

    At the end of a residual branch, dropped examples pass through the shortcut only: stochastic
    depth (Huang et al., 2016).

    >>> drop_path(jax.random.key(1), jnp.ones((4, 2)), 0.5)
    Array([[2., 2.],
           [0., 0.],
           [2., 2.],
           [2., 2.]], dtype=float32)

    Args:
      key: A PRNG key; the same key drops the same examples.
      x: ``(batch, …)``, floating point.
      rate: Probability of dropping, in [0, 1).

    Returns:
      Shape and dtype of ``x``.

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1).
    """
    x = checks.array("x", x)
    return _drop(key, x, rate, (x.shape[0], *(1,) * (x.ndim - 1)))


def _drop(key: jax.Array, x: jax.Array, rate: float, mask_shape: tuple[int, ...]) -> jax.Array:
    rate = arguments.check_rate(rate)
    checks.floating("x", x)
    if rate == 0:
        return x
    keep = jnp.broadcast_to(jax.random.bernoulli(key, 1 - rate, mask_shape), x.shape)
    return jnp.where(keep, x / (1 - rate), jnp.zeros((), x.dtype))

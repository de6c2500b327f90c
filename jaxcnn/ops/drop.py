"""Regularisation by dropping values at random."""

import jax
import jax.numpy as jnp


def dropout(key: jax.Array, x: jax.Array, rate: float) -> jax.Array:
    """Sets each value to 0 with probability ``rate`` and scales the others by 1 / (1 − rate).

    The expected value stays the same, so that nothing needs doing at inference
    (Srivastava et al., 2014, in the inverted form that the frameworks use).

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
    check_rate(rate)
    if rate == 0:
        return x
    keep = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(keep, x / (1 - rate), jnp.zeros((), x.dtype))


def check_rate(rate: float) -> None:
    """Checks that ``rate`` is a number in [0, 1).

    >>> check_rate(1.0)
    Traceback (most recent call last):
    ValueError: rate is the probability of dropping and must be in [0, 1). Received: rate=1.0

    Raises:
      TypeError: ``rate`` is not a number.
      ValueError: ``rate`` is outside [0, 1).
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise TypeError(f"rate must be a Python number. Received: rate={rate!r}")
    if not 0 <= rate < 1:
        raise ValueError(
            f"rate is the probability of dropping and must be in [0, 1). Received: rate={rate!r}"
        )

"""The sum of each channel over all positions, by XLA and by a product of matrices."""

import functools

import jax
import jax.numpy as jnp


def sum_plain(x: jax.Array) -> jax.Array:
    """Sum each channel by XLA's own operation."""
    return x.sum(axis=range(x.ndim - 1))


def sum_by_parts(x: jax.Array) -> jax.Array:
    """Sum each channel: first eight parts of the array, then a product with a vector of ones.

    XLA on CPU sums down a few columns at a time (times in brackets). (128, 26, 26, 64): 0.9 (6.7)
    ms; the sum of squares of (32, 32, 32, 64), squared in the same loop: 0.3 (1.8) ms.
    """
    rows = x.reshape(-1, x.shape[-1])
    part = len(rows) // 8
    eight = [rows[index * part : (index + 1) * part] for index in range(8)]
    sums = jnp.concatenate([functools.reduce(jnp.add, eight), rows[8 * part :]])
    # A sum, whatever jax.default_matmul_precision says of products.
    return jnp.matmul(jnp.ones(len(sums), x.dtype), sums, precision="highest")

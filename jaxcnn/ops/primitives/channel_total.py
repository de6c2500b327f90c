"""The sum of each channel over all positions, by XLA and by a product of matrices."""

import functools

import jax
import jax.numpy as jnp


def sum_plain(x: jax.Array) -> jax.Array:
    """Sum each channel by XLA's own operation."""
    return x.sum(axis=range(x.ndim - 1))


def sum_by_parts(x: jax.Array) -> jax.Array:
    """Sum each channel: first eight parts of each example, then a product with a vector of ones.

    XLA on CPU sums down a few columns at a time (times in brackets). (128, 26, 26, 64): 0.9 (6.7)
    ms; the sum of squares of (32, 32, 32, 64), squared in the same loop: 0.3 (1.8) ms.

    The parts are of examples, not of the batch: where devices share the batch, each sums its own,
    and one number per channel is exchanged. Parts of the batch are as fast on one device.
    """
    positions = x.reshape(len(x), -1, x.shape[-1])
    part = positions.shape[1] // 8
    if part:
        eight = [positions[:, index * part : (index + 1) * part] for index in range(8)]
        rest = positions[:, 8 * part :]
        positions = jnp.concatenate([functools.reduce(jnp.add, eight), rest], axis=1)
    sums = positions.reshape(-1, x.shape[-1])
    # A sum, whatever jax.default_matmul_precision says of products.
    return jnp.matmul(jnp.ones(len(sums), x.dtype), sums, precision="highest")

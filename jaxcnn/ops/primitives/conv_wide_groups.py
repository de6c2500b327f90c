"""A convolution of groups of many channels, each group as a convolution without groups.

XLA on CPU loops over groups in scalar code. All gradients, 3×3; XLA's own lowering in brackets: 32
groups of 16 channels of (8, 14, 14, 512): 20 (4000) ms, and 52 as one batch of products; 64 of 16
of (4, 14, 14, 1024): 21 (7900) ms; 2 of 64 of (8, 28, 28, 128): 19 (410) ms. Each group takes
0.06 s to compile.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxcnn.ops.primitives.conv_strategy import Compute, Convolution, Strategy
from jaxcnn.ops.primitives.conv_thin_groups import MOST_INPUTS


def suits(convolution: Convolution, group_inputs: int) -> bool:
    """Return whether there are groups of more channels than thin groups have."""
    return convolution.groups > 1 and group_inputs > MOST_INPUTS


def remove_groups(convolution: Convolution) -> Convolution:
    """Return the convolution of one group."""
    return dataclasses.replace(convolution, groups=1)


def compute_by_group(strategy: Strategy) -> Strategy:
    """Return the strategy that applies ``strategy`` to each group of channels."""
    return Strategy(
        f"{strategy.name} by group",
        _map_groups(strategy.value),
        _map_groups(strategy.input_gradient),
        _map_groups(strategy.kernel_gradient),
    )


def _map_groups(compute: Compute) -> Compute:
    # Channels are the last axis of images, and outputs that of kernels: both operands split there.
    def compute_all(a: jax.Array, b: jax.Array, convolution: Convolution) -> jax.Array:
        one = remove_groups(convolution)
        compute_one = jax.jit(lambda a, b: compute(a, b, one))  # one function, called per group
        pairs = zip(
            jnp.split(a, convolution.groups, axis=-1),
            jnp.split(b, convolution.groups, axis=-1),
            strict=True,
        )
        return jnp.concatenate([compute_one(*pair) for pair in pairs], axis=-1)

    return compute_all

"""Matrix products and the flattening before them."""

import math

import jax

from jaxcnn import checks
from jaxcnn.other_names import explained


@explained
def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Multiply each example by ``kernel`` and add ``bias``: :math:`y = x·W + b`.

    >>> import jax.numpy as jnp
    >>> dense(jnp.array([[1., 2.]]), jnp.array([[1., 0.], [0., 10.]]), jnp.array([0.5, 0.5]))
    Array([[ 1.5, 20.5]], dtype=float32)

    Args:
      x: ``(batch, in_features)``.
      kernel: ``(in_features, features)``, of the same dtype.
      bias: ``(features,)``, of the same dtype, or ``None``.

    Returns:
      ``(batch, features)``.

    Raises:
      TypeError: the dtypes differ.
      ValueError: the shapes do not match.
    """
    x, kernel = checks.array("x", x), checks.array("kernel", kernel)
    bias = None if bias is None else checks.array("bias", bias)
    if kernel.ndim != 2:
        raise ValueError(f"kernel must be (in_features, features). Received: shape {kernel.shape}")
    if x.ndim > 2:
        raise ValueError(
            f"x must be (batch, in_features). Received: shape {x.shape}. Flatten it first, or use "
            "a convolution of size 1 to apply the same kernel at every position."
        )
    checks.rank("x", x, 2)
    if x.shape[1] != kernel.shape[0]:
        raise ValueError(
            f"x must be (batch, in_features) = (batch, {kernel.shape[0]}), as the kernel's first "
            f"axis. Received: shape {x.shape}"
        )
    checks.same_dtype(x=x, kernel=kernel, bias=bias)
    if bias is not None and bias.shape != kernel.shape[1:]:
        raise ValueError(
            f"bias must be (features,) = {kernel.shape[1:]}, as the kernel's last axis. "
            f"Received: shape {bias.shape}"
        )
    y = x @ kernel
    return y if bias is None else y + bias[None]


def flatten(x: jax.Array) -> jax.Array:
    """Reshape each example to one row, in memory order (channels vary fastest).

    >>> import jax.numpy as jnp
    >>> flatten(jnp.zeros((2, 3, 3, 64))).shape
    (2, 576)

    Args:
      x: ``(batch, …)``, two axes or more.

    Returns:
      ``(batch, product of the rest)``.

    Raises:
      ValueError: ``x`` has no axis but the batch.
    """
    x = checks.array("x", x)
    if x.ndim < 2:
        raise ValueError(f"x must be (batch, …) with two axes or more. Received: shape {x.shape}")
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))

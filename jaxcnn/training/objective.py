"""What training minimises: one loss per example."""

import jax
import optax


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the softmax cross-entropy of each example: −log softmax(logits)[label].

    Where a row of labels says the share of each class, as mixed images have, it is the mean over
    the classes: −Σ share · log softmax(logits).

    >>> import jax.numpy as jnp
    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))  # a guess among 4: log 4
    Array([1.3862944], dtype=float32)
    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([[0.3, 0.7, 0.0, 0.0]]))
    Array([1.3862944], dtype=float32)

    Args:
      logits: ``(batch, classes)``, floating point.
      labels: ``(batch,)`` class numbers, or ``(batch, classes)`` shares that sum to 1.

    Returns:
      ``(batch,)`` losses, at least 0.
    """
    if labels.ndim == logits.ndim:
        return optax.softmax_cross_entropy(logits, labels)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)

"""Arrays of losses: their checks, and sums over classes and positions."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments


def check_labels(
    logits: jax.Array,
    labels: jax.Array,
    *,
    from_logits: bool = True,
    ignore_index: int | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return the logits, class numbers or shares that fit them, and which positions count.

    Floating-point arrays are returned as float32, and class numbers that do not count as 0.

    Args:
      logits: ``(batch, *spatial, classes)``; probabilities unless `from_logits`.
      labels: Class numbers or shares.
      from_logits: Whether `logits` are logits.
      ignore_index: A class number that does not count; ``None`` means only those outside.
    """
    if logits.ndim < 2 or labels.shape not in (logits.shape, logits.shape[:-1]):
        raise ValueError(
            "labels must have the shape of the logits, (batch, *spatial, classes), or the same "
            f"without the classes. Received: labels {labels.shape} for logits {logits.shape}"
        )
    logits = logits.astype(jnp.float32)
    if not arguments.check_flag("from_logits", from_logits):
        logits = log_of(logits)  # their softmax are the probabilities, divided by their sum
    if labels.ndim == logits.ndim:
        if labels.dtype == jnp.bool_:
            raise TypeError(
                "labels must be whole class numbers or shares of the classes; for several classes "
                "per example use binary_cross_entropy. Received: dtype bool"
            )
        if logits.shape[-1] == 1:
            raise ValueError(
                "shares need at least 2 classes; for numbers to predict use squared_error or "
                f"huber, for a yes or no binary_cross_entropy. Received: logits {logits.shape}"
            )
        return logits, labels.astype(jnp.float32), jnp.ones(logits.shape[:-1], bool)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels must be whole class numbers. Received: dtype {labels.dtype}")
    labels = labels.astype(jnp.int32)
    labels = without(labels, ignore_index)
    counted = (labels >= 0) & (labels < logits.shape[-1])
    return logits, jnp.where(counted, labels, 0), counted


def check_same_shape(**arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Return both arrays as float32. Their shapes must be equal: broadcasting hides mistakes."""
    (name, first), (other_name, second) = arrays.items()
    if first.shape != second.shape:
        raise ValueError(
            f"{name} and {other_name} must have the same shape. "
            f"Received: {name} {first.shape}, {other_name} {second.shape}"
        )
    return first.astype(jnp.float32), second.astype(jnp.float32)


def per_class(name: str, values: Sequence[float] | np.ndarray, logits: jax.Array) -> jax.Array:
    """Return one number per class, of the logits' rank."""
    classes = logits.shape[-1]
    try:
        numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        numbers = np.full((), np.nan, np.float32)  # refused below, by its name
    if numbers.shape != (classes,) or not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError(
            f"{name} must be one number per class ({classes} here), each at least 0 and finite. "
            f"Received: {name}={values!r}"
        )
    return jnp.asarray(numbers.reshape((1,) * (logits.ndim - 1) + (classes,)))


def shares_of(labels: jax.Array, counted: jax.Array, logits: jax.Array) -> jax.Array:
    """Return the share of each class, of the logits' shape; 0 at positions that do not count."""
    if labels.ndim == logits.ndim:
        return labels
    return jnp.where(counted[..., None], jax.nn.one_hot(labels, logits.shape[-1]), 0)


def needed(log_p: jax.Array, shares: jax.Array) -> jax.Array:
    """Return log-probabilities, 0 in place of −∞ where the share is 0.

    The limit of p·log q for p = 0 is 0, also at q = 0; 0·(−∞) would be NaN.
    """
    return jnp.where((shares == 0) & jnp.isneginf(log_p), 0, log_p)


def per_example(losses: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """Return the mean over the positions that count, or 0 if none does."""
    positions = tuple(range(1, losses.ndim))
    if counted is None:
        return losses.mean(axis=positions)
    total = jnp.sum(jnp.where(counted, losses, 0), axis=positions)
    return total / jnp.maximum(jnp.sum(counted, axis=positions, dtype=jnp.float32), 1)


def log_of(probabilities: jax.Array) -> jax.Array:
    """Return the logarithm of probabilities, finite for 0.

    Keras replaces what is below 1e-7 by it, where the gradient ends: an example that is wrong by 17
    logits is not learned. The least normal number of float32 leaves 87.
    """
    return jnp.log(jnp.maximum(probabilities, jnp.finfo(jnp.float32).tiny))


def logit_of(probabilities: jax.Array) -> jax.Array:
    """Return the logits whose sigmoid are the probabilities, finite for 0 and 1."""
    return log_of(probabilities) - log_of(1 - probabilities)


def without(labels: jax.Array, ignore_index: int | None) -> jax.Array:
    """Return class numbers with -1, which is outside the classes, in place of `ignore_index`."""
    if ignore_index is None:
        return labels
    ignored = arguments.check_integer("ignore_index", ignore_index)
    return jnp.where(labels == ignored, -1, labels)

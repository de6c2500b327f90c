"""Sums over the examples of a batch, of which the metrics are made.

Parameters are set by ``functools.partial`` rather than by a closure, so that a metric made twice is
recognized as the same and compiles once.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Sums: TypeAlias = dict[str, Any]


def flatten_rows(
    logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return one row per label: logits ``(rows, classes)``, class numbers, and which count."""
    if logits.ndim < 2 or labels.shape not in (logits.shape, logits.shape[:-1]):
        raise ValueError(
            "a metric of classes needs labels (batch, *spatial), or shares of the logits' shape. "
            f"Received: labels {labels.shape} for logits {logits.shape}"
        )
    if labels.ndim == logits.ndim and labels.dtype != jnp.bool_:
        labels = jnp.argmax(labels, axis=-1)
    elif not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            "labels must be whole class numbers or shares of the classes; for several classes per "
            "example, which are bool, accuracy, precision, recall and f1 have multi_label=True. "
            f"Received: dtype {labels.dtype}"
        )
    labels = labels.astype(jnp.int32)
    counted = _at_positions(mask, labels) & (labels >= 0) & (labels < logits.shape[-1])
    return logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), counted.reshape(-1)


def _at_positions(mask: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.broadcast_to(mask.reshape(-1, *(1,) * (labels.ndim - 1)), labels.shape)


def predicted_classes(logits: jax.Array) -> jax.Array:
    """Return the class of the largest logit; where a logit is NaN, the number of classes.

    >>> predicted_classes(jnp.array([[0.0, 1.0], [0.0, jnp.nan]]))
    Array([1, 2], dtype=int32)

    Args:
      logits: ``(…, classes)``.

    Returns:
      ``(…)`` int32.
    """
    unknown = jnp.isnan(logits).any(axis=-1)
    return jnp.where(unknown, logits.shape[-1], jnp.argmax(logits, axis=-1))


def flatten_multi_label(
    logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return predictions, labels and whether each counts: ``(rows, classes)`` bool."""
    if logits.ndim < 2 or labels.shape != logits.shape:
        raise ValueError(
            "multi_label needs labels of the logits' shape, 0 or 1 for each class. "
            f"Received: labels {labels.shape} for logits {logits.shape}"
        )
    counted = _at_positions(mask, labels)
    arrays = (logits > 0, labels.astype(jnp.float32) > 0.5, counted)
    predicted, actual, counted = (array.reshape(-1, logits.shape[-1]) for array in arrays)
    return predicted, actual, counted


def count_correct(
    logits: jax.Array, labels: jax.Array, mask: jax.Array, *, multi_label: bool
) -> Sums:
    """Count the labels that are predicted correctly, and all that count."""
    if multi_label:
        predicted, actual, counted = flatten_multi_label(logits, labels, mask)
        right = (predicted == actual) & ~jnp.isnan(logits).reshape(predicted.shape)
    else:
        logits, actual, counted = flatten_rows(logits, labels, mask)
        right = predicted_classes(logits) == actual
    return {"right": jnp.sum(counted & right), "counted": jnp.sum(counted)}


def count_top_k(logits: jax.Array, labels: jax.Array, mask: jax.Array, *, k: int) -> Sums:
    """Count the labels whose logit is among the `k` largest, and all that count."""
    logits, labels, counted = flatten_rows(logits, labels, mask)
    classes = logits.shape[-1]
    if k > classes:
        raise ValueError(f"k must be at most the number of classes, {classes}. Received: k={k}")
    own = jnp.take_along_axis(logits, labels[:, None], axis=-1, mode="clip")
    lower = jnp.arange(classes)[None] < labels[:, None]
    ahead = jnp.where(lower, logits >= own, logits > own)
    right = (jnp.sum(ahead, axis=-1) < k) & ~jnp.isnan(logits).any(axis=-1)
    return {"right": jnp.sum(counted & right), "counted": jnp.sum(counted)}


def count_confusions(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Count how often each class was predicted for each other: true classes in rows."""
    logits, labels, counted = flatten_rows(logits, labels, mask)
    matrix = jnp.zeros((logits.shape[-1],) * 2, jnp.int32)
    # Indices outside of the matrix, such as the class predicted for a NaN, are dropped.
    return matrix.at[labels, predicted_classes(logits)].add(counted.astype(jnp.int32))


def count_per_class(
    logits: jax.Array, labels: jax.Array, mask: jax.Array, *, multi_label: bool
) -> Sums:
    """Count correct predictions, predictions and examples of each class."""
    if multi_label:
        predicted, actual, counted = flatten_multi_label(logits, labels, mask)
        return {
            "hits": jnp.sum(counted & predicted & actual, axis=0),
            "predictions": jnp.sum(counted & predicted, axis=0),
            "examples": jnp.sum(counted & actual, axis=0),
        }
    logits, labels, counted = flatten_rows(logits, labels, mask)
    predicted = predicted_classes(logits)
    none, one = jnp.zeros(logits.shape[-1], jnp.int32), counted.astype(jnp.int32)
    return {
        "hits": none.at[labels].add(jnp.where(predicted == labels, one, 0)),
        "predictions": none.at[predicted].add(one),
        "examples": none.at[labels].add(one),
    }


def bin_confidences(logits: jax.Array, labels: jax.Array, mask: jax.Array, *, bins: int) -> Sums:
    """Sum confidences, correct predictions and counts in equal bins of confidence."""
    logits, labels, counted = flatten_rows(logits, labels, mask)
    confidence = jax.nn.softmax(logits.astype(jnp.float32)).max(axis=-1)
    inner_edges = jnp.asarray(np.linspace(0, 1, bins + 1)[1:-1], jnp.float32)
    # A bin holds its upper edge, as in the paper.
    place = jnp.searchsorted(inner_edges, confidence, side="left")
    right = counted & (predicted_classes(logits) == labels)

    def in_each(values: jax.Array) -> jax.Array:
        return jnp.zeros(bins, values.dtype).at[place].add(values)

    return {
        "confidence": in_each(jnp.where(counted, confidence, 0)),
        "right": in_each(right.astype(jnp.int32)),
        "counted": in_each(counted.astype(jnp.int32)),
    }

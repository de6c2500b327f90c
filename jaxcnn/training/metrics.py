"""Numbers over a whole evaluation, each a pair of pure functions.

A metric is sums over examples and what they come to. The sums are taken on the device, inside the
evaluation step, and added over the batches on the host, whole numbers as int64 and the others as
float64: they stay exact for a set of any size, and do not depend on how it is cut into batches.

Labels outside the classes, such as 255 for void pixels, are left out of every metric here. Logits
with a NaN predict no class: such an example is right in no metric, and no prediction of any class.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments

Measure: TypeAlias = Callable[[jax.Array, jax.Array, jax.Array], Any]
Sums: TypeAlias = dict[str, Any]


class Metric(NamedTuple):
    """A number over a whole evaluation: ``evaluate(model, data, metrics={"name": metric})``.

    One of your own is such a pair. How often the answer is class 0, say:

    >>> def sums(logits, labels, mask):
    ...     zeros = mask & (jnp.argmax(logits, axis=-1) == 0)
    ...     return {"zeros": zeros.sum(), "examples": mask.sum()}
    >>> share_of_zeros = Metric(sums, lambda total: total["zeros"] / total["examples"])

    Attributes:
      measure: A pure function of the logits ``(batch, …)``, the labels and the mask ``(batch,)``,
        which is False for rows that do not count; it returns a tree of arrays that add up over
        batches. It is compiled into the evaluation step. Count in whole numbers, for float32 loses
        them above 2²⁴.
      result: What the sums over all batches come to: NumPy arrays of int64 and float64 in the
        same tree to a number or an array.
    """

    measure: Measure
    result: Callable[[Any], Any]


def accuracy(*, multi_label: bool = False) -> Metric:
    """Returns the metric that is the share of labels that are right, in [0, 1].

    An example has one label, or one at each position (segmentation), whose class has the largest
    logit; with several labels it has a yes or no for each class, yes where the logit is above 0.
    Shares of the classes, in place of a label, stand for the largest.

    >>> metric = accuracy()
    >>> logits, labels = jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True])))
    0.5

    Args:
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return Metric(functools.partial(_right, multi_label=multi_label), _accuracy)


def top_k(k: int) -> Metric:
    """Returns the metric that is the share of labels among the ``k`` largest logits, in [0, 1].

    Of equal logits the one of the lower class comes first.

    >>> metric = top_k(2)
    >>> logits, labels = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True])))
    0.5

    Args:
      k: How many, from 1 to the number of classes.

    Raises:
      TypeError: ``k`` is not a whole number.
      ValueError: ``k`` is below 1; or, when it measures, above the number of classes.
    """
    k = arguments.check_integer("k", k, minimum=1)
    return Metric(functools.partial(_among_largest, k=k), _accuracy)


def confusion() -> Metric:
    """Returns the metric that counts how often each class was taken for each other.

    It is ``(classes, classes)`` int64: row the true class, column the predicted one. An example
    that predicts no class, by a NaN, is not in it.

    >>> metric = confusion()
    >>> logits, labels = jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [[1, 1], [0, 0]]
    """
    return Metric(_confusion, _matrix)


def precision(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Returns the metric that is, of what was taken for a class, the share that is of it.

    It is 0 for a class that was never predicted though there are examples of it, and NaN for a
    class of which there is neither example nor prediction, as in scikit-learn, which leaves such
    classes out.

    >>> metric = precision()
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [0.5, 0.0]

    Args:
      macro: Whether it is the mean over the classes that are not NaN, in place of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_precision, macro=macro, multi_label=multi_label)


def recall(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Returns the metric that is, of the examples of a class, the share that was found.

    It is 0 for a class that was predicted though there is no example of it, and NaN for a class
    of which there is neither.

    >>> metric = recall()
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [1.0, 0.0]

    Args:
      macro: Whether it is the mean over the classes that are not NaN, in place of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_recall, macro=macro, multi_label=multi_label)


def f1(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Returns the metric that is the harmonic mean of precision and recall of a class.

    It is 2 · hits / (predictions + examples), and NaN for a class of which there is neither.

    >>> metric = f1(macro=True)
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> round(metric.result(metric.measure(logits, labels, jnp.array([True, True]))), 6)
    0.333333

    Args:
      macro: Whether it is the mean over the classes that are not NaN, in place of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_f1, macro=macro, multi_label=multi_label)


def mean_iou() -> Metric:
    """Returns the metric that is the mean over the classes of intersection over union.

    Over all positions of the whole set, as in Pascal VOC; a class of which there is neither
    example nor prediction is left out.

    >>> metric = mean_iou()
    >>> logits = jnp.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 3.0]]])
    >>> metric.result(metric.measure(logits, jnp.array([[0, 1, 1]]), jnp.array([True])))
    0.5
    """
    return _per_class(_intersection_over_union, macro=True, multi_label=False)


def calibration_error(*, bins: int = 15) -> Metric:
    """Returns the metric that is how far confidence is from accuracy (ECE; Guo et al., 2017).

    Predictions are put into bins of equal width by their confidence, the softmax of the largest
    logit; the error is the mean over the examples of |accuracy − mean confidence| of their bin.

    >>> metric = calibration_error()
    >>> logits, labels = jnp.log(jnp.array([[0.75, 0.25], [0.75, 0.25]])), jnp.array([0, 1])
    >>> round(metric.result(metric.measure(logits, labels, jnp.array([True, True]))), 6)
    0.25

    Args:
      bins: How many, at least 1.

    Raises:
      TypeError: ``bins`` is not a whole number.
      ValueError: ``bins`` is below 1.
    """
    bins = arguments.check_integer("bins", bins, minimum=1)
    return Metric(functools.partial(_binned, bins=bins), _calibration_error)


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns how often each class was taken for each other.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])

    Args:
      labels: ``(N,)`` true classes in 0…num_classes − 1.
      predictions: ``(N,)`` predicted classes in the same range.
      num_classes: Number of classes.

    Returns:
      ``(num_classes, num_classes)`` counts: row the true class, column the predicted one.
    """
    matrix = np.zeros((num_classes, num_classes), int)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def check_metrics(metrics: Mapping[str, Metric]) -> None:
    """Checks that ``metrics`` maps names to metrics.

    Raises:
      TypeError: it does not.
    """
    whole = isinstance(metrics, Mapping) and all(isinstance(m, Metric) for m in metrics.values())
    if not whole:
        raise TypeError(
            'metrics must map names to metrics, such as {"top-5": top_k(5)}. '
            f"Received: metrics={metrics!r}"
        )


# What is measured. A parameter of a function below is set by ``functools.partial`` rather than by
# a closure, so that a metric made twice is known to be the same and compiles once.


def _rows(
    logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns one row per label: logits ``(rows, classes)``, class numbers, and which count."""
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
    """Returns the class of the largest logit; where a logit is NaN, the number of classes.

    >>> predicted_classes(jnp.array([[0.0, 1.0], [0.0, jnp.nan]]))
    Array([1, 2], dtype=int32)

    Args:
      logits: ``(…, classes)``.

    Returns:
      ``(…)`` int32.
    """
    unknown = jnp.isnan(logits).any(axis=-1)
    return jnp.where(unknown, logits.shape[-1], jnp.argmax(logits, axis=-1))


def _yes_or_no(
    logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns what is predicted, what is true and what counts, each ``(rows, classes)`` bool."""
    if logits.ndim < 2 or labels.shape != logits.shape:
        raise ValueError(
            "multi_label needs labels of the logits' shape, 0 or 1 for each class. "
            f"Received: labels {labels.shape} for logits {logits.shape}"
        )
    counted = _at_positions(mask, labels)
    arrays = (logits > 0, labels.astype(jnp.float32) > 0.5, counted)
    predicted, actual, counted = (array.reshape(-1, logits.shape[-1]) for array in arrays)
    return predicted, actual, counted


def _right(logits: jax.Array, labels: jax.Array, mask: jax.Array, *, multi_label: bool) -> Sums:
    if multi_label:
        predicted, actual, counted = _yes_or_no(logits, labels, mask)
        right = (predicted == actual) & ~jnp.isnan(logits).reshape(predicted.shape)
    else:
        logits, actual, counted = _rows(logits, labels, mask)
        right = predicted_classes(logits) == actual
    return {"right": jnp.sum(counted & right), "counted": jnp.sum(counted)}


def _among_largest(logits: jax.Array, labels: jax.Array, mask: jax.Array, *, k: int) -> Sums:
    logits, labels, counted = _rows(logits, labels, mask)
    classes = logits.shape[-1]
    if k > classes:
        raise ValueError(f"k must be at most the number of classes, {classes}. Received: k={k}")
    own = jnp.take_along_axis(logits, labels[:, None], axis=-1, mode="clip")
    lower = jnp.arange(classes)[None] < labels[:, None]
    ahead = jnp.where(lower, logits >= own, logits > own)
    right = (jnp.sum(ahead, axis=-1) < k) & ~jnp.isnan(logits).any(axis=-1)
    return {"right": jnp.sum(counted & right), "counted": jnp.sum(counted)}


def _confusion(logits: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    logits, labels, counted = _rows(logits, labels, mask)
    matrix = jnp.zeros((logits.shape[-1],) * 2, jnp.int32)
    # What lies outside the matrix, as the class predicted of a NaN, is dropped.
    return matrix.at[labels, predicted_classes(logits)].add(counted.astype(jnp.int32))


def _class_counts(
    logits: jax.Array, labels: jax.Array, mask: jax.Array, *, multi_label: bool
) -> Sums:
    if multi_label:
        predicted, actual, counted = _yes_or_no(logits, labels, mask)
        return {
            "hits": jnp.sum(counted & predicted & actual, axis=0),
            "predictions": jnp.sum(counted & predicted, axis=0),
            "examples": jnp.sum(counted & actual, axis=0),
        }
    logits, labels, counted = _rows(logits, labels, mask)
    predicted = predicted_classes(logits)
    none, one = jnp.zeros(logits.shape[-1], jnp.int32), counted.astype(jnp.int32)
    return {
        "hits": none.at[labels].add(jnp.where(predicted == labels, one, 0)),
        "predictions": none.at[predicted].add(one),
        "examples": none.at[labels].add(one),
    }


def _binned(logits: jax.Array, labels: jax.Array, mask: jax.Array, *, bins: int) -> Sums:
    logits, labels, counted = _rows(logits, labels, mask)
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


# What the sums come to, on the host.


def _accuracy(sums: Sums) -> float:
    return float(_ratio(sums["right"], sums["counted"]))


def _matrix(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums)


def _per_class(result: Callable[[Sums], np.ndarray], *, macro: bool, multi_label: bool) -> Metric:
    measure = functools.partial(_class_counts, multi_label=multi_label)
    return Metric(measure, functools.partial(_over_classes, result=result, macro=macro))


def _over_classes(
    sums: Sums, *, result: Callable[[Sums], np.ndarray], macro: bool
) -> np.ndarray | float:
    known = np.asarray(sums["predictions"] + sums["examples"]) > 0
    values = np.where(known, np.nan_to_num(result(sums)), np.nan)
    return float(_ratio(values[known].sum(), known.sum())) if macro else values


def _precision(sums: Sums) -> np.ndarray:
    return _ratio(sums["hits"], sums["predictions"])


def _recall(sums: Sums) -> np.ndarray:
    return _ratio(sums["hits"], sums["examples"])


def _f1(sums: Sums) -> np.ndarray:
    return _ratio(2 * sums["hits"], sums["predictions"] + sums["examples"])


def _intersection_over_union(sums: Sums) -> np.ndarray:
    return _ratio(sums["hits"], sums["predictions"] + sums["examples"] - sums["hits"])


def _calibration_error(sums: Sums) -> float:
    right, confidence = (np.asarray(sums[name], float) for name in ("right", "confidence"))
    return float(_ratio(np.abs(right - confidence).sum(), np.sum(sums["counted"])))


def _ratio(numerator: Any, denominator: Any) -> np.ndarray:
    """Returns the quotient in float64, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    nothing = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)

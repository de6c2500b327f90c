"""Metrics of a whole evaluation, each a pair of pure functions: sums, and their result.

The sums over examples are computed on the device, inside the evaluation step, and added over the
batches on the host, integers as int64 and others as float64: they stay exact for a set of any size
and do not depend on how it is divided into batches.

Labels outside the classes, such as 255 for void pixels, are left out of every metric here. Logits
with a NaN predict no class: such an example counts as wrong, and as a prediction of no class.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxcnn import arguments
from jaxcnn.training.metric_sums import (
    Sums,
    bin_confidences,
    count_confusions,
    count_correct,
    count_per_class,
    count_top_k,
)

Measure: TypeAlias = Callable[[jax.Array, jax.Array, jax.Array], Any]


class Metric(NamedTuple):
    """A metric of a whole evaluation: ``evaluate(model, data, metrics={"name": metric})``.

    Your own metric is such a pair. For example, the share of predictions of class 0:

    >>> import jax.numpy as jnp
    >>> def sums(logits, labels, mask):
    ...     zeros = mask & (jnp.argmax(logits, axis=-1) == 0)
    ...     return {"zeros": zeros.sum(), "examples": mask.sum()}
    >>> share_of_zeros = Metric(sums, lambda total: total["zeros"] / total["examples"])

    Attributes:
      measure: A pure function of the logits ``(batch, …)``, the labels and the mask ``(batch,)``,
        which is False for rows that do not count; it returns a tree of arrays that add up over
        batches. It is compiled into the evaluation step. Count in integers: float32 is not
        exact above 2²⁴.
      result: Maps the sums over all batches, NumPy arrays of int64 and float64 in the same tree,
        to a number or an array.
      gathers: Whether the arrays of the batches are put after one another, along their first axis,
        in place of being added; for a metric that needs every example, and leaves out itself
        those that the mask leaves out.
    """

    measure: Measure
    result: Callable[[Any], Any]
    gathers: bool = False


def accuracy(*, multi_label: bool = False) -> Metric:
    """Return the metric of the share of labels that are predicted correctly, in [0, 1].

    An example has one label, or one at each position (segmentation), whose class has the largest
    logit; with several labels it has a yes or no for each class, yes where the logit is above 0.
    Shares of the classes instead of a label count as the class of the largest share.

    >>> import jax.numpy as jnp
    >>> metric = accuracy()
    >>> logits, labels = jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True])))
    0.5

    Args:
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return Metric(functools.partial(count_correct, multi_label=multi_label), _accuracy)


def top_k(k: int) -> Metric:
    """Return the metric of the share of labels among the `k` largest logits, in [0, 1].

    Of equal logits the one of the lower class ranks first.

    >>> import jax.numpy as jnp
    >>> metric = top_k(2)
    >>> logits, labels = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True])))
    0.5

    Args:
      k: Number of logits, from 1 to the number of classes.

    Raises:
      TypeError: ``k`` is not a whole number.
      ValueError: ``k`` is below 1; or, when it measures, above the number of classes.
    """
    k = arguments.check_integer("k", k, minimum=1)
    return Metric(functools.partial(count_top_k, k=k), _accuracy)


def confusion() -> Metric:
    """Return the metric that counts how often each class was predicted for each other.

    It is ``(classes, classes)`` int64: row the true class, column the predicted one. An example
    that predicts no class, by a NaN, is not in it.

    >>> import jax.numpy as jnp
    >>> metric = confusion()
    >>> logits, labels = jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [[1, 1], [0, 0]]
    """
    return Metric(count_confusions, _matrix)


def precision(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Return the metric of precision: of the predictions of a class, the share that is correct.

    It is 0 for a class that was never predicted though there are examples of it, and NaN for a
    class of which there is neither example nor prediction, as in scikit-learn, which leaves such
    classes out.

    >>> import jax.numpy as jnp
    >>> metric = precision()
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [0.5, 0.0]

    Args:
      macro: Whether to return the mean over the classes that are not NaN instead of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_precision, macro=macro, multi_label=multi_label)


def recall(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Return the metric of recall: of the examples of a class, the share that is predicted.

    It is 0 for a class that was predicted though there is no example of it, and NaN for a class
    of which there is neither.

    >>> import jax.numpy as jnp
    >>> metric = recall()
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> metric.result(metric.measure(logits, labels, jnp.array([True, True]))).tolist()
    [1.0, 0.0]

    Args:
      macro: Whether to return the mean over the classes that are not NaN instead of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_recall, macro=macro, multi_label=multi_label)


def f1(*, macro: bool = False, multi_label: bool = False) -> Metric:
    """Return the metric of F1, the harmonic mean of precision and recall of a class.

    It is 2 · hits / (predictions + examples), and NaN for a class of which there is neither.

    >>> import jax.numpy as jnp
    >>> metric = f1(macro=True)
    >>> logits, labels = jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1])
    >>> round(metric.result(metric.measure(logits, labels, jnp.array([True, True]))), 6)
    0.333333

    Args:
      macro: Whether to return the mean over the classes that are not NaN instead of ``(classes,)``.
      multi_label: Whether labels are ``(batch, classes)`` of 0 and 1.
    """
    return _per_class(_f1, macro=macro, multi_label=multi_label)


def iou() -> Metric:
    """Return the metric of intersection over union of each class, ``(classes,)``.

    Over all positions of the whole set, as in Pascal VOC: hits / (predictions + examples − hits).
    It is NaN for a class of which there is neither example nor prediction. :func:`f1` gives the
    Dice coefficient of each class.

    >>> import jax.numpy as jnp
    >>> metric = iou()
    >>> logits = jnp.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 3.0]]])
    >>> metric.result(metric.measure(logits, jnp.array([[0, 1, 1]]), jnp.array([True]))).tolist()
    [0.5, 0.5]
    """
    return _per_class(_intersection_over_union, macro=False, multi_label=False)


def mean_iou() -> Metric:
    """Return the metric of mean intersection over union, over the classes.

    Over all positions of the whole set, as in Pascal VOC; a class of which there is neither
    example nor prediction is left out.

    >>> import jax.numpy as jnp
    >>> metric = mean_iou()
    >>> logits = jnp.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 3.0]]])
    >>> metric.result(metric.measure(logits, jnp.array([[0, 1, 1]]), jnp.array([True])))
    0.5
    """
    return _per_class(_intersection_over_union, macro=True, multi_label=False)


def calibration_error(*, bins: int = 15) -> Metric:
    """Return the metric of the expected calibration error (ECE; Guo et al., 2017).

    Predictions are put into bins of equal width by their confidence, the softmax of the largest
    logit; the error is the mean over the examples of :math:`|accuracy − confidence|`, each the mean
    of their bin.

    >>> import jax.numpy as jnp
    >>> metric = calibration_error()
    >>> logits, labels = jnp.log(jnp.array([[0.75, 0.25], [0.75, 0.25]])), jnp.array([0, 1])
    >>> round(metric.result(metric.measure(logits, labels, jnp.array([True, True]))), 6)
    0.25

    Args:
      bins: Number of bins, at least 1.

    Raises:
      TypeError: ``bins`` is not a whole number.
      ValueError: ``bins`` is below 1.
    """
    bins = arguments.check_count("bins", bins, maximum=1_000_000)
    return Metric(functools.partial(bin_confidences, bins=bins), _calibration_error)


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how often each class was predicted for each other.

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


# Results from sums, on the host.


def _accuracy(sums: Sums) -> float:
    return float(_ratio(sums["right"], sums["counted"]))


def _matrix(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums)


def _per_class(result: Callable[[Sums], np.ndarray], *, macro: bool, multi_label: bool) -> Metric:
    measure = functools.partial(count_per_class, multi_label=multi_label)
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
    """Return the quotient in float64, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    nothing = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)

"""Metrics by name, and the forms in which ``metrics`` may be given."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxcnn import arguments
from jaxcnn.training import detection_metrics, metrics, regression_metrics
from jaxcnn.training.metrics import Metric

# The modules whose functions return metrics.
_MODULES = (metrics, detection_metrics, regression_metrics)
METRICS: dict[str, Metric] = {
    "accuracy": metrics.accuracy(),
    "calibration_error": metrics.calibration_error(),
    "confusion": metrics.confusion(),
    "f1": metrics.f1(macro=True),
    "mean_absolute_error": regression_metrics.mean_absolute_error(),
    "map": detection_metrics.mean_average_precision(),
    "map_50": detection_metrics.mean_average_precision(threshold=0.5),
    "map_75": detection_metrics.mean_average_precision(threshold=0.75),
    "iou": metrics.iou(),
    "mean_iou": metrics.mean_iou(),
    "precision": metrics.precision(macro=True),
    "r2": regression_metrics.r2(),
    "recall": metrics.recall(macro=True),
    "top-2": metrics.top_k(2),
    "top-5": metrics.top_k(5),
}
PerExample: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]
GivenMetric: TypeAlias = str | Metric | PerExample
GivenMetrics: TypeAlias = Mapping[str, GivenMetric] | Sequence[str | PerExample]


def resolve_metrics(given: GivenMetrics | None) -> dict[str, Metric]:
    """Return metrics by name from any form of the argument ``metrics``.

    >>> list(resolve_metrics(["f1", "top-5"]))
    ['f1', 'top-5']

    Args:
      given: Metrics by name, or a sequence of names and of functions. A metric is a
        :class:`Metric`, a name such as ``"f1"``, or a function of the outputs and the labels of a
        batch that returns one value per example, of which the mean is taken.

    Raises:
      TypeError: it is none of these.
      ValueError: there is no metric of a name.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: _resolve(name, metric) for name, metric in given.items()}
    if not arguments.is_sequence(given) or isinstance(given, Metric):
        raise _error(given)
    named = {}
    for metric in given:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", None)
        if name is None:
            raise _error(given)
        named[name] = _resolve(name, metric)
    return named


def name_metrics(given: Mapping[str, Metric]) -> dict[str, str]:
    """Return the names in :data:`METRICS` of those metrics that have one, by their own names."""
    known = {_parts(metric): name for name, metric in METRICS.items()}
    return {
        name: known[_parts(metric)] for name, metric in given.items() if _parts(metric) in known
    }


def _resolve(name: str, metric: Any) -> Metric:
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        arguments.check_known("metric", metric, METRICS)
        return METRICS[metric]
    made: str = getattr(metric, "__name__", "")
    known: Any = next((vars(m)[made] for m in _MODULES if vars(m).get(made) is metric), None)
    if known is not None:
        # One of this library's functions, which return a metric: accuracy in place of accuracy().
        required = [
            parameter.name
            for parameter in inspect.signature(known).parameters.values()
            if parameter.default is parameter.empty
        ]
        if required:
            raise TypeError(
                f"the metric {made} needs {', '.join(required)}: call it, and give it a name, such "
                'as metrics={"top-5": top_k(5)}'
            )
        return METRICS[made] if made in METRICS else known()
    if callable(metric) and not isinstance(metric, type):
        return Metric(functools.partial(_sum_values, function=metric), _mean)
    raise _error({name: metric})


def _sum_values(
    logits: jax.Array, labels: jax.Array, mask: jax.Array, *, function: PerExample
) -> dict[str, jax.Array]:
    values = jnp.asarray(function(logits, labels))
    if values.shape != mask.shape:
        raise ValueError(
            f"a function as a metric must give one value per example, (batch,) = {mask.shape}; a "
            "metric of other sums is a cnn.training.Metric. "
            f"Received: shape {values.shape} of {getattr(function, '__name__', function)!r}"
        )
    values = jnp.where(mask, values.astype(jnp.float32), 0)
    return {"sum": values.sum(), "examples": mask.sum()}


def _mean(sums: dict[str, Any]) -> float:
    return float(sums["sum"] / sums["examples"])


def _parts(metric: Metric) -> tuple[Any, ...]:
    """Return what is equal for two metrics that were made by the same call."""
    return tuple(
        (function.func, *sorted(function.keywords.items(), key=lambda option: option[0]))
        if isinstance(function, functools.partial)
        else function
        for function in metric
    )


def _error(given: Any) -> TypeError:
    return TypeError(
        'metrics must map names to metrics, such as {"top-5": top_k(5)}, or be a sequence of names '
        f'and functions, such as ["f1", "top-5"]. Received: metrics={arguments.shown(given)}'
    )

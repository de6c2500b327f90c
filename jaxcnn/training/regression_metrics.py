"""Metrics of numbers that are predicted: how far they are off, and what they explain.

Predictions and targets of all examples are gathered, and the metrics computed from them in float64:
they do not depend on the batches, and a large common offset does not make them inexact.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn.training.metrics import Metric


def mean_absolute_error() -> Metric:
    """Return the metric of the mean of :math:`|prediction − target|` over examples and numbers.

    >>> import jax.numpy as jnp
    >>> metric = mean_absolute_error()
    >>> outputs, targets = jnp.array([[1.0], [4.0]]), jnp.array([[2.0], [4.0]])
    >>> metric.result(metric.measure(outputs, targets, jnp.array([True, True])))
    0.5
    """
    return Metric(_gather, _absolute, gathers=True)


def r2() -> Metric:
    """Return the metric of the share of the targets' variance that is predicted, at most 1.

    It is :math:`1 − Σ (prediction − target)²/Σ (target − mean)²`, the mean over the numbers of an
    example, as scikit-learn's ``r2_score``; 0 is as good as the mean. A number that is the same in
    all examples is left out.

    >>> import jax.numpy as jnp
    >>> metric = r2()
    >>> outputs, targets = jnp.array([[1.0], [4.0]]), jnp.array([[2.0], [4.0]])
    >>> metric.result(metric.measure(outputs, targets, jnp.array([True, True])))
    0.5
    """
    return Metric(_gather, _explained_share, gathers=True)


def _gather(outputs: jax.Array, targets: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    if outputs.shape != targets.shape:
        raise ValueError(
            "outputs must have the shape of the numbers to predict. "
            f"Received: outputs {outputs.shape}, numbers {targets.shape}"
        )
    return {"outputs": outputs, "targets": targets.astype(jnp.float32), "mask": mask}


def _rows(gathered: Any) -> tuple[np.ndarray, np.ndarray]:
    counted = np.asarray(gathered["mask"])
    outputs, targets = (
        np.asarray(gathered[name], np.float64)[counted] for name in ("outputs", "targets")
    )
    return outputs.reshape(len(outputs), -1), targets.reshape(len(targets), -1)


def _absolute(gathered: Any) -> float:
    outputs, targets = _rows(gathered)
    return float(np.mean(np.abs(outputs - targets)))


def _explained_share(gathered: Any) -> float:
    outputs, targets = _rows(gathered)
    total = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    varies = total > 0
    if not varies.any():
        return float("nan")
    left = np.square(outputs - targets).sum(axis=0)
    return float(np.mean(1 - left[varies] / total[varies]))

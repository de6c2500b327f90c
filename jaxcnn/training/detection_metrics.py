"""The metric of detections over a whole evaluation: mean average precision."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments
from jaxcnn.training.detected_boxes import detections
from jaxcnn.training.detection_scores import IOU_THRESHOLDS, average_precision
from jaxcnn.training.metrics import Metric


def mean_average_precision(*, threshold: float | None = None) -> Metric:
    """Return the metric of the mean average precision of detections, in [0, 1].

    It is that of :func:`average_precision`, over all classes of which there is a box, and equals
    COCO's. The outputs are those of a detector, or detections ``(batch, K, 6)`` as they are.

    >>> metric = mean_average_precision(threshold=0.5)
    >>> boxes = jnp.array([[[0., 0., 10., 10., 0, 0]]])
    >>> found = jnp.array([[[0., 0., 10., 8., 0.9, 0]]])
    >>> gathered = metric.measure(found, boxes, jnp.array([True]))
    >>> round(metric.result(jax.tree.map(np.asarray, gathered)), 6)
    1.0

    Args:
      threshold: The IoU from which a detection counts, one of 0.5, 0.55 … 0.95; ``None`` means the
        mean over all ten: mAP@[.5:.95].

    Raises:
      TypeError: the threshold is not a number.
      ValueError: the threshold is none of the ten.
    """
    place = None
    if threshold is not None:
        value = arguments.check_number("threshold", threshold)
        near = np.flatnonzero(np.isclose(IOU_THRESHOLDS, value))
        if not len(near):
            raise ValueError(
                f"threshold must be one of 0.5, 0.55 … 0.95. Received: threshold={value:g}"
            )
        place = int(near[0])
    return Metric(_gather, functools.partial(_mean, place=place), gathers=True)


def _gather(outputs: jax.Array, labels: jax.Array, mask: jax.Array) -> dict[str, jax.Array]:
    """Return detections and boxes, without those of the images that the mask leaves out."""
    found = outputs if outputs.shape[-1] == 6 else detections(outputs)
    return {
        "detections": _without(found, 5, mask),
        "labels": _without(labels, 4, mask),
    }


def _without(rows: jax.Array, column: int, mask: jax.Array) -> jax.Array:
    """Return rows that have the class −1 where an image does not count."""
    classes = jnp.where(mask[:, None], rows[..., column], -1)
    return rows.astype(jnp.float32).at[..., column].set(classes.astype(jnp.float32))


def _mean(gathered: dict[str, Any], *, place: int | None) -> float:
    found, boxes = gathered["detections"], gathered["labels"]
    highest = max(found[..., 5].max(initial=0), boxes[..., 4].max(initial=0))
    scores = average_precision(found, boxes, int(highest) + 1)
    if place is None:
        return scores.mean
    known = scores.precision[place][~np.isnan(scores.precision[place])]
    return float(known.mean()) if known.size else float("nan")

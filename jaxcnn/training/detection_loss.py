"""The loss of a dense detector, and the boxes that its locations have to find.

Both follow FCOS (Tian et al., 2019, arXiv 1904.01355) with center sampling, as its authors' later
code and torchvision have it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcnn import arguments, ops

# Columns of the outputs: x, y, stride, the four distances, centerness, then the classes.
DISTANCES, CENTERNESS, CLASSES = slice(3, 7), 7, 8


class Targets(NamedTuple):
    """What each location has to predict, all ``(batch, locations)`` but the distances.

    Attributes:
      positive: Whether the location has a box.
      ignored: Whether it counts neither as a box nor as background.
      label: The class of its box; 0 where it has none.
      distances: ``(batch, locations, 4)``, to the left, upper, right and lower edge in pixels; 1
        where it has no box.
    """

    positive: jax.Array
    ignored: jax.Array
    label: jax.Array
    distances: jax.Array


def detection(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    radius: float = 1.5,
    size_per_stride: float = 8.0,
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> jax.Array:
    """Return the loss of each example of a dense detector: focal + GIoU + centerness.

    A location is assigned to a box if it lies in the box and within `radius` strides of its middle
    along both axes, and if the farthest edge of the box is in the range of its level: between half
    `size_per_stride` and `size_per_stride` strides, without a lower limit at the smallest stride
    and without an upper one at the largest. Of several boxes it is the smallest. A location within
    a crowd that has no box does not count as background.

    - the focal loss of the class probabilities, σ(logit), over all locations and classes, with
      `alpha` for the class that is there and 1 − `alpha` for the others (Lin et al., 2017);
    - 1 − GIoU of the box of each assigned location, weighted by its centerness
      :math:`√{min(l, r)/max(l, r)·min(t, b)/max(t, b)}` (Rezatofighi et al., 2019);
    - the binary cross-entropy of the centerness.

    The first and the last are sums divided by the number of assigned locations of the example, at
    least 1, so that the loss of an example does not depend on the others of its batch; the second
    is divided by the sum of its weights. FCOS divides by the mean number over the batch.

    >>> import jax.numpy as jnp
    >>> location = jnp.array([4.0, 4, 8, 3, 3, 3, 3, 20, 20, -20])  # a box of class 0, surely
    >>> box = jnp.array([1.0, 1, 7, 7, 0, 0])
    >>> loss = detection(location[None, None], box[None, None])
    >>> bool(abs(loss[0]) < 1e-6)
    True

    Args:
      outputs: ``(batch, locations, 8 + classes)``, as :class:`jaxcnn.detector` describes them.
      labels: ``(batch, boxes, 6)``: x1, y1, x2, y2 in pixels, class, and 1 for a crowd; the class
        of rows that only fill up is -1.
      radius: Half the side of the square of assigned locations, in strides, above 0.
      size_per_stride: Largest distance to an edge at a level, in strides, above 0.
      alpha: Weight of the class that is there, in [0, 1].
      gamma: Strength by which easy locations are down-weighted, at least 0.

    Returns:
      ``(batch,)`` losses, at least 0.

    Raises:
      TypeError: an option is not a number.
      ValueError: a shape does not fit, or an option is out of its range.
    """
    outputs, labels = check_detections(outputs, labels)
    alpha = arguments.check_number("alpha", alpha, minimum=0, maximum=1)
    gamma = arguments.check_number("gamma", gamma, minimum=0)
    target = assign(outputs, labels, radius=radius, size_per_stride=size_per_stride)
    weight = jnp.where(target.positive, centerness_of(target.distances), 0)
    count = jnp.maximum(jnp.sum(target.positive, axis=1, dtype=jnp.float32), 1)

    shares = jax.nn.one_hot(target.label, outputs.shape[-1] - CLASSES)
    shares = jnp.where(target.positive[..., None], shares, 0)
    focal = jnp.sum(sigmoid_focal(outputs[..., CLASSES:], shares, alpha, gamma), axis=-1)
    focal = jnp.sum(jnp.where(target.ignored, 0, focal), axis=1)

    pair = map(_around_origin, (outputs[..., DISTANCES], target.distances))
    boxes = weight * (1 - ops.giou(*pair, pairwise=False))
    boxes = jnp.sum(boxes, axis=1) / jnp.maximum(jnp.sum(weight, axis=1), 1e-6)

    logit = outputs[..., CENTERNESS]
    middle = jnp.where(target.positive, jax.nn.softplus(logit) - weight * logit, 0)
    return (focal + jnp.sum(middle, axis=1)) / count + boxes


def assign(
    outputs: jax.Array, labels: jax.Array, *, radius: float, size_per_stride: float
) -> Targets:
    """Return what each location has to predict; the arguments are those of :func:`detection`."""
    radius = arguments.check_number("radius", radius, above=0)
    largest = arguments.check_number("size_per_stride", size_per_stride, above=0)
    x, y, stride = (outputs[..., column, None] for column in range(3))
    x1, y1, x2, y2, label, crowd = (labels[:, None, :, column] for column in range(6))
    edges = jnp.minimum(x - x1, x2 - x), jnp.minimum(y - y1, y2 - y)
    inside = jnp.minimum(*edges) > 0  # (batch, locations, boxes)
    real = (label >= 0) & (crowd == 0)
    near = jnp.maximum(jnp.abs(x - (x1 + x2) / 2), jnp.abs(y - (y1 + y2) / 2)) < radius * stride
    farthest = jnp.maximum(jnp.maximum(x - x1, x2 - x), jnp.maximum(y - y1, y2 - y))
    smallest_stride = jnp.min(stride, axis=1, keepdims=True)
    largest_stride = jnp.max(stride, axis=1, keepdims=True)
    low = jnp.where(stride == smallest_stride, 0, largest / 2 * stride)
    high = jnp.where(stride == largest_stride, jnp.inf, largest * stride)
    fits = real & inside & near & (farthest > low) & (farthest <= high)
    area = jnp.where(fits, (x2 - x1) * (y2 - y1), jnp.inf)
    chosen = jnp.argmin(area, axis=-1)
    positive = jnp.any(fits, axis=-1)
    ignored = jnp.any(inside & (label >= 0) & (crowd > 0), axis=-1) & ~positive
    box = jnp.take_along_axis(labels, chosen[..., None], axis=1)  # (batch, locations, 6)
    place = outputs[..., :2]
    distances = jnp.concatenate([place - box[..., :2], box[..., 2:4] - place], axis=-1)
    return Targets(
        positive,
        ignored,
        jnp.where(positive, box[..., 4], 0).astype(jnp.int32),
        jax.lax.stop_gradient(jnp.where(positive[..., None], distances, 1)),
    )


def sigmoid_focal(logits: jax.Array, shares: jax.Array, alpha: float, gamma: float) -> jax.Array:
    """Return −α (1 − p)^γ log p of each class by itself, where p is the probability of what is.

    Args:
      logits: Logits of any shape.
      shares: 1 for each class that is there, else 0; of the same shape.
      alpha: Weight of the classes that are there; 1 − `alpha` is that of the others.
      gamma: Strength by which easy ones are down-weighted.
    """
    sign = 1 - 2 * shares
    log_p = -jax.nn.softplus(sign * logits)
    # (1 − p)^γ by its logarithm, as a power below 1 has an infinite gradient at 0.
    easiness = jnp.exp(gamma * -jax.nn.softplus(-sign * logits))
    return -(alpha * shares + (1 - alpha) * (1 - shares)) * easiness * log_p


def centerness_of(distances: jax.Array) -> jax.Array:
    """Return √(min(l, r)/max(l, r) · min(t, b)/max(t, b)) of distances ``(…, 4)`` above 0."""
    low, high = distances[..., :2], distances[..., 2:]
    shares = jnp.minimum(low, high) / jnp.maximum(low, high)
    return jnp.sqrt(shares[..., 0] * shares[..., 1])


def _around_origin(distances: jax.Array) -> jax.Array:
    """Return boxes ``(…, 4)`` with these distances to the origin; a GIoU is the same anywhere."""
    return jnp.concatenate([-distances[..., :2], distances[..., 2:]], axis=-1)


def check_detections(outputs: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return a detector's outputs and boxes as float32.

    Raises:
      ValueError: a shape does not fit.
    """
    outputs = check_outputs(outputs)
    if labels.ndim != 3 or labels.shape[-1] != 6 or len(labels) != len(outputs):
        raise ValueError(
            "labels must be (batch, boxes, 6): x1, y1, x2, y2, class and crowd of each box. "
            f"Received: labels {labels.shape} for outputs {outputs.shape}"
        )
    if labels.shape[1] == 0:  # no example has a box: one row that only fills up
        labels = jnp.full((len(labels), 1, 6), -1, jnp.float32)
    return outputs, labels.astype(jnp.float32)


def check_outputs(outputs: jax.Array) -> jax.Array:
    """Return a detector's outputs as float32.

    Raises:
      ValueError: the shape does not fit.
    """
    if outputs.ndim != 3 or outputs.shape[-1] <= CLASSES:
        raise ValueError(
            "outputs must be (batch, locations, 8 + classes), as of the model 'fcos': x, y, "
            "stride, four distances, centerness, and a logit per class. "
            f"Received: shape {outputs.shape}"
        )
    return outputs.astype(jnp.float32)

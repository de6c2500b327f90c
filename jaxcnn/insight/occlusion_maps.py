"""Attribution by covering a part of the image at a time."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.data.images import Images
from jaxcnn.insight.explained_score import (
    Arrays,
    Question,
    Target,
    all_finite,
    fill_like,
)
from jaxcnn.insight.observed_model import run_unobserved, traceable
from jaxcnn.insight.score_gradient import (
    outputs_in_batches,
    resolve_target,
    score_rows,
    sum_over_rows,
)
from jaxcnn.training.forward import to_float
from jaxcnn.training.model_structure import Structure


def occlusion(
    model: nnx.Module,
    x: Images,
    target: Target = None,
    *,
    window: shapes.PerAxis,
    strides: shapes.PerAxis | None = None,
    value: Any = 0.0,
    batch_size: int = 32,
) -> jax.Array:
    """Return the decrease of a class's score where a window of the image is covered.

    A window that is moved over the image covers all channels. Each pixel gets the mean over the
    windows that cover it of S(x) − S(x covered).

    >>> import jaxcnn as cnn
    >>> model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((2, 1), rngs=nnx.Rngs(0))
    >>> x = jnp.ones((1, 2, 1))
    >>> bool(jnp.allclose(occlusion(model, x, 2, window=1)[0], model.dense_1.kernel[:, 2]))
    True

    Args:
      model: As for :func:`gradients`.
      x: As for :func:`gradients`.
      target: As for :func:`gradients`; the predicted class is that of the uncovered image.
      window: Size of the window: an int or one per spatial axis, at least 1 and at most the size of
        the image.
      strides: Step of the window, at least 1; ``None`` means `window`. The last window may reach
        over the edge.
      value: The color of the cover: a number, one per channel, or an array that broadcasts to `x`,
        in numbers as the model receives them: pixels in [0, 1].
      batch_size: Covered images that are computed together, at least 1; it decides the memory, and
        does not change the result.

    Returns:
      ``(N, *spatial)`` float32.

    Raises:
      TypeError: as for :func:`gradients`.
      ValueError: as for :func:`gradients`, the window is larger than the image, strides larger than
        the window leave pixels uncovered, or `value` does not fit.

    Zeiler and Fergus, 2014, arXiv 1311.2901.
    """
    batch_size = arguments.check_count("batch_size", batch_size)
    question = Question.about(model, x, target)
    sizes = question.images.shape[1:-1]
    windows = shapes.per_axis("window", window, len(sizes), minimum=1)
    steps = windows
    if strides is not None:
        steps = shapes.per_axis("strides", strides, len(sizes), minimum=1)
    if any(size < length for size, length in zip(sizes, windows, strict=True)):
        raise ValueError(
            f"window must be at most the size of the images, {sizes}. Received: window={windows}"
        )
    if any(step > length for step, length in zip(steps, windows, strict=True)):
        raise ValueError(
            "strides must be at most the window, or pixels between the windows would never be "
            f"covered. Received: strides={steps}, window={windows}"
        )
    cover = fill_like("value", value, question.images)
    with traceable():
        found, finite = _occlusion(
            question.observed.structure, question.classes, windows, steps, batch_size,
            *question.asked, cover,
        )  # fmt: skip
    question.check_finite(finite)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _occlusion(
    structure: Structure,
    classes: int,
    windows: tuple[int, ...],
    strides: tuple[int, ...],
    batch_size: int,
    arrays: Arrays,
    images: jax.Array,
    target: jax.Array,
    cover: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images = to_float(images)
    cover = jnp.broadcast_to(cover.astype(images.dtype), images.shape)
    outputs = outputs_in_batches(structure, classes, arrays, images, batch_size)
    target = resolve_target(outputs, target)
    scores = score_rows(outputs, target)
    covered = _covered(images.shape[1:-1], windows, strides)
    counts = [len(axis) for axis in covered]

    def decrease(numbers: jax.Array, position: jax.Array) -> jax.Array:
        at = jnp.unravel_index(position, counts)
        lines = [jnp.asarray(axis)[index] for axis, index in zip(covered, at, strict=True)]
        mask = jax.vmap(lambda *lines: functools.reduce(jnp.logical_and.outer, lines))(*lines)
        shown = images[numbers]  # in which NaN is the padding of a series
        changed = jnp.where(mask[..., None] & ~jnp.isnan(shown), cover[numbers], shown)
        outputs = run_unobserved(structure, arrays, changed)
        less = scores[numbers] - score_rows(outputs, target[numbers])
        return jnp.where(mask, less.reshape(-1, *(1,) * len(lines)), 0.0)

    rows = jnp.arange(len(images) * int(np.prod(counts)))
    start = jnp.zeros(images.shape[:-1])
    total = sum_over_rows(
        decrease, start, rows % len(images), rows // len(images), batch_size=batch_size
    )
    times = functools.reduce(np.multiply.outer, [axis.sum(axis=0) for axis in covered])
    return total / times[None].astype(np.float32), all_finite(total, scores)


def _covered(
    sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int]
) -> list[np.ndarray]:
    """Return for each axis the pixels that each window covers, ``(windows, size)`` bool."""
    found = []
    for size, window, stride in zip(sizes, windows, strides, strict=True):
        first = stride * np.arange(-(-(size - window) // stride) + 1)[:, None]
        pixels = np.arange(size)
        found.append((first <= pixels) & (pixels < first + window))
    return found

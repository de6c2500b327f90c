"""The score of a class within compiled functions: its gradient, and sums over changed images."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn.insight.explained_score import PREDICTED, Arrays, Place
from jaxcnn.insight.observed_model import run_observed, run_unobserved
from jaxcnn.training.model_structure import Structure


class Derivative(NamedTuple):
    """The gradient of the scores at a place of a model.

    Attributes:
      gradient: ``(N, ...)``, of each image's score at its row of the place.
      value: The value of the place.
      scores: ``(N,)`` float32.
    """

    gradient: jax.Array
    value: jax.Array
    scores: jax.Array


def score_rows(outputs: jax.Array, target: jax.Array) -> jax.Array:
    """Return the output of each row's class, ``(N,)`` float32; of −1 the largest output.

    Args:
      outputs: ``(N, classes)`` or ``(N,)``.
      target: ``(N,)`` classes.
    """
    outputs = _float_rows(outputs)
    chosen = resolve_target(outputs, target)
    return jnp.take_along_axis(outputs, chosen[:, None], axis=1)[:, 0]


def resolve_target(outputs: jax.Array, target: jax.Array) -> jax.Array:
    """Return the targets with the predicted classes in place of −1.

    Args:
      outputs: ``(N, classes)``.
      target: ``(N,)`` classes.
    """
    return jnp.where(target == PREDICTED, outputs.argmax(axis=1).astype(target.dtype), target)


def differentiate(
    structure: Structure,
    place: Place,
    arrays: Arrays,
    images: jax.Array,
    target: jax.Array,
    at: jax.Array | None = None,
) -> Derivative:
    """Return the gradient of the scores at a place; for use within a function that is compiled.

    A zero is added at the place and the model is differentiated with respect to it, so that the
    backward pass ends there.

    Args:
      structure: The structure of the model.
      place: Where to differentiate.
      arrays: The arrays of the model.
      images: ``(N, *spatial, C)``, floating point.
      target: ``(N,)`` classes.
      at: Values to put at the place; ``None`` leaves those that the images give.
    """

    def score(values: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        placed: list[jax.Array] = []

        def put(given: jax.Array) -> jax.Array:
            placed.append(values if at is not None else given + values)
            return placed[-1]

        def observe(path: str, output: Any) -> Any:
            return put(output) if path == place.path else output

        given = put(images) if place.path is None else images
        scores = score_rows(run_observed(structure, arrays, given, observe), target)
        return scores.sum(), (placed[0], scores)

    start = jnp.zeros((len(images), *place.shape), place.dtype) if at is None else at
    (_, (value, scores)), gradient = jax.value_and_grad(score, has_aux=True)(start)
    return Derivative(gradient, value, scores)


def sum_over_rows(
    add: Callable[..., jax.Array],
    start: jax.Array,
    image: jax.Array,
    *columns: jax.Array,
    batch_size: int,
) -> jax.Array:
    """Return `start` plus the contributions of rows to images, a batch of rows at a time.

    The memory is that of one batch. For use within a function that is compiled.

    Args:
      add: Maps image numbers ``(rows,)`` and the columns' rows to contributions ``(rows, ...)``.
      start: ``(N, ...)``, for each image.
      image: ``(R,)`` the number of the image that each row contributes to.
      *columns: ``(R, ...)`` further values of the rows.
      batch_size: Rows at a time.
    """
    rows = len(image)
    size = min(batch_size, rows)
    missing = -rows % size

    def in_batches(column: jax.Array, fill: int = 0) -> jax.Array:
        widths = [(0, missing), *[(0, 0)] * (column.ndim - 1)]
        filled = jnp.pad(column, widths, constant_values=fill)
        return filled.reshape(-1, size, *column.shape[1:])

    def step(total: jax.Array, batch: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        numbers, *rest = batch
        contribution = add(jnp.minimum(numbers, len(start) - 1), *rest)
        return total.at[numbers].add(contribution.astype(total.dtype), mode="drop"), None

    # The rows that fill up the last batch count for an image that does not exist.
    batches = in_batches(image, len(start)), *map(in_batches, columns)
    return lax.scan(step, start, batches)[0]


def outputs_in_batches(
    structure: Structure, classes: int, arrays: Arrays, images: jax.Array, batch_size: int
) -> jax.Array:
    """Return the outputs of a model, ``(N, classes)`` float32, a batch of images at a time.

    For use within a function that is compiled.

    Args:
      structure: The structure of the model.
      classes: Number of its outputs.
      arrays: Its arrays.
      images: ``(N, *spatial, C)``.
      batch_size: Images at a time.
    """

    def outputs(numbers: jax.Array) -> jax.Array:
        return _float_rows(run_unobserved(structure, arrays, images[numbers]))

    count = len(images)
    start = jnp.zeros((count, classes))
    return sum_over_rows(outputs, start, jnp.arange(count), batch_size=batch_size)


def _float_rows(outputs: jax.Array) -> jax.Array:
    rows = outputs[:, None] if outputs.ndim == 1 else outputs
    return rows.astype(jnp.float32)

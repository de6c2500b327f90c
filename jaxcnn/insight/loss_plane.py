"""The loss of a model on a plane through its parameters."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from jaxcnn import arguments
from jaxcnn.data.batching import as_batch_source
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.images import Images
from jaxcnn.insight.observed_model import ObservedModel, run_unobserved
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.training.evaluation import check_fits
from jaxcnn.training.measurement import Loss, measure
from jaxcnn.training.model_structure import Structure
from jaxcnn.training.named_losses import loss_of_labels, resolve_loss

# Images that are computed at once: memory does not grow with their number.
_ROWS = 256
_Batches: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class LossSurface:
    """Losses on a plane around the parameters of a model, which are in its middle.

    Attributes:
      distances: ``(points,)`` places along both directions; 0 is the model.
      losses: ``(points, points)`` mean losses, by the place along the second and the first one.
    """

    distances: np.ndarray
    losses: np.ndarray


def loss_surface(
    model: nnx.Module,
    data: Dataset | tuple[Images, np.ndarray],
    *,
    reach: float = 1.0,
    points: int = 21,
    loss: Loss | str | None = None,
    seed: int = 0,
) -> LossSurface:
    """Return the mean loss of a model whose parameters move along two random directions.

    Each filter of a direction has the norm of that filter of the model, so that surfaces of
    different models compare; biases, scales and running statistics stay (Li et al., 2018,
    arXiv:1712.09913). One program computes all points; the model is not changed.

    >>> import jaxcnn as cnn
    >>> model = cnn.serial(cnn.flatten(), cnn.dense(2)).build((2, 2, 1), rngs=nnx.Rngs(0))
    >>> surface = loss_surface(model, (np.ones((3, 2, 2, 1), np.float32), [0, 1, 1]), points=5)
    >>> surface.distances.tolist(), surface.losses.shape
    ([-1.0, -0.5, 0.0, 0.5, 1.0], (5, 5))

    Args:
      model: As for :func:`jaxcnn.evaluate`.
      data: Images and labels, whose loss is computed at each point; some hundred show the form.
      reach: Distance to the edge, above 0; at 1 a filter has moved by its own norm.
      points: Points along each direction, odd and at least 3, so that one is the model itself.
      loss: As for :func:`jaxcnn.evaluate`.
      seed: Seed of the directions, at least 0.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: a number is out of range, or the model does not fit the data.
    """
    reach = arguments.check_number("reach", reach, above=0)
    points = arguments.check_integer("points", points, minimum=3)
    if points % 2 == 0:
        raise ValueError(f"points must be odd. Received: points={points}")
    seed = arguments.check_integer("seed", seed, minimum=0)
    source = as_batch_source("data", data)
    if not isinstance(source, Dataset):
        raise TypeError(
            f"data must be a Dataset or images and labels. Received: {arguments.shown(data)}"
        )
    check_fits(model, source)
    function = resolve_loss(loss_of_labels(source) if loss is None else loss)
    observed = ObservedModel.of(model)
    keys = jax.random.split(jax.random.key(seed))
    directions = tuple(filter_normalized(key, observed.params) for key in keys)
    distances = np.linspace(-reach, reach, points, dtype=np.float32)
    second, first = np.meshgrid(distances, distances, indexing="ij")
    grid = np.stack([first.ravel(), second.ravel()], axis=-1)
    batches = _in_batches(source)
    losses = _losses(observed.structure, function, observed.arrays, directions, batches, grid)
    return LossSurface(distances, np.asarray(losses).reshape(points, points))


def filter_normalized(key: jax.Array, params: ArrayTree) -> ArrayTree:
    """Return a random direction: each filter has the norm of that of `params`, vectors are zero."""
    leaves, structure = jax.tree.flatten(params)

    def direction(key: jax.Array, leaf: jax.Array) -> jax.Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        drawn = jax.random.normal(key, leaf.shape, leaf.dtype)
        axes = tuple(range(leaf.ndim - 1))
        sizes = (jnp.linalg.norm(x.reshape(-1, x.shape[-1]), axis=0) for x in (leaf, drawn))
        wanted, found = (jnp.expand_dims(size, axes) for size in sizes)
        return drawn * (wanted / found)

    keys = jax.random.split(key, len(leaves))
    drawn = [direction(each, leaf) for each, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def _in_batches(data: Dataset) -> _Batches:
    """Return images, labels and mask with a first axis of batches; the last one is filled up."""
    count = len(data)
    size = min(count, _ROWS)
    rows = -(-count // size) * size
    mask = np.arange(rows) < count
    whole = (data.images, data.labels)
    images, labels = (np.resize(array, (rows, *np.shape(array)[1:])) for array in whole)
    images, labels, mask = (x.reshape(-1, size, *x.shape[1:]) for x in (images, labels, mask))
    return images, labels, mask


@functools.partial(jax.jit, static_argnums=(0, 1))
def _losses(
    structure: Structure,
    loss: Callable[..., jax.Array],
    arrays: tuple[ArrayTree, ArrayTree],
    directions: tuple[ArrayTree, ...],
    batches: _Batches,
    grid: np.ndarray,
) -> jax.Array:
    params, statistics = arrays

    def at(point: jax.Array) -> jax.Array:
        steps = point.astype(jnp.float32)
        moved = jax.tree.map(
            lambda w, a, b: w + (steps[0] * a + steps[1] * b).astype(w.dtype), params, *directions
        )

        def of(batch: Any) -> Any:
            images, labels, mask = batch
            outputs = run_unobserved(structure, (moved, statistics), images)
            return measure(outputs, labels, mask, loss)

        metrics = lax.map(of, batches)
        return metrics.loss_sum.sum() / metrics.examples.sum()

    return lax.map(at, grid)

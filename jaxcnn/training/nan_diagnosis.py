"""The first layer of a step whose numbers are not finite, found by computing the step again."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn.data.drawing import Batch
from jaxcnn.training.checkpoints import leaf_names
from jaxcnn.training.forward import Inputs
from jaxcnn.training.measurement import losses_of
from jaxcnn.training.state import TrainState
from jaxcnn.training.task import Task
from jaxcnn.training.training_step import compute_gradient

_Record = Callable[[str, jax.Array], None]


class _Found(Exception):
    """A description of the first number that is not finite."""


def first_bad_value(task: Task, state: TrainState, batch: Batch) -> str:
    """Return a description of the first number of a step that is not finite.

    The step is computed again outside of jit. Parameters, images, the output of every module in
    the order in which they return, and the losses are examined, then the gradients, from the last
    layer to the first.

    Args:
      task: The training task.
      state: State before the step.
      batch: Batch of the step.
    """
    forward, loss, parts = task.forward, task.loss, task.options.accumulate
    called: list[str] = []
    try:
        for name, parameter in leaf_names(state.params).items():
            _check(f"the parameter {name}", parameter)
        inputs, key = forward.inputs(state, batch)
        _check("the images, as the model is given them", inputs.images)
        statistics = state.statistics
        for number, part in enumerate(_parts(inputs, parts)):
            part_key = key if parts == 1 else jax.random.fold_in(key, number)
            logits, statistics = forward.logits(
                state.params,
                statistics,
                part.images,
                part_key,
                prepare=functools.partial(_observe, called=called),
            )
            losses = losses_of(logits, part.targets, loss)
            _check("the loss, of finite outputs of the model", losses[part.mask])
        gradients, _, _ = compute_gradient(forward, loss, state, inputs, key, parts=parts)
        for name, array in _last_first(leaf_names(gradients), called):
            _check(f"the gradient of {name}", array)
    except _Found as found:
        return str(found)
    return "no number, where the step is computed layer by layer"


def _parts(inputs: Inputs, parts: int) -> Iterator[Inputs]:
    for first in range(parts):
        yield jax.tree.map(lambda rows, first=first: rows[first::parts], inputs)


def _check(place: str, array: jax.Array) -> None:
    """Raise ``_Found`` if a number is not finite; traced arrays are left out."""
    if isinstance(array, jax.core.Tracer) or not jnp.issubdtype(array.dtype, jnp.floating):
        return
    values = np.asarray(array.astype(jnp.float32))
    bad = ~np.isfinite(values)
    if bad.any():
        kind = "NaN" if np.isnan(values[bad].flat[0]) else "infinite"
        raise _Found(f"{place}: {bad.sum():,} of {values.size:,} values, the first of them {kind}")


def _observe(model: nnx.Module, *, called: list[str]) -> None:
    """Make every module of the model check its output."""
    for path, module in list(nnx.iter_modules(model)):
        name = ".".join(map(str, path))
        module.__class__ = _observed(type(module), name, called)


def _observed(kind: type[nnx.Module], name: str, called: list[str]) -> type[nnx.Module]:
    @functools.wraps(kind.__call__)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        y = kind.__call__(self, *arguments, **options)
        called.append(name)
        for array in jax.tree.leaves(y):
            _check(f"the output of {name or 'the model'}", array)
        return y

    return type(kind.__name__, (kind,), {"__call__": call})


def _last_first(gradients: dict[str, Any], called: list[str]) -> list[tuple[str, Any]]:
    """Return the gradients in the order in which they are computed."""
    places = {name: place for place, name in enumerate(called)}

    def place(entry: tuple[str, Any]) -> int:
        module, _, _ = entry[0].rpartition(".")
        return places.get(module, -1)

    return sorted(gradients.items(), key=place, reverse=True)

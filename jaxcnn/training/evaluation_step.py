"""The compiled steps of evaluation and of prediction."""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias, overload

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn.data.drawing import Batch
from jaxcnn.modules import call, in_mode, pool_before_relu
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.training.forward import to_float
from jaxcnn.training.losses import cross_entropy
from jaxcnn.training.measurement import Loss, measure
from jaxcnn.training.model_structure import Structure
from jaxcnn.training.named_losses import resolve_loss
from jaxcnn.training.named_metrics import GivenMetrics, resolve_metrics
from jaxcnn.training.output_activation import ACTIVATIONS, check_output, to_logits
from jaxcnn.training.state import Metrics, TrainState

EvalStep: TypeAlias = Callable[[TrainState, Batch], Metrics]
MeasuringStep: TypeAlias = Callable[[TrainState, Batch], tuple[Metrics, dict[str, Any]]]


@overload
def make_eval_step(
    model: nnx.Module, *, loss: Loss | str = ..., metrics: None = None
) -> EvalStep: ...


@overload
def make_eval_step(
    model: nnx.Module, *, loss: Loss | str = ..., metrics: GivenMetrics
) -> MeasuringStep: ...


def make_eval_step(
    model: nnx.Module,
    *,
    loss: Loss | str = cross_entropy,
    metrics: GivenMetrics | None = None,
) -> EvalStep | MeasuringStep:
    """Return the jit-compiled evaluation step of a model.

    Args:
      model: Any ``nnx.Module``, as for :func:`make_training`; only its structure is used.
      loss: Maps the model's outputs and the labels of a batch to losses ``(batch,)``, or the name
        of a loss of :mod:`jaxcnn.training`.
      metrics: Further metrics, as for :func:`fit`.

    Returns:
      A function ``(state, batch) -> metrics`` that counts the real rows of the batch, with the
      state's own parameters (under ``optax.contrib.schedule_free``, pass ``state.to_evaluate()``);
      with
      ``metrics`` it is ``(state, batch) -> (metrics, sums)``, where the sums of a name, added over
      the batches, are for that metric's ``result``.

    Raises:
      TypeError: ``loss`` or ``metrics`` has the wrong type.
      ValueError: there is no loss or metric of a name.
    """
    measures = None
    if metrics is not None:
        resolved = resolve_metrics(metrics)
        measures = tuple((name, _parts(metric.measure)) for name, metric in resolved.items())
    model = pool_before_relu(in_mode(model, train=False))  # the same values, with less work
    return _eval_step(Structure.of(model), _parts(resolve_loss(loss)), measures)


_Parts: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]


def _parts(function: Callable[..., Any]) -> _Parts:
    """Return the parts of a function, which are equal for two equal partials."""
    if isinstance(function, functools.partial):
        parts = function.func, function.args, tuple(sorted(function.keywords.items()))
        try:
            hash(parts)
        except TypeError:  # an option is an array or a list: the function is equal to itself only
            return function, (), ()
        return parts
    return function, (), ()


def _whole(parts: _Parts) -> Callable[..., Any]:
    function, arguments, options = parts
    return functools.partial(function, *arguments, **dict(options))


# The steps below are cached per model structure: evaluating twice compiles once.
@functools.lru_cache(maxsize=64)
def _eval_step(
    structure: Structure, loss: _Parts, measures: tuple[tuple[str, _Parts], ...] | None
) -> EvalStep | MeasuringStep:
    def step(state: TrainState, batch: Batch) -> Any:
        model = nnx.merge(structure.graphdef, state.params, state.statistics)
        logits = call(model, to_float(batch.image), train=False)
        labels, mask = jnp.asarray(batch.label), jnp.asarray(batch.mask)
        metrics = measure(logits, labels, mask, _whole(loss))
        if measures is None:
            return metrics
        logits, labels = to_logits(logits.astype(jnp.float32), labels, _whole(loss))
        return metrics, {name: _whole(parts)(logits, labels, mask) for name, parts in measures}

    return jax.jit(step)


@functools.lru_cache(maxsize=64)
def forward_step(structure: Structure, activation: str) -> jax.stages.Wrapped:
    """Return the jit-compiled inference of a model structure.

    It maps the parameters, the statistics and images to float32 outputs, under an activation of
    :data:`jaxcnn.training.output_activation.ACTIVATIONS`.
    """

    def forward(params: ArrayTree, statistics: ArrayTree, images: jax.Array) -> jax.Array:
        model = nnx.merge(structure.graphdef, params, statistics)
        outputs = check_output(call(model, to_float(images), train=False))
        return ACTIVATIONS[activation](outputs.astype(jnp.float32))

    return jax.jit(forward)

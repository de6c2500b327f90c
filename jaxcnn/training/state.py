"""The state of a training run between two steps, and the metrics of one step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxcnn.modules.parameter_tree import (
    ArrayTree,
    match_dtype,
    params_of,
    statistics_of,
    strong_type,
)
from jaxcnn.training.mixed_precision import LossScale
from jaxcnn.training.moving_average import MovingAverage
from jaxcnn.training.optimizer_update import init_optimizer, params_to_evaluate
from jaxcnn.training.options import StepOptions


class TrainState(NamedTuple):
    """Everything that a training step reads and changes.

    ``init`` of :func:`jaxcnn.make_training` makes the first one.

    Attributes:
      step: int32 number of steps taken.
      params: Parameters: nested dicts of arrays.
      statistics: The model's other arrays, such as running means: nested dicts of arrays.
      optimizer_state: State of the Optax transformation.
      key: PRNG key of the whole run; each step folds its number in.
      ema: Moving average of the weights, or ``None``.
      scale: Loss scale, in float16.
      skipped: int32 number of updates left out, where the step can leave one out.
    """

    step: jax.Array
    params: ArrayTree
    statistics: ArrayTree
    optimizer_state: optax.OptState
    key: jax.Array
    ema: MovingAverage | None = None
    scale: LossScale | None = None
    skipped: jax.Array | None = None

    def averaged(self) -> "TrainState":
        """Return this state with the moving averages in place of the current arrays.

        Raises:
          ValueError: the state has no moving average.
        """
        if self.ema is None:
            raise ValueError(
                "this state has no moving average of the weights: train with ema=0.999, for "
                "example. Received: ema=None"
            )
        current = MovingAverage(self.params, self.statistics)
        params, statistics = jax.tree.map(match_dtype, current, self.ema)
        return self._replace(params=params, statistics=statistics)

    def to_evaluate(self) -> "TrainState":
        """Return this state with the parameters at which the model is evaluated.

        They differ from the current ones under ``optax.contrib.schedule_free`` alone; the result
        is not for further steps.
        """
        params = params_to_evaluate(self.optimizer_state, self.params)
        return self._replace(params=params, optimizer_state=())

    def to_model(self, model: nnx.Module, *, ema: bool = False) -> nnx.Module:
        """Return a module with the structure of `model` that holds this state's arrays.

        Under ``optax.contrib.schedule_free`` they are the averages that it evaluates.

        Args:
          model: The module that was trained, or one of the same structure.
          ema: Whether to take the moving averages of parameters and statistics.

        Raises:
          ValueError: `ema`, and the state has no moving average.
        """
        state = self.averaged() if ema else self.to_evaluate()
        return nnx.merge(nnx.graphdef(model), state.params, state.statistics)


def initial_state(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    options: StepOptions,
) -> TrainState:
    """Return the state before the first step, with copies of the model's arrays."""
    # Copies, because the step donates its state and the model must outlive it.
    arrays = params_of(model), statistics_of(model), key
    params, statistics, key = jax.tree.map(lambda array: jnp.copy(strong_type(array)), arrays)
    return TrainState(
        jnp.zeros((), jnp.int32),
        params,
        statistics,
        init_optimizer(optimizer, params),
        key,
        ema=None if options.ema is None else MovingAverage.create(params, statistics),
        scale=LossScale.create() if options.precision == "float16" else None,
        skipped=None if options.on_nan == "ignore" else jnp.zeros((), jnp.int32),
    )


def inference_state(model: nnx.Module) -> TrainState:
    """Return a state that holds a model's own arrays, to evaluate them; it cannot be trained."""
    zero = jnp.zeros((), jnp.int32)
    return TrainState(zero, params_of(model), statistics_of(model), (), jax.random.key(0))


class Metrics(NamedTuple):
    """Sums over real examples, float32; adding two gives the metrics of both together.

    Attributes:
      loss_sum: Sum of the losses.
      correct: Sum over the examples of the share of their labels that is predicted correctly. With
        one label per example, or shares of the classes, it is the number of examples whose largest
        logit is the label's; in segmentation it is a share of the positions that are not void.
        With bool labels, or under :func:`~jaxcnn.training.binary_cross_entropy`, it is a share of
        classes, predicted where the logit is above 0. NaN where targets are neither, as in
        regression.
      examples: Number of examples.
      finite: Whether the loss and all gradients were finite, bool; ``None`` in evaluation and with
        ``on_nan="ignore"``.
      gradient_norm: Sum over the steps of the global norm of the gradient, before any clipping; 0
        for a step whose gradient is not finite. ``None`` in evaluation.
    """

    loss_sum: jax.Array
    correct: jax.Array
    examples: jax.Array
    finite: jax.Array | None = None
    gradient_norm: jax.Array | None = None

    @property
    def loss(self) -> jax.Array:
        """Mean loss per example."""
        return self.loss_sum / jnp.maximum(self.examples, 1)

    @property
    def accuracy(self) -> jax.Array:
        """Share of labels predicted correctly, in [0, 1], or NaN; see ``correct``."""
        return self.correct / jnp.maximum(self.examples, 1)

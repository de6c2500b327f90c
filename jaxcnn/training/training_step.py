"""The compiled training step, ``(state, batch) -> (state, metrics)``, and its first state."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxcnn.augment.mixing import Mix
from jaxcnn.augment.named_policies import GivenAugment
from jaxcnn.data.drawing import Batch
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.ops.primitives.channels import total
from jaxcnn.other_names import explained
from jaxcnn.runtime import training_options
from jaxcnn.training.forward import Forward, Inputs
from jaxcnn.training.gradient_accumulation import accumulate
from jaxcnn.training.losses import cross_entropy
from jaxcnn.training.measurement import Loss, measure
from jaxcnn.training.named_losses import resolve_loss
from jaxcnn.training.optimizer_update import update_params
from jaxcnn.training.options import StepOptions, show_options
from jaxcnn.training.placement import ONE_DEVICE, Placement
from jaxcnn.training.state import Metrics, TrainState, initial_state

TrainStep: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


class Training(NamedTuple):
    """The two functions of a training, made together as Optax makes its pair.

    Attributes:
      init: Maps the PRNG key of the run to the state before the first step.
      step: The compiled step: maps a state and a batch to the next state and the step's metrics.
        It donates the state: the one passed in cannot be used again.
    """

    init: Callable[[jax.Array], TrainState]
    step: TrainStep


@explained
@show_options(StepOptions)
def make_training(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    *,
    loss: Loss | str = cross_entropy,
    augment: GivenAugment | None = None,
    mix: Mix | None = None,
    steps_per_epoch: int | None = None,
    **options: Any,
) -> Training:
    """Make the first state and the compiled step of a training.

    The step's gradient is that of the mean loss over the real rows of the batch, and only they are
    mixed with each other.

    >>> from jaxcnn.layers import dense, flatten, serial
    >>> model = serial(flatten(), dense(10)).build((8, 8, 1), rngs=nnx.Rngs(0))
    >>> init, step = make_training(model, optax.sgd(0.1), ema=0.999)
    >>> state = init(jax.random.key(0))
    >>> batch = Batch(jnp.zeros((4, 8, 8, 1)), jnp.arange(4), jnp.ones(4, bool))
    >>> state, metrics = step(state, batch)
    >>> int(state.step), bool(metrics.finite)
    (1, True)

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)``. The state
        holds copies of its arrays.
      optimizer: Any Optax transformation, those that ask for the loss or a function included.
      loss: Maps the model's outputs and the labels of a batch to losses ``(batch,)``, or the name
        of a loss of :mod:`jaxcnn.training`, such as ``"focal"``. With `mix`, it receives
        shares of the classes ``(batch, classes)`` instead of labels.
      augment: Maps a key and float images to images of the same shape, or the name of an
        augmentation policy (:func:`jaxcnn.augment.named`), or a list of these.
      mix: Maps a key, float images and one-hot targets ``(batch, classes)`` to mixed images and
        targets, after `augment`: :func:`jaxcnn.augment.mixup` or :func:`jaxcnn.augment.cutmix`. The
        accuracy then counts the class with the largest share.
      steps_per_epoch: Number of steps per epoch, at least 1, for an augmentation that differs from
        epoch to epoch.
      **options: The fields of :class:`~jaxcnn.training.StepOptions`: ``precision``,
        ``accumulate``, ``ema``, ``on_nan``.

    Returns:
      The pair ``(init, step)``.

    Raises:
      TypeError: an argument has the wrong type, or there is no such argument.
      ValueError: an option is out of range, or there is no augmentation policy of that name.
    """
    chosen = StepOptions(**options)
    forward = Forward.of(
        model,
        augment=augment,
        mix=mix,
        steps_per_epoch=steps_per_epoch,
        precision=chosen.precision,
        frozen=getattr(optimizer, "frozen", ()),
    )
    return Training(
        lambda key: initial_state(model, optimizer, key, chosen),
        compile_step(forward, optimizer, resolve_loss(loss), chosen),
    )


def compile_step(
    forward: Forward,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    options: StepOptions,
    placement: Placement = ONE_DEVICE,
) -> TrainStep:
    """Return the compiled step of :func:`make_training`, for states of a placement."""

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        after, metrics = take_step(state, batch)
        return placement.keep_state(after), metrics

    def take_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        _check_state(state, options)
        _check_divides(options.accumulate, batch)
        inputs, model_key = forward.inputs(state, batch)
        gradients, statistics, metrics = compute_gradient(
            forward, loss, state, inputs, model_key, parts=options.accumulate
        )
        params, optimizer_state = update_params(
            optimizer,
            gradients,
            state.optimizer_state,
            state.params,
            value=metrics.loss,
            loss_at=functools.partial(
                _mean_loss, forward, loss, state, inputs, model_key, options.accumulate
            ),
        )
        after = state._replace(
            step=state.step + 1,
            params=params,
            statistics=statistics,
            optimizer_state=optimizer_state,
        )
        if state.ema is not None and options.ema is not None:
            ema = state.ema.update(params, statistics, decay=options.ema, steps=state.step)
            after = after._replace(ema=ema)
        norm = _global_norm(gradients)
        metrics = metrics._replace(gradient_norm=jnp.where(jnp.isfinite(norm), norm, 0))
        if state.scale is None and state.skipped is None:
            return after, metrics
        return _guard(state, after, gradients, metrics, options.on_nan)

    return jax.jit(step, donate_argnums=0, compiler_options=training_options())


def _global_norm(gradients: ArrayTree) -> jax.Array:
    """Return the norm of all numbers, the squares of each array summed by channel first.

    XLA on CPU writes the squares of ``optax.tree.norm`` to memory and sums them on one thread: a
    step of ``letters_cnn`` then takes 37 ms in place of 29.
    """
    squares = [jnp.square(array.astype(jnp.float32)) for array in jax.tree.leaves(gradients)]
    return jnp.sqrt(sum(total(square[None]).sum() for square in squares))


def compute_gradient(
    forward: Forward, loss: Loss, state: TrainState, inputs: Inputs, key: jax.Array, *, parts: int
) -> tuple[ArrayTree, ArrayTree, Metrics]:
    """Return the gradient of the mean loss, the statistics that the model leaves, and metrics.

    Args:
      forward: The options of the step.
      loss: As for :func:`make_training`.
      state: Before the step.
      inputs: Result of :meth:`Forward.inputs`.
      key: Of the model's call.
      parts: In how many parts the batch goes through the model.
    """
    scale = None if state.scale is None else state.scale.value

    def compute(
        inputs: Inputs, statistics: ArrayTree, key: jax.Array, examples: jax.Array | None = None
    ) -> tuple[tuple[ArrayTree, Metrics], ArrayTree]:
        def objective(params: ArrayTree) -> tuple[jax.Array, tuple[ArrayTree, Metrics]]:
            metrics, left = _measured(forward, loss, params, inputs, statistics, key)
            mean = metrics.loss if examples is None else metrics.loss_sum / examples
            return mean if scale is None else mean * scale, (left, metrics)

        gradients, (left, metrics) = jax.grad(objective, has_aux=True)(state.params)
        return (gradients, metrics), left

    if parts == 1:
        (gradients, metrics), statistics = compute(inputs, state.statistics, key)
    else:
        examples = jnp.maximum(inputs.mask.sum(dtype=jnp.float32), 1)
        (gradients, metrics), statistics = accumulate(
            functools.partial(compute, examples=examples),
            inputs,
            state.statistics,
            key,
            parts=parts,
        )
    if scale is not None:
        gradients = jax.tree.map(lambda array: array / scale.astype(array.dtype), gradients)
    return gradients, statistics, metrics


def _measured(
    forward: Forward,
    loss: Loss,
    params: ArrayTree,
    inputs: Inputs,
    statistics: ArrayTree,
    key: jax.Array,
) -> tuple[Metrics, ArrayTree]:
    """Return the metrics of inputs, and the statistics that the model leaves."""
    logits, left = forward.logits(params, statistics, inputs.images, key)
    return measure(logits, inputs.targets, inputs.mask, loss), left


def _mean_loss(
    forward: Forward,
    loss: Loss,
    state: TrainState,
    inputs: Inputs,
    key: jax.Array,
    parts: int,
    params: ArrayTree,
) -> jax.Array:
    """Return the mean loss whose gradient at the state's parameters the step takes."""
    compute = functools.partial(_measured, forward, loss, params)
    if parts == 1:
        metrics, _ = compute(inputs, state.statistics, key)
    else:
        metrics, _ = accumulate(compute, inputs, state.statistics, key, parts=parts)
    return metrics.loss


def _guard(
    before: TrainState, after: TrainState, gradients: ArrayTree, metrics: Metrics, on_nan: str
) -> tuple[TrainState, Metrics]:
    """Return `after`, or the state and metrics that replace it where a number is not finite."""
    loss_is_finite = jnp.isfinite(metrics.loss_sum)
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients)]
    finite = functools.reduce(jnp.logical_and, leaves, loss_is_finite)
    after = _where(finite, after, before._replace(step=after.step))
    failed = ~finite
    if before.scale is not None:
        failed &= ~loss_is_finite | (before.scale.value <= 1)  # a smaller scale does not help
        after = after._replace(scale=before.scale.after(finite))
    if before.skipped is None:
        return after, metrics
    left_out = failed
    if on_nan == "raise":
        left_out |= before.skipped > 0
        after = _where(left_out, before, after)
    else:
        metrics = jax.tree.map(lambda sums: jnp.where(loss_is_finite, sums, 0), metrics)
    after = after._replace(skipped=before.skipped + left_out.astype(jnp.int32))
    return after, metrics._replace(finite=~failed)


def _where(condition: jax.Array, first: TrainState, second: TrainState) -> TrainState:
    return jax.tree.map(functools.partial(jnp.where, condition), first, second)


def _check_state(state: TrainState, options: StepOptions) -> None:
    """Raise an error for a state that another training has made."""
    keeps_ema, counts_skipped = state.ema is not None, state.skipped is not None
    if keeps_ema != (options.ema is not None) or counts_skipped != (options.on_nan != "ignore"):
        raise ValueError(
            "state must be made by the init of the same make_training as the step. Received: a "
            f"state with ema={keeps_ema} and skipped={counts_skipped} for {options}"
        )


def _check_divides(accumulate: int, batch: Batch) -> None:
    size = len(batch.mask)
    if size % accumulate:
        raise ValueError(
            "accumulate must divide the batch size. "
            f"Received: accumulate={accumulate} for a batch of {size} images"
        )

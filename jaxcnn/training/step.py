"""The pure steps of training and evaluation: ``(state, batch) -> (state, metrics)``."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, overload

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.composition import Augment
from jaxcnn.augment.mixing import Mix
from jaxcnn.data.batches import Batch
from jaxcnn.modules import call
from jaxcnn.runtime import training_options
from jaxcnn.training.forward import Forward, Inputs, params_of, statistics_of, to_float
from jaxcnn.training.gradient_accumulation import accumulated
from jaxcnn.training.losses import binary_cross_entropy, cross_entropy
from jaxcnn.training.metrics import Metric, check_metrics, predicted_classes
from jaxcnn.training.mixed_precision import PRECISIONS, LossScale, with_dtype_of
from jaxcnn.training.moving_average import Average

Loss: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]
Arrays: TypeAlias = dict[str, Any]

_ON_NAN = ("ignore", "skip", "raise")


class TrainState(NamedTuple):
    """Everything that a training step reads and changes.

    Attributes:
      step: int32 number of steps taken.
      params: What gradients change: nested dicts of arrays.
      statistics: What else the model keeps, such as running means: nested dicts of arrays.
      optimizer_state: Optax's.
      key: The PRNG key of the whole run; each step folds its number in.
      average: The moving average of the weights, if there is one.
      scale: What the loss is multiplied by, in float16.
      skipped: int32 number of updates left out, where a step may leave one out.
    """

    step: jax.Array
    params: Arrays
    statistics: Arrays
    optimizer_state: optax.OptState
    key: jax.Array
    average: Average | None = None
    scale: LossScale | None = None
    skipped: jax.Array | None = None

    @classmethod
    def create(
        cls,
        model: nnx.Module,
        optimizer: optax.GradientTransformation,
        key: jax.Array,
        *,
        precision: str = "float32",
        average: float | None = None,
        on_nan: str = "ignore",
    ) -> "TrainState":
        """Returns the state before the first step, with copies of the model's arrays.

        Args:
          model: As for :func:`make_train_step`.
          optimizer: An Optax transformation.
          key: The PRNG key of the whole run.
          precision: The step's: float16 needs a scale of the loss.
          average: The step's: whether there is one is what matters here.
          on_nan: The step's: a step that may leave updates out counts them.
        """
        arguments.check_known("precision", str(precision), PRECISIONS)
        arguments.check_known("on_nan", str(on_nan), _ON_NAN)
        # Copies, because the step donates its state and the model must outlive it.
        params, statistics, key = jax.tree.map(
            jnp.copy, (params_of(model), statistics_of(model), key)
        )
        needed = _needed(precision, average, on_nan)
        return cls(
            jnp.zeros((), jnp.int32),
            params,
            statistics,
            optimizer.init(params),
            key,
            average=Average.create(params, statistics) if needed["average"] else None,
            scale=LossScale.create() if needed["scale"] else None,
            skipped=jnp.zeros((), jnp.int32) if needed["skipped"] else None,
        )

    def averaged(self) -> "TrainState":
        """Returns this state with the averages in place of the newest arrays, to evaluate.

        Raises:
          ValueError: the state keeps no average.
        """
        if self.average is None:
            raise ValueError(
                "this state keeps no average of the weights: make it, and the step, with "
                "average=0.999. Received: average=None"
            )
        newest = Average(self.params, self.statistics)
        params, statistics = jax.tree.map(with_dtype_of, newest, self.average)
        return self._replace(params=params, statistics=statistics)

    def to_model(self, model: nnx.Module, *, average: bool = False) -> nnx.Module:
        """Returns a module built like ``model`` that holds this state's arrays.

        Args:
          model: What the state was created from, or a module of the same structure.
          average: Whether they are the moving averages, of parameters and statistics.

        Raises:
          ValueError: ``average``, and the state keeps none.
        """
        state = self.averaged() if average else self
        return nnx.merge(nnx.graphdef(model), state.params, state.statistics)


class Metrics(NamedTuple):
    """Sums over real examples, float32; adding two gives the metrics of both together.

    Attributes:
      loss_sum: Sum of the losses.
      correct: Sum over the examples of the share of their labels that is right. With one label per
        example, or shares of the classes, it is the number of examples whose largest logit is the
        label's; in segmentation it is a share of the positions that are not void. With bool
        labels, or under :func:`~jaxcnn.training.binary_cross_entropy`, it is a share of classes, a
        logit above 0 saying yes. NaN where targets are neither, as in regression.
      examples: Number of examples.
      finite: Whether the loss and all gradients were finite, bool; ``None`` unless asked for.
    """

    loss_sum: jax.Array
    correct: jax.Array
    examples: jax.Array
    finite: jax.Array | None = None

    @property
    def loss(self) -> jax.Array:
        """Mean loss per example."""
        return self.loss_sum / jnp.maximum(self.examples, 1)

    @property
    def accuracy(self) -> jax.Array:
        """Share of examples classified rightly, in [0, 1], or NaN; see ``correct``."""
        return self.correct / jnp.maximum(self.examples, 1)


TrainStep: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep: TypeAlias = Callable[[TrainState, Batch], Metrics]
MeasuringStep: TypeAlias = Callable[[TrainState, Batch], tuple[Metrics, dict[str, Any]]]


def make_train_step(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    *,
    loss: Loss = cross_entropy,
    augment: Augment | str | None = None,
    mix: Mix | None = None,
    steps_per_epoch: int | None = None,
    precision: str = "float32",
    accumulate: int = 1,
    average: float | None = None,
    on_nan: str = "ignore",
) -> TrainStep:
    """Returns the jit-compiled training step of a model.

    The step donates the state: the one passed in cannot be used again. Its gradient is that of
    the mean loss over the real rows of the batch, and only they are mixed with each other.

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)``; only its
        structure is used, the arrays come from the state.
      optimizer: An Optax transformation.
      loss: Maps what the model puts out and labels, of one batch, to losses ``(batch,)``. With
        ``mix`` it is given ``(batch, classes)`` shares of the classes in place of labels.
      augment: Maps a key and float images to images of the same shape, or the name of a recipe
        as :func:`jaxcnn.augment.named` knows it.
      mix: Maps a key, float images and one-hot targets ``(batch, classes)`` to mixed images and
        targets, after ``augment``: :func:`jaxcnn.augment.mixup` or
        :func:`jaxcnn.augment.cutmix`. The accuracy then counts the class with the largest share.
      steps_per_epoch: Where the epochs of the state's steps begin, at least 1: for an
        augmentation that differs from epoch to epoch.
      precision: What the model computes in: ``"float32"``, ``"bfloat16"`` or ``"float16"``, the
        last with a scale of the loss that adapts itself
        (:class:`jaxcnn.training.mixed_precision.LossScale`). Parameters, gradients, the optimizer's
        state, losses and the statistics of normalizations are float32 in each.
      accumulate: In how many parts of equal size the batch goes through the model, one after the
        other, at least 1: less memory, and the same gradient to rounding. Augmentation and mixing
        see the whole batch; dropout draws anew for each part. Batch normalization sees a part at
        a time: it normalizes with the part's statistics and moves the running ones as often.
      average: How much of the moving average of the weights stays at each step in the long run,
        between 0 and 1, such as 0.999 (:class:`~jaxcnn.training.moving_average.Average`);
        ``None`` keeps none. :meth:`TrainState.to_model` and :meth:`TrainState.averaged` give it.
      on_nan: What a loss or gradient that is not finite does. ``"ignore"`` applies it;
        ``"skip"`` leaves the state as it was but for its step and its count of such updates, and
        a loss that is not finite out of the metrics; ``"raise"`` leaves the state, from then on,
        as it was before that step, for who reads the metrics to raise. The last two put
        ``finite`` into the metrics. In float16 an overflow that a smaller scale may cure is left
        out whatever is said here, and counts as finite.

    Returns:
      A function ``(state, batch) -> (state, metrics)``. The state must have been created with the
      same ``precision``, ``average`` and ``on_nan``.

    Raises:
      TypeError: a number is not of its type.
      ValueError: an option is out of its range, or there is no recipe of that name.
    """
    forward = Forward.of(
        model, augment=augment, mix=mix, steps_per_epoch=steps_per_epoch, precision=precision
    )
    arguments.check_integer("accumulate", accumulate, minimum=1)
    if average is not None:
        arguments.check_number("average", average, above=0, below=1)
    arguments.check_known("on_nan", str(on_nan), _ON_NAN)
    needed = _needed(precision, average, on_nan)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        _check_made_alike(state, needed)
        _check_divides(accumulate, batch)
        inputs, model_key = forward.inputs(state, batch)
        gradients, statistics, metrics = gradient(
            forward, loss, state, inputs, model_key, parts=accumulate
        )
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        after = state._replace(
            step=state.step + 1,
            params=params,
            statistics=statistics,
            optimizer_state=optimizer_state,
        )
        if state.average is not None and average is not None:
            after = after._replace(
                average=state.average.after(params, statistics, decay=average, steps=state.step)
            )
        if needed["scale"] or needed["skipped"]:
            return _guarded(state, after, gradients, metrics, on_nan)
        return after, metrics

    return jax.jit(step, donate_argnums=0, compiler_options=training_options())


@overload
def make_eval_step(model: nnx.Module, *, loss: Loss = ..., metrics: None = None) -> EvalStep: ...


@overload
def make_eval_step(
    model: nnx.Module, *, loss: Loss = ..., metrics: Mapping[str, Metric]
) -> MeasuringStep: ...


def make_eval_step(
    model: nnx.Module,
    *,
    loss: Loss = cross_entropy,
    metrics: Mapping[str, Metric] | None = None,
) -> EvalStep | MeasuringStep:
    """Returns the jit-compiled evaluation step of a model.

    Args:
      model: As for :func:`make_train_step`.
      loss: Maps what the model puts out and labels, of one batch, to losses ``(batch,)``.
      metrics: What else to measure, by name.

    Returns:
      A function ``(state, batch) -> metrics`` that counts the real rows of the batch; with
      ``metrics`` it is ``(state, batch) -> (metrics, sums)``, where the sums of a name, added over
      the batches, are for that metric's ``result``.

    Raises:
      TypeError: ``metrics`` does not map names to metrics.
    """
    measures = None
    if metrics is not None:
        check_metrics(metrics)
        measures = tuple((name, _parts(metric.measure)) for name, metric in metrics.items())
    return _eval_step(nnx.graphdef(model), _parts(loss), measures)


_Parts: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]


def _parts(function: Callable[..., Any]) -> _Parts:
    """Returns what a function is made of, which is equal for two partials that are made alike."""
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


# The steps below are kept per model structure: evaluating twice compiles once.
@functools.lru_cache(maxsize=64)
def _eval_step(
    graphdef: Any, loss: _Parts, measures: tuple[tuple[str, _Parts], ...] | None
) -> EvalStep | MeasuringStep:
    def step(state: TrainState, batch: Batch) -> Any:
        model = nnx.merge(graphdef, state.params, state.statistics)
        logits = call(model, to_float(batch.image))
        labels, mask = jnp.asarray(batch.label), jnp.asarray(batch.mask)
        metrics = _measure(logits, labels, mask, _whole(loss))
        if measures is None:
            return metrics
        logits = logits.astype(jnp.float32)
        return metrics, {name: _whole(parts)(logits, labels, mask) for name, parts in measures}

    return jax.jit(step)


@functools.lru_cache(maxsize=64)
def forward_step(graphdef: Any) -> Callable[[Arrays, Arrays, Any], jax.Array]:
    """Returns the jit-compiled inference of a model structure: images to outputs."""

    def forward(params: Arrays, statistics: Arrays, images: jax.Array) -> jax.Array:
        return call(nnx.merge(graphdef, params, statistics), to_float(images))

    return jax.jit(forward)


def gradient(
    forward: Forward, loss: Loss, state: TrainState, inputs: Inputs, key: jax.Array, *, parts: int
) -> tuple[Arrays, Arrays, Metrics]:
    """Returns the gradient of the mean loss, the statistics that the model leaves, and metrics.

    Args:
      forward: The options of the step.
      loss: As for :func:`make_train_step`.
      state: Before the step.
      inputs: What :meth:`Forward.inputs` gives.
      key: Of the model's call.
      parts: In how many parts the batch goes through the model.
    """
    scale = None if state.scale is None else state.scale.value

    def compute(
        inputs: Inputs, statistics: Arrays, key: jax.Array, examples: jax.Array | None = None
    ) -> tuple[tuple[Arrays, Metrics], Arrays]:
        def objective(params: Arrays) -> tuple[jax.Array, tuple[Arrays, Metrics]]:
            logits, left = forward.logits(params, statistics, inputs.images, key)
            metrics = _measure(logits, inputs.targets, inputs.mask, loss)
            mean = metrics.loss if examples is None else metrics.loss_sum / examples
            return mean if scale is None else mean * scale, (left, metrics)

        gradients, (left, metrics) = jax.grad(objective, has_aux=True)(state.params)
        return (gradients, metrics), left

    if parts == 1:
        (gradients, metrics), statistics = compute(inputs, state.statistics, key)
    else:
        examples = jnp.maximum(inputs.mask.sum(dtype=jnp.float32), 1)
        (gradients, metrics), statistics = accumulated(
            functools.partial(compute, examples=examples),
            inputs,
            state.statistics,
            key,
            parts=parts,
        )
    if scale is not None:
        gradients = jax.tree.map(lambda array: array / scale.astype(array.dtype), gradients)
    return gradients, statistics, metrics


def _guarded(
    before: TrainState, after: TrainState, gradients: Arrays, metrics: Metrics, on_nan: str
) -> tuple[TrainState, Metrics]:
    """Returns ``after``, or what a step does instead where a number is not finite."""
    loss_is_finite = jnp.isfinite(metrics.loss_sum)
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients)]
    finite = functools.reduce(jnp.logical_and, leaves, loss_is_finite)
    after = _where(finite, after, before._replace(step=after.step))
    failed = ~finite
    if before.scale is not None:
        failed &= ~loss_is_finite | (before.scale.value <= 1)  # what no smaller scale cures
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


def _needed(precision: str, average: float | None, on_nan: str) -> dict[str, bool]:
    """Returns what a state keeps for these options of a step, and what it does not."""
    return {
        "average": average is not None,
        "scale": str(precision) == "float16",
        "skipped": str(on_nan) != "ignore",
    }


def _check_made_alike(state: TrainState, needed: dict[str, bool]) -> None:
    options = {"average": "average", "scale": "precision", "skipped": "on_nan"}
    for name, is_needed in needed.items():
        if is_needed != (getattr(state, name) is not None):
            has, lacks = ("step", "state") if is_needed else ("state", "step")
            raise ValueError(
                f"TrainState.create and make_train_step must be given the same {options[name]}: "
                f"the {has} keeps {name}, the {lacks} does not. Received: {name}="
                f"{getattr(state, name)}"
            )


def _check_divides(accumulate: int, batch: Batch) -> None:
    size = len(batch.mask)
    if size % accumulate:
        raise ValueError(
            "accumulate must divide the batch size. "
            f"Received: accumulate={accumulate} for a batch of {size} images"
        )


def _measure(
    logits: jax.Array, targets: jax.Array, mask: jax.Array | np.ndarray, loss: Loss
) -> Metrics:
    mask = jnp.asarray(mask)
    losses = loss(logits.astype(jnp.float32), targets)
    if losses.shape != mask.shape:
        raise ValueError(
            f"loss must give one value per example, (batch,) = {mask.shape}: the step takes the "
            f"mean itself. Received: shape {losses.shape}"
        )
    return Metrics(
        jnp.sum(jnp.where(mask, losses, 0.0)),
        jnp.sum(jnp.where(mask, _share_right(logits, targets, loss), 0.0)),
        jnp.sum(mask, dtype=jnp.float32),
    )


def _share_right(logits: jax.Array, targets: jax.Array, loss: Loss) -> jax.Array:
    """Returns the share of each example's labels that is right, NaN where they are no labels."""
    same_shape, counted = targets.shape == logits.shape, jnp.ones(targets.shape, bool)
    yes_or_no = targets.dtype == jnp.bool_ or getattr(loss, "func", loss) is binary_cross_entropy
    if same_shape and yes_or_no:
        right = (logits > 0) == (targets.astype(jnp.float32) > 0.5)
        right = (right & ~jnp.isnan(logits)).astype(jnp.float32)
    elif targets.shape == logits.shape[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        targets = targets.astype(jnp.int32)
        counted = (targets >= 0) & (targets < logits.shape[-1])
        right = (counted & (predicted_classes(logits) == targets)).astype(jnp.float32)
    elif same_shape and targets.ndim > 1:
        right = (predicted_classes(logits) == jnp.argmax(targets, axis=-1)).astype(jnp.float32)
        # Targets of a regression have this shape too; shares add up to 1, in bfloat16 to 1 %.
        shares = targets.astype(jnp.float32)
        is_share = (shares.min(axis=-1) >= 0) & (jnp.abs(shares.sum(axis=-1) - 1) < 0.01)
        right, counted = jnp.where(is_share, right, jnp.nan), jnp.ones(right.shape, bool)
    else:
        return jnp.full(len(targets), jnp.nan)
    positions = tuple(range(1, right.ndim))
    labels = jnp.maximum(counted.sum(axis=positions, dtype=jnp.float32), 1)
    return right.sum(axis=positions) / labels

"""The pure steps of training and evaluation: ``(state, batch) -> (state, metrics)``."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import shapes
from jaxcnn.compilation import training_options
from jaxcnn.data.augment.composition import Augment, apply
from jaxcnn.data.augment.mixing import Mix
from jaxcnn.data.augment.recipes import recipe
from jaxcnn.data.batches import Batch
from jaxcnn.modules import call
from jaxcnn.training.objective import cross_entropy

Loss: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]
Arrays: TypeAlias = dict[str, Any]


class TrainState(NamedTuple):
    """Everything that a training step reads and changes.

    Attributes:
      step: int32 number of steps taken.
      params: What gradients change: nested dicts of arrays.
      statistics: What else the model keeps, such as running means: nested dicts of arrays.
      optimizer_state: Optax's.
      key: The PRNG key of the whole run; each step folds its number in.
    """

    step: jax.Array
    params: Arrays
    statistics: Arrays
    optimizer_state: optax.OptState
    key: jax.Array

    @classmethod
    def create(
        cls, model: nnx.Module, optimizer: optax.GradientTransformation, key: jax.Array
    ) -> "TrainState":
        """Returns the state before the first step, with copies of the model's arrays."""
        # Copies, because the step donates its state and the model must outlive it.
        params, statistics, key = jax.tree.map(jnp.copy, (_params(model), _statistics(model), key))
        return cls(jnp.zeros((), jnp.int32), params, statistics, optimizer.init(params), key)

    def to_model(self, model: nnx.Module) -> nnx.Module:
        """Returns a module built like ``model`` that holds this state's arrays."""
        return nnx.merge(nnx.graphdef(model), self.params, self.statistics)


class Metrics(NamedTuple):
    """Sums over real examples, float32; adding two gives the metrics of both together.

    Attributes:
      loss_sum: Sum of the losses.
      correct: Number of examples whose largest logit is the label's.
      examples: Number of examples.
    """

    loss_sum: jax.Array
    correct: jax.Array
    examples: jax.Array

    @property
    def loss(self) -> jax.Array:
        """Mean loss per example."""
        return self.loss_sum / jnp.maximum(self.examples, 1)

    @property
    def accuracy(self) -> jax.Array:
        """Share of examples classified rightly, in [0, 1]."""
        return self.correct / jnp.maximum(self.examples, 1)


TrainStep: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep: TypeAlias = Callable[[TrainState, Batch], Metrics]


def make_train_step(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    *,
    loss: Loss = cross_entropy,
    augment: Augment | str | None = None,
    mix: Mix | None = None,
    steps_per_epoch: int | None = None,
) -> TrainStep:
    """Returns the jit-compiled training step of a model.

    The step donates the state: the one passed in cannot be used again. Its gradient is that of
    the mean loss over the real rows of the batch, and only they are mixed with each other.

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)``; only its
        structure is used, the arrays come from the state.
      optimizer: An Optax transformation.
      loss: Maps logits ``(batch, classes)`` and labels ``(batch,)`` to losses ``(batch,)``. With
        ``mix`` it is given ``(batch, classes)`` shares of the classes in place of labels.
      augment: Maps a key and float images to images of the same shape, or the name of a recipe
        as :func:`jaxcnn.data.recipe` knows it.
      mix: Maps a key, float images and one-hot targets ``(batch, classes)`` to mixed images and
        targets, after ``augment``: :func:`jaxcnn.data.mixup` or :func:`jaxcnn.data.cutmix`. The
        accuracy then counts the class with the largest share.
      steps_per_epoch: Where the epochs of the state's steps begin, at least 1: for an
        augmentation that differs from epoch to epoch.

    Returns:
      A function ``(state, batch) -> (state, metrics)``.

    Raises:
      TypeError: ``steps_per_epoch`` is not a whole number.
      ValueError: there is no such recipe, or ``steps_per_epoch`` is below 1.
    """
    graphdef = nnx.graphdef(model)
    if isinstance(augment, str):
        augment = recipe(augment)
    if steps_per_epoch is not None:
        shapes.whole("steps_per_epoch", steps_per_epoch, least=1)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        step_key = jax.random.fold_in(state.key, state.step)
        augment_key, model_key, mix_key = jax.random.split(step_key, 3)
        images = to_float(batch.image)
        if augment is not None:
            epoch = None if steps_per_epoch is None else state.step // steps_per_epoch
            images = apply(augment, augment_key, images, epoch=epoch)

        def forward(params: Arrays, images: jax.Array) -> tuple[jax.Array, Arrays]:
            merged = nnx.merge(graphdef, params, state.statistics)
            logits = call(merged, images, train=True, key=model_key)
            return logits, _statistics(merged)

        targets = jnp.asarray(batch.label)
        if mix is not None:
            logits, _ = jax.eval_shape(forward, state.params, images)
            targets = jax.nn.one_hot(targets, logits.shape[-1])
            rows = _real_rows(jnp.asarray(batch.mask))
            images, targets = mix(mix_key, images[rows], targets[rows])

        def objective(params: Arrays) -> tuple[jax.Array, tuple[Arrays, Metrics]]:
            logits, statistics = forward(params, images)
            metrics = _measure(logits, targets, batch.mask, loss)
            return metrics.loss, (statistics, metrics)

        gradients, (statistics, metrics) = jax.grad(objective, has_aux=True)(state.params)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, statistics, optimizer_state, state.key), metrics

    return jax.jit(step, donate_argnums=0, compiler_options=training_options())


def make_eval_step(model: nnx.Module, *, loss: Loss = cross_entropy) -> EvalStep:
    """Returns the jit-compiled evaluation step of a model.

    Args:
      model: As for :func:`make_train_step`.
      loss: Maps logits ``(batch, classes)`` and labels ``(batch,)`` to losses ``(batch,)``.

    Returns:
      A function ``(state, batch) -> metrics`` that counts the real rows of the batch.
    """
    return _eval_step(nnx.graphdef(model), loss)


# The steps below are kept per model structure: evaluating twice compiles once.
@functools.lru_cache(maxsize=64)
def _eval_step(graphdef: Any, loss: Loss) -> EvalStep:
    def step(state: TrainState, batch: Batch) -> Metrics:
        model = nnx.merge(graphdef, state.params, state.statistics)
        logits = call(model, to_float(batch.image))
        return _measure(logits, jnp.asarray(batch.label), batch.mask, loss)

    return jax.jit(step)


@functools.lru_cache(maxsize=64)
def forward_step(graphdef: Any) -> Callable[[Arrays, Arrays, Any], jax.Array]:
    """Returns the jit-compiled inference of a model structure: images to outputs."""

    def forward(params: Arrays, statistics: Arrays, images: jax.Array) -> jax.Array:
        return call(nnx.merge(graphdef, params, statistics), to_float(images))

    return jax.jit(forward)


def to_float(images: jax.Array | np.ndarray) -> jax.Array:
    """Returns uint8 pixels divided by 255; floating-point images as they are.

    It runs on the device, so that what travels there is a quarter of the size.

    >>> float(to_float(jnp.array(255, jnp.uint8)))
    1.0
    """
    images = jnp.asarray(images)
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


# Plain dicts go through jit two to three times faster than nnx.State, and merging a State under a
# gradient is an error.
def _params(model: nnx.Module) -> Arrays:
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


def _statistics(model: nnx.Module) -> Arrays:
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def _real_rows(mask: jax.Array) -> jax.Array:
    """Returns the number of a row for each: its own if it is real, else one of the real ones."""
    order = jnp.argsort(~mask)  # the real rows first
    others = order[jnp.arange(len(mask)) % jnp.maximum(mask.sum(), 1)]
    return jnp.where(mask, jnp.arange(len(mask)), others)


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
    labels = targets if targets.ndim == 1 else jnp.argmax(targets, axis=-1)
    right = jnp.argmax(logits, axis=-1) == labels
    return Metrics(
        jnp.sum(jnp.where(mask, losses, 0.0)),
        jnp.sum(right & mask, dtype=jnp.float32),
        jnp.sum(mask, dtype=jnp.float32),
    )

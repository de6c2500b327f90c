"""Training, evaluation and prediction over a whole data set."""

import functools
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import modules, shapes
from jaxcnn.data.augment.composition import Augment
from jaxcnn.data.augment.mixing import Mix
from jaxcnn.data.batches import batches
from jaxcnn.data.dataset import Dataset, Images, check_images
from jaxcnn.training.forward import to_float
from jaxcnn.training.metrics import Metric
from jaxcnn.training.objective import cross_entropy
from jaxcnn.training.progress import Progress
from jaxcnn.training.step import (
    EvalStep,
    Loss,
    MeasuringStep,
    Metrics,
    TrainState,
    forward_step,
    make_eval_step,
    make_train_step,
)

# The host prepares so many steps ahead of the device: enough to keep it busy, few enough that the
# batches in flight need little memory and that what is shown is what happens.
_STEPS_AHEAD = 2


class Epoch(NamedTuple):
    """One row of a run's history; accuracies are shares in [0, 1]."""

    epoch: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class FitResult(NamedTuple):
    """What training gives back.

    Attributes:
      model: A module like the one passed in, with the trained parameters.
      history: One row per epoch.
      state: The state after the last step, to go on with.
    """

    model: nnx.Module
    history: tuple[Epoch, ...]
    state: TrainState


class Evaluation(NamedTuple):
    """Metrics over a whole data set, every image counted once.

    Attributes:
      loss: Mean loss per example.
      accuracy: Share of examples classified rightly, in [0, 1].
      examples: Number of examples.
      metrics: The results of the metrics that were asked for, by name.
    """

    loss: float
    accuracy: float
    examples: int
    metrics: dict[str, Any]


def fit(
    model: nnx.Module,
    data: Dataset,
    *,
    validation: Dataset | None = None,
    epochs: int = 20,
    batch_size: int = 64,
    optimizer: optax.GradientTransformation | None = None,
    learning_rate: float | None = None,
    loss: Loss = cross_entropy,
    augment: Augment | str | None = None,
    mix: Mix | None = None,
    balanced: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> FitResult:
    """Trains a model and returns it trained; the one passed in stays as it is.

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)`` that maps
        ``(batch, H, W, C)`` to logits ``(batch, classes)``.
      data: What to train on.
      validation: What to evaluate on after each epoch.
      epochs: Passes over the data, at least 1.
      batch_size: Images per step, from 1 to the size of the data.
      optimizer: An Optax transformation; ``None`` means Adam under a one-cycle learning rate
        (Smith and Topin, 2018), which rises to its peak and falls to nearly 0 by the last step.
      learning_rate: The peak of that cycle; ``None`` means 0.003. It cannot be given together
        with ``optimizer``, which has its own.
      loss: Maps logits ``(batch, classes)`` and labels ``(batch,)`` to losses ``(batch,)``; with
        ``mix``, in training, shares of the classes ``(batch, classes)`` in place of labels.
      augment: Maps a key and float images to changed images of the same shape, inside the
        step, such as :func:`jaxcnn.data.random_shift`, or the name of a recipe, such as
        ``"cifar"``; :func:`jaxcnn.data.recipe_names` lists them.
      mix: Mixes images with others of the batch, and their labels alike, after ``augment``:
        :func:`jaxcnn.data.mixup` or :func:`jaxcnn.data.cutmix`.
      balanced: Whether an epoch shows every class equally often, as
        :func:`jaxcnn.data.balanced_order` draws them.
      seed: Decides the order of the images and all randomness of the training, at least 0.
      progress: Whether to show progress and a line per epoch.

    Returns:
      The trained model, the history, and the last state.

    Raises:
      TypeError: an argument is not of its type.
      ValueError: an argument is out of its range, or the model does not fit the data.
    """
    epochs = shapes.whole("epochs", epochs, least=1)
    batch_size = shapes.whole("batch_size", batch_size, least=1)
    seed = shapes.whole("seed", seed, least=0)
    if batch_size > len(data):
        raise ValueError(
            "batch_size must be at most the number of images. "
            f"Received: batch_size={batch_size} for {len(data)} images"
        )
    steps = -(-len(data) // batch_size)
    optimizer = _optimizer(optimizer, learning_rate, epochs * steps)
    _check_fits(model, data)
    if validation is not None:
        _check_fits(model, validation)

    state = TrainState.create(model, optimizer, jax.random.key(seed))
    train_step = make_train_step(
        model, optimizer, loss=loss, augment=augment, mix=mix, steps_per_epoch=steps
    )
    eval_step = make_eval_step(model, loss=loss)
    history = []
    with Progress(epochs=epochs, steps_per_epoch=steps, enabled=progress) as display:
        for epoch in range(epochs):
            started = time.monotonic()
            measured = []
            drawn = batches(data, batch_size, seed=seed, epoch=epoch, balanced=balanced)
            for step, batch in enumerate(drawn):
                state, metrics = train_step(state, batch)
                measured.append(metrics)
                done = measured[-1 - min(step, _STEPS_AHEAD)]
                display.step(epoch, step, batch_size, jax.block_until_ready(done))
            trained = _total(measured)
            seconds = time.monotonic() - started
            row = Epoch(epoch + 1, trained.loss, trained.accuracy, len(data) / seconds, seconds)
            if validation is not None:
                held_out = _evaluate(eval_step, state, validation, batch_size)
                row = row._replace(
                    validation_loss=held_out.loss, validation_accuracy=held_out.accuracy
                )
            history.append(row)
            display.line(_line(row, epochs))
    return FitResult(state.to_model(model), tuple(history), state)


def evaluate(
    model: nnx.Module,
    data: Dataset,
    *,
    batch_size: int = 256,
    loss: Loss = cross_entropy,
    metrics: Mapping[str, Metric] | None = None,
) -> Evaluation:
    """Returns mean loss and accuracy over the whole data set, every image counted once.

    Args:
      model: As for :func:`fit`.
      data: What to evaluate on.
      batch_size: Images per step, at least 1; the result does not depend on it.
      loss: Maps logits ``(batch, classes)`` and labels ``(batch,)`` to losses ``(batch,)``.
      metrics: What else to measure, by name, such as ``{"top-5": training.top_k(5)}``; the
        results stand in the evaluation's ``metrics``.

    Raises:
      TypeError: an argument is not of its type.
      ValueError: ``batch_size`` is below 1, or the model does not fit the data.
    """
    batch_size = shapes.whole("batch_size", batch_size, least=1)
    metrics = {} if metrics is None else metrics
    step = make_eval_step(model, loss=loss, metrics=metrics)
    _check_fits(model, data)
    state = TrainState.create(model, optax.identity(), jax.random.key(0))
    return _evaluate(step, state, data, batch_size, metrics)


def predict(model: nnx.Module, images: Images, *, batch_size: int = 256) -> np.ndarray:
    """Returns the probability of each class for each image: the softmax of the logits.

    Args:
      model: As for :func:`fit`.
      images: ``(N, H, W, C)``, uint8 pixels or floating-point values that are used as they are.
      batch_size: Images per step, at least 1.

    Returns:
      ``(N, classes)`` float32; each row sums to 1.

    Raises:
      TypeError: the images are not of their type.
      ValueError: ``batch_size`` is below 1, or the images do not fit the model.
    """
    batch_size = shapes.whole("batch_size", batch_size, least=1)
    images = check_images(images)
    classes = _output_shape(model, images)[-1]
    state = TrainState.create(model, optax.identity(), jax.random.key(0))
    forward = forward_step(nnx.graphdef(model))
    # Short of a full batch the last one is filled up, so that one program serves all.
    size = min(batch_size, max(len(images), 1))
    outputs = [np.zeros((0, classes), np.float32)]
    for start in range(0, len(images), size):
        rows = np.asarray(images[start : start + size])
        filled = np.resize(rows, (size, *rows.shape[1:]))
        logits = forward(state.params, state.statistics, filled)
        outputs.append(np.asarray(jax.nn.softmax(logits.astype(np.float32)))[: len(rows)])
    return np.concatenate(outputs)


def _optimizer(
    optimizer: optax.GradientTransformation | None, learning_rate: float | None, steps: int
) -> optax.GradientTransformation:
    if optimizer is not None:
        if learning_rate is not None:
            raise ValueError(
                "learning_rate belongs to the default optimizer; give your own optimizer its "
                f"rate itself. Received: learning_rate={learning_rate!r} and an optimizer"
            )
        return optimizer
    peak = 3e-3 if learning_rate is None else learning_rate
    if isinstance(peak, bool) or not isinstance(peak, int | float):
        raise TypeError(f"learning_rate must be a number. Received: learning_rate={peak!r}")
    if not 0 < peak < float("inf"):
        raise ValueError(f"learning_rate must be above 0. Received: learning_rate={peak!r}")
    return optax.adam(optax.cosine_onecycle_schedule(steps, peak))


def _output_shape(model: nnx.Module, images: Images) -> tuple[int, ...]:
    """Returns the model's output shape for one of these images, found by abstract evaluation."""
    if not isinstance(model, nnx.Module):
        raise TypeError(
            "model must be an nnx.Module, as layer.build(input_shape, rngs=nnx.Rngs(0)) gives. "
            f"Received: {model!r}"
        )
    graphdef, state = nnx.split(model)

    def forward(state: Any, images: jax.Array) -> jax.Array:
        return modules.call(nnx.merge(graphdef, state), to_float(images))

    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    try:
        return jax.eval_shape(forward, state, one).shape
    except ValueError as error:
        if images.ndim != 3:
            raise
        raise ValueError(f"{error} If this is one image, use images[None].") from error


def _check_fits(model: nnx.Module, data: Dataset) -> None:
    shape = _output_shape(model, data.images)
    if len(shape) != 2 or shape[1] < len(data.class_names):
        raise ValueError(
            f"the model must map images to (batch, classes) with at least {len(data.class_names)} "
            f"classes, as the data has. Received: {shape[1:]} for each image"
        )


def _evaluate(
    step: EvalStep | MeasuringStep,
    state: TrainState,
    data: Dataset,
    batch_size: int,
    metrics: Mapping[str, Metric] | None = None,
) -> Evaluation:
    total: Any = None
    waiting: deque[Any] = deque()
    for batch in batches(data, batch_size):
        waiting.append(step(state, batch))
        if len(waiting) > _STEPS_AHEAD:
            total = _add(total, waiting.popleft())
    total = functools.reduce(_add, waiting, total)
    if metrics is None:
        return _evaluation(total, {})
    measured, sums = total
    return _evaluation(measured, {name: m.result(sums[name]) for name, m in metrics.items()})


def _add(total: Any, measured: Any) -> Any:
    """Adds what a step measured to the total, on the host, where no count is too large."""

    def wide(array: jax.Array) -> np.ndarray:
        whole = jnp.issubdtype(array.dtype, jnp.integer)
        return np.asarray(array).astype(np.int64 if whole else np.float64)

    widened = jax.tree.map(wide, measured)
    return widened if total is None else jax.tree.map(np.add, total, widened)


def _total(measured: list[Metrics]) -> Evaluation:
    """Adds the metrics up; the one place where the host waits for the device."""
    sums = np.array([metrics[:3] for metrics in jax.device_get(measured)], np.float64)
    return _evaluation(Metrics(*sums.sum(axis=0)), {})


def _evaluation(measured: Metrics, results: dict[str, Any]) -> Evaluation:
    losses, correct, examples = measured[:3]
    return Evaluation(float(losses / examples), float(correct / examples), int(examples), results)


def _line(row: Epoch, epochs: int) -> str:
    text = f"epoch {row.epoch}/{epochs}  {row.images_per_second:,.0f} images/s  "
    text += f"loss {row.loss:.4f}  accuracy {row.accuracy:.2%}"
    if row.validation_accuracy is not None:
        text += f"  validation loss {row.validation_loss:.4f}"
        text += f"  accuracy {row.validation_accuracy:.2%}"
    return text

"""Training a model on a data set, in one call."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.composition import Augment
from jaxcnn.augment.mixing import Mix
from jaxcnn.data.batches import steps_per_epoch
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.training.callbacks import history_csv
from jaxcnn.training.evaluation import check_fits
from jaxcnn.training.events import Callback, EpochEnded, Event
from jaxcnn.training.forward import Forward
from jaxcnn.training.history import Epoch, Monitor, is_over
from jaxcnn.training.interruption import Interruption
from jaxcnn.training.loop import Loop
from jaxcnn.training.losses import cross_entropy
from jaxcnn.training.metrics import Metric, check_metrics
from jaxcnn.training.nan_diagnosis import first_bad_value
from jaxcnn.training.progress_bar import Progress
from jaxcnn.training.run_folder import Position, RunFolder, described, told
from jaxcnn.training.step import Loss, TrainState, make_eval_step, make_train_step


class FitResult(NamedTuple):
    """What training gives back.

    Attributes:
      model: A module like the one passed in, with the trained parameters: of the last epoch, or
        the best with ``restore_best``; their moving averages where an average is kept.
      history: One row per epoch.
      state: The state after the last step, to go on with.
    """

    model: nnx.Module
    history: tuple[Epoch, ...]
    state: TrainState


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
    precision: str = "float32",
    accumulate: int = 1,
    average: float | None = None,
    on_nan: str = "raise",
    metrics: Mapping[str, Metric] | None = None,
    monitor: str | Monitor | None = None,
    patience: int | None = None,
    min_improvement: float = 0.0,
    restore_best: bool = False,
    run: str | Path | None = None,
    checkpoint_every: int | None = None,
    keep_best: int | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    progress: bool = True,
) -> FitResult:
    """Trains a model and returns it trained; the one passed in stays as it is.

    With ``run`` the training survives: called again with the same arguments after whatever ended
    it, it goes on from its last checkpoint, to the same parameters and history as if nothing had
    been, bit for bit on CPU. Ctrl-C and SIGTERM save first; a second one ends the process at once.

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)`` that maps
        ``(batch, H, W, C)`` to what the labels need: logits ``(batch, classes)`` or ``(batch,
        *spatial, classes)``, or numbers of the labels' own shape.
      data: What to train on.
      validation: What to evaluate on after each epoch.
      epochs: Passes over the data, at least 1.
      batch_size: Images per step, from 1 to the size of the data.
      optimizer: An Optax transformation; ``None`` means Adam under a one-cycle learning rate
        (Smith and Topin, 2018), which rises to its peak and falls to nearly 0 by the last step.
      learning_rate: The peak of that cycle; ``None`` means 0.003. It cannot be given together
        with ``optimizer``, which has its own.
      loss: Maps what the model puts out and labels, of one batch, to losses ``(batch,)``; with
        ``mix``, in training, shares of the classes ``(batch, classes)`` in place of labels.
      augment: Maps a key and float images to changed images of the same shape, inside the
        step, such as :func:`jaxcnn.augment.random_shift`, or the name of a recipe, such as
        ``"cifar"``; :func:`jaxcnn.augment.names` lists them. Labels stay as they are.
      mix: Mixes images with others of the batch, and their labels alike, after ``augment``:
        :func:`jaxcnn.augment.mixup` or :func:`jaxcnn.augment.cutmix`.
      balanced: Whether an epoch shows every class equally often, as
        :func:`jaxcnn.data.balanced_order` draws them.
      precision: As for :func:`make_train_step`.
      accumulate: As for :func:`make_train_step`; it divides ``batch_size``.
      average: As for :func:`make_train_step`; the averages are validated beside the weights.
      on_nan: As for :func:`make_train_step`; ``"raise"`` ends the training with an error that
        names the step and the first layer whose numbers are not finite.
      metrics: What else to measure on the held-out images, by name, such as
        ``{"top-5": training.top_k(5)}``; of the averages, if they are kept.
      monitor: What makes an epoch the best: a number of the history, such as
        ``"validation_accuracy"``, or a :class:`~jaxcnn.training.Monitor`. ``None`` means a loss:
        the averages' on the held-out images, the weights' on them, or that of the training,
        whichever there is first.
      patience: Training stops when so many epochs brought no better ``monitor``, at least 1.
      min_improvement: By how much ``monitor`` must be better to count for ``patience``, at least 0.
      restore_best: Whether to return the best epoch's model in place of the last's.
      run: The folder for checkpoints and ``history.csv``, gone on with if it is there.
      checkpoint_every: Saves after every so many steps of an epoch, at least 1, besides the ends
        of epochs. Those are all saved, unless saving took more than a fiftieth of the time.
      keep_best: How many of the best epochs' checkpoints are kept besides the two newest of all,
        at least 1; ``None`` means 1.
      callbacks: Functions of one event, which are told what happens; see
        :mod:`jaxcnn.training.events`.
      seed: Decides the order of the images and all randomness of the training, at least 0.
      progress: Whether to show progress and a line per epoch.

    Returns:
      The trained model, the history, and the last state.

    Raises:
      FloatingPointError: a loss or gradient was not finite.
      OSError: ``run`` cannot be written to.
      TypeError: an argument is not of its type.
      ValueError: an argument is out of its range, or does not go with another; the model does not
        fit the data; ``run`` was begun with other arguments, is damaged, or is in use.
    """
    epochs = arguments.check_integer("epochs", epochs, minimum=1)
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    seed = arguments.check_integer("seed", seed, minimum=0)
    _check_dataset("data", data)
    if validation is not None:
        _check_dataset("validation", validation)
    _check_batch_size(batch_size, accumulate, data)
    metrics = {} if metrics is None else metrics
    watched = _monitor(monitor, validation, average, metrics)
    _check_stopping(monitor, patience, restore_best, validation)
    min_improvement = arguments.check_number("min_improvement", min_improvement, minimum=0)
    if min_improvement > 0 and patience is None:
        raise ValueError(
            "min_improvement says what patience waits for, and there is none. "
            f"Received: min_improvement={min_improvement}"
        )
    _check_saving(run, checkpoint_every, keep_best)
    steps = steps_per_epoch(data, batch_size)
    default_rate = None if optimizer is not None else _peak(learning_rate)
    optimizer = _optimizer(optimizer, learning_rate, epochs * steps)
    check_fits(model, data)
    if validation is not None:
        check_fits(model, validation)
        _check_classes(data, validation)
    if mix is not None:
        check_class_per_image(data.labels, "mix")
    _check_default_loss(loss, data)

    route: dict[str, Any] = {"augment": augment, "mix": mix, "precision": precision}
    guards: dict[str, Any] = {"average": average, "on_nan": on_nan}
    stopping: dict[str, Any] = {"patience": patience, "min_improvement": min_improvement}
    train_step = make_train_step(
        model, optimizer, loss=loss, accumulate=accumulate, steps_per_epoch=steps, **route, **guards
    )
    first = Position(
        TrainState.create(model, optimizer, jax.random.key(seed), precision=precision, **guards)
    )
    forward = Forward.of(model, steps_per_epoch=steps, **route)
    listeners: list[Callback] = [*callbacks, *([Progress()] if progress else [])]
    best = _Best(watched)
    if restore_best and run is None:
        listeners.append(best)

    with ExitStack() as opened:
        folder, interruption = None, Interruption()
        if run is not None:
            options = route | guards | stopping | described(model) | {
                "seed": seed, "batch_size": batch_size, "accumulate": accumulate, "loss": loss,
                "balanced": balanced, "monitor": watched.metric, "better": watched.better,
                "metrics": tuple(metrics),
                "optimizer": "given" if default_rate is None else f"Adam({default_rate})",
                # The default learning rate follows the number of epochs; one's own may not.
                "epochs": "any" if default_rate is None else epochs,
                "data": data.fingerprint(),
                "validation": validation and validation.fingerprint(),
            }  # fmt: skip
            folder = RunFolder(
                Path(run),
                options={name: told(option) for name, option in options.items()},
                steps_per_epoch=steps,
                monitor=watched,
                keep_best=1 if keep_best is None else keep_best,
            )
            opened.enter_context(folder)
            opened.enter_context(interruption)
            listeners.insert(0, history_csv(Path(run) / "history.csv"))
        loop = Loop(
            data=data,
            validation=validation,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            balanced=balanced,
            train_step=train_step,
            eval_step=make_eval_step(model, loss=loss, metrics=metrics),
            metrics=metrics,
            is_over=functools.partial(_is_over, watched, **stopping),
            explain=(
                functools.partial(first_bad_value, forward, loss, parts=accumulate)
                if on_nan == "raise"
                else None
            ),
            listeners=tuple(listeners),
            folder=folder,
            checkpoint_every=checkpoint_every,
            interruption=interruption,
        )
        position = loop.run(first if folder is None else folder.resume(first))
        chosen = position.state
        if restore_best:
            chosen = best.state if folder is None else folder.best(position)
        trained = chosen.to_model(model, average=average is not None)
        return FitResult(trained, position.history, position.state)


class _Best:
    """A callback that keeps the state after the best epoch in memory."""

    def __init__(self, monitor: Monitor) -> None:
        self.state: Any = None
        self._monitor = monitor

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            best, *_ = self._monitor.best_first(event.history)
            if best is event.history[-1]:
                self.state = jax.tree.map(jnp.copy, event.state)


def _is_over(
    monitor: Monitor,
    history: tuple[Epoch, ...],
    *,
    patience: int | None,
    min_improvement: float,
) -> bool:
    return patience is not None and is_over(
        history, monitor, patience=patience, min_improvement=min_improvement
    )


def _check_dataset(name: str, given: Any) -> None:
    if not isinstance(given, Dataset):
        raise TypeError(
            f"{name} must be a Dataset: cnn.Dataset(images, labels) makes one, and "
            f"cnn.data.load. Received: {name} of type {type(given).__name__}"
        )


def _check_batch_size(batch_size: int, accumulate: int, data: Dataset) -> None:
    if batch_size > len(data):
        raise ValueError(
            "batch_size must be at most the number of images. "
            f"Received: batch_size={batch_size} for {len(data)} images"
        )
    if batch_size % arguments.check_integer("accumulate", accumulate, minimum=1):
        raise ValueError(
            "accumulate must divide the batch size. "
            f"Received: accumulate={accumulate}, batch_size={batch_size}"
        )


def _check_classes(data: Dataset, validation: Dataset) -> None:
    if data.class_names != validation.class_names:
        raise ValueError(
            "validation must number its classes as the data does; data.match_classes(validation, "
            f"data.class_names) makes it so. Received: {_few(data.class_names)} and "
            f"{_few(validation.class_names)}"
        )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _check_default_loss(loss: Loss, data: Dataset) -> None:
    """Raises an error if numbers to predict would be taken for shares of classes."""
    if (
        loss is cross_entropy
        and data.kind == "numbers"
        and not np.allclose(data.labels.sum(axis=-1), 1, atol=0.01)
    ):
        raise ValueError(
            "loss is the cross-entropy by default, of shares of classes that sum to 1; for numbers "
            "to predict use squared_error or huber. "
            f"Received: labels {data.labels.dtype} {data.labels.shape}"
        )


def _monitor(
    monitor: str | Monitor | None,
    validation: Dataset | None,
    average: float | None,
    metrics: Mapping[str, Metric],
) -> Monitor:
    check_metrics(metrics)
    known = ["loss", "accuracy"]
    if validation is not None:
        known += ["validation_loss", "validation_accuracy", *metrics]
        known += ["average_loss", "average_accuracy"] * (average is not None)
    elif metrics:
        raise ValueError(
            f"metrics are measured on held-out images: give validation. Received: {list(metrics)}"
        )
    for name in metrics:
        if name in Epoch._fields:
            raise ValueError(f"a metric needs a name of its own. Received: {name!r}")
    if monitor is None:
        losses = [name for name in known if name.endswith("_loss")]
        monitor = losses[-1] if losses else "loss"
    found = Monitor.of(monitor)
    arguments.check_known("number to monitor", found.metric, known)
    return found


def _check_stopping(
    monitor: str | Monitor | None,
    patience: int | None,
    restore_best: bool,
    validation: Dataset | None,
) -> None:
    if patience is not None:
        arguments.check_integer("patience", patience, minimum=1)
    if (patience is not None or restore_best) and monitor is None and validation is None:
        raise ValueError(
            "patience and restore_best need a measure of what is better: give validation, or a "
            f"monitor. Received: patience={patience}, restore_best={restore_best}"
        )


def _check_saving(
    run: str | Path | None, checkpoint_every: int | None, keep_best: int | None
) -> None:
    options = {"checkpoint_every": checkpoint_every, "keep_best": keep_best}
    for name, value in options.items():
        if value is not None:
            arguments.check_integer(name, value, minimum=1)
            if run is None:
                raise ValueError(
                    f"{name} needs a folder to save in: give run. Received: {name}={value}"
                )


def _optimizer(
    optimizer: optax.GradientTransformation | None, learning_rate: float | None, steps: int
) -> optax.GradientTransformation:
    if optimizer is None:
        return optax.adam(optax.cosine_onecycle_schedule(steps, _peak(learning_rate)))
    if learning_rate is not None:
        raise ValueError(
            "learning_rate belongs to the default optimizer; give your own optimizer its "
            f"rate itself. Received: learning_rate={learning_rate!r} and an optimizer"
        )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            "optimizer must be an Optax transformation, such as optax.sgd(0.1) or "
            f"make_optimizer('sgd', learning_rate=0.1). Received: optimizer={optimizer!r}"
        )
    return optimizer


def _peak(learning_rate: float | None) -> float:
    peak = 3e-3 if learning_rate is None else learning_rate
    if isinstance(peak, bool) or not isinstance(peak, int | float):
        raise TypeError(f"learning_rate must be a number. Received: learning_rate={peak!r}")
    if not 0 < peak < float("inf"):
        raise ValueError(f"learning_rate must be above 0. Received: learning_rate={peak!r}")
    return peak

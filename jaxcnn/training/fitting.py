"""Training a model on a data set, in one call."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.mixing import Mix
from jaxcnn.augment.named_policies import GivenAugment
from jaxcnn.data.batching import BatchSource, as_batch_source
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.images import Images
from jaxcnn.data.streaming import Batches, GivenBatches
from jaxcnn.other_names import explained
from jaxcnn.training.agreement import check_agreement
from jaxcnn.training.callbacks import history_csv
from jaxcnn.training.early_stopping import Monitor
from jaxcnn.training.evaluation_step import make_eval_step
from jaxcnn.training.events import Callback, EpochEnded, Event
from jaxcnn.training.fingerprint import describe_option
from jaxcnn.training.history import Epoch
from jaxcnn.training.interruption import Interruption
from jaxcnn.training.loop import Loop
from jaxcnn.training.measurement import Loss
from jaxcnn.training.named_losses import loss_of_labels, loss_to_json, resolve_loss
from jaxcnn.training.named_metrics import GivenMetrics, name_metrics, resolve_metrics
from jaxcnn.training.options import TrainingOptions, show_options
from jaxcnn.training.out_of_memory import advise_on_memory
from jaxcnn.training.output_activation import remember_activation
from jaxcnn.training.placement import Devices
from jaxcnn.training.prediction import describe_outputs
from jaxcnn.training.progress_bar import Progress
from jaxcnn.training.resumption import Position, open_checkpoints
from jaxcnn.training.run_description import Run
from jaxcnn.training.run_folder import HISTORY, finish_run
from jaxcnn.training.several_processes import remember_folder
from jaxcnn.training.state import TrainState
from jaxcnn.training.task import Task
from jaxcnn.training.training_step import compile_step


@dataclass(frozen=True)
class FitResult:
    """The result of a training.

    Attributes:
      model: A module like the one passed in, with the trained parameters: of the last epoch, or of
        the best with ``restore_best``; their moving averages with ``ema``.
      history: One row per epoch.
      state: State after the last step, to continue with.
      epoch: Number of the epoch after which the model had these parameters.
    """

    model: nnx.Module
    history: tuple[Epoch, ...]
    state: TrainState
    epoch: int


@explained
@show_options(TrainingOptions)
def fit(
    model: nnx.Module,
    data: BatchSource | tuple[Images, np.ndarray] | Batches,
    *,
    validation: BatchSource | tuple[Images, np.ndarray] | Batches | None = None,
    optimizer: optax.GradientTransformation | str | None = None,
    learning_rate: float | optax.Schedule | None = None,
    freeze: Sequence[str] = (),
    loss: Loss | str | None = None,
    augment: GivenAugment | None = None,
    mix: Mix | None = None,
    metrics: GivenMetrics | None = None,
    run: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    devices: Devices = "all",
    **options: Any,
) -> FitResult:
    """Train a model and return it trained; the one passed in is not changed.

    With `run` the training survives: called again with the same arguments after an interruption
    of any kind, it resumes from its last checkpoint and gives the same parameters and history as
    if it had never been interrupted, bit for bit on CPU. Ctrl-C and SIGTERM save first; a second
    one ends the process at once.

    Args:
      model: Any ``nnx.Module`` called as ``model(x)`` or ``model(x, *, train, key)`` that maps
        ``(batch, H, W, C)`` to outputs that fit the labels: logits ``(batch, classes)`` or
        ``(batch, *spatial, classes)``, or numbers of the labels' own shape.
      data: Training images and labels: a :class:`jaxcnn.Dataset`, a pair, which is made one, a
        stream, as ``load(…, stream=True)`` returns, or batches ``(images, labels)`` as
        :class:`jaxcnn.data.GivenBatches` takes them: an iterable, a generator or a function of the
        number of the epoch, with ``steps_per_epoch`` unless they have a length.
      validation: Images and labels to evaluate on after each epoch, in one of these forms.
      optimizer: Any Optax transformation, or a name of :func:`jaxcnn.training.make_optimizer`,
        such as ``"sgd"``. One given by name, and Adam, which ``None`` means, have a one-cycle
        learning rate (Smith and Topin, 2018), which rises to its peak and falls to nearly 0 by
        the last step.
      learning_rate: Peak of that cycle, above 0, or an Optax schedule in its place; ``None`` means
        0.003. It cannot be combined with an Optax transformation, which has its own.
      freeze: Patterns of the names of parameters that are not trained, such as ``"base.*"``; a
        module of which all are frozen computes as at inference, as ``frozen`` of
        :func:`jaxcnn.training.make_optimizer` says.
      loss: Maps the model's outputs and the labels of a batch to losses ``(batch,)``, or the name
        of a loss of :mod:`jaxcnn.training`, such as ``"focal"``; with `mix`,
        in training, it receives shares of the classes ``(batch, classes)`` instead of labels.
        ``None`` means that of the labels: ``"cross_entropy"`` for a class per image or position and
        for shares of the classes, ``"binary_cross_entropy"`` for several classes,
        ``"squared_error"`` for numbers and ``"detection"`` for boxes.
      augment: Maps a key and float images to changed images of the same shape, inside the step,
        such as :func:`jaxcnn.augment.random_shift`, or the name of an augmentation policy, such
        as ``"cifar"``; :func:`jaxcnn.augment.names` lists them. Those of a list are applied in
        sequence. Labels at positions are moved with
        the pixels, other labels stay; see :func:`jaxcnn.augment.in_place`.
      mix: Mixes images, and their labels, with others of the batch, after `augment`:
        :func:`jaxcnn.augment.mixup` or :func:`jaxcnn.augment.cutmix`.
      metrics: Further metrics of the validation images, by name, such as
        ``{"top-5": training.top_k(5)}``, or names and functions, such as ``["f1", own]``. A
        function maps outputs and labels to one value per example, of which the mean is taken. With
        ``ema`` they are those of the averaged weights.
      run: Folder of the run: checkpoints, ``history.csv`` and, at the end, ``model.safetensors``
        and ``run.json``, from which :func:`jaxcnn.load` returns the model. An unfinished run in it
        is resumed.
      callbacks: Functions that receive every event; see :data:`jaxcnn.training.Event`.
      progress: Whether to show a progress bar and a line per epoch.
      devices: The devices that share each batch: ``"all"`` of them, a number, or a
        ``jax.sharding.Mesh`` with one axis, or one named ``"batch"`` or ``"data"``. They divide
        `batch_size`, which counts the images of all. Their number changes no value but by
        rounding, and a run may be resumed with another.
      **options: The fields of :class:`~jaxcnn.training.TrainingOptions`: ``epochs``,
        ``batch_size``, ``steps_per_epoch``, ``seed``, ``precision``, ``accumulate``, ``ema``,
        ``on_nan``, ``balanced``, ``monitor``, ``better``, ``patience``, ``min_improvement``,
        ``restore_best``, ``checkpoint_every``, ``keep_best``, ``shard_parameters`` and
        ``batch_norm``.

    Returns:
      The trained model, the history, and the last state.

    Raises:
      FloatingPointError: a loss or gradient was not finite.
      OSError: `run` cannot be written to.
      TypeError: an argument has the wrong type, or there is no such argument.
      ValueError: an argument is out of range or contradicts another; the model does not fit the
        data; `run` was started with other arguments, is damaged, or is in use.
    """
    chosen = TrainingOptions(**options)
    source, held_out = _sources(model, data, validation)
    sample = source.sample
    task = Task(
        model=model,
        data=source,
        validation=held_out,
        optimizer=optimizer,
        learning_rate=learning_rate,
        freeze=freeze,
        loss=resolve_loss(loss_of_labels(sample) if loss is None else loss),
        augment=augment,
        mix=mix,
        metrics=resolve_metrics(metrics),
        devices=devices,
        options=chosen,
    )
    folder = None if run is None else Path(run)
    result = run_task(task, folder, callbacks=callbacks, progress=progress)
    if folder is not None and task.placement.leads:
        finish_run(folder, _describe(task, result), result.model)
    return result


def run_task(
    task: Task, folder: Path | None, *, callbacks: Sequence[Callback] = (), progress: bool = True
) -> FitResult:
    """Train a task to its end, from its last checkpoint if `folder` has one."""
    _check_saving(task.options, folder)
    _check_callbacks(callbacks)
    options, leads = task.options, task.placement.leads
    if task.placement.processes > 1:
        given = {name: describe_option(value) for name, value in vars(options).items()}
        check_agreement(given | task.fingerprint())
    train_step = compile_step(task.forward, task.transformation, task.loss, options, task.placement)
    first = Position(task.first_state())
    listeners: list[Callback] = [*callbacks, *([Progress()] if progress and leads else [])]
    best = _BestInMemory(task.monitor)
    if options.restore_best and folder is None:
        listeners.append(best)
    with ExitStack() as opened:
        checkpoints, interruption = None, Interruption()
        if folder is not None:
            checkpoints = opened.enter_context(
                open_checkpoints(
                    folder,
                    placement=task.placement,
                    fingerprint=task.fingerprint(),
                    steps_per_epoch=task.steps_per_epoch,
                    monitor=task.monitor,
                    keep_best=options.keep_best or 1,
                )
            )
            remember_folder(folder)
            opened.enter_context(interruption.listen())
            if leads:
                listeners.insert(0, history_csv(folder / HISTORY))
        loop = Loop(
            task,
            train_step,
            make_eval_step(task.model, loss=task.loss, metrics=task.metrics),
            tuple(listeners),
            checkpoints,
            interruption,
        )
        opened.enter_context(advise_on_memory(options.batch_size, trains=True))
        position = loop.run(first if checkpoints is None else checkpoints.resume(first))
        chosen, epoch = position.state, len(position.history)
        if options.restore_best:
            chosen, epoch = (best if checkpoints is None else checkpoints).best(position)
        trained = task.placement.take(chosen).to_model(task.model, ema=options.ema is not None)
        remember_activation(trained, task.activation)
        return FitResult(trained, position.history, position.state, epoch)


def _sources(
    model: nnx.Module, data: Any, validation: Any
) -> tuple[BatchSource, BatchSource | None]:
    """Return the sources of the batches to train and to validate on, of the same classes.

    The first of given batches need not have every class: those of the validation count, or else
    the numbers of the model's outputs.
    """
    source, held_out = as_batch_source("data", data), None
    if validation is not None:
        names = () if isinstance(source, GivenBatches) else source.sample.class_names
        held_out = as_batch_source("validation", validation, names)
    if isinstance(source, GivenBatches) and source.sample.kind == "class":
        if isinstance(held_out, GivenBatches | None):
            shape, _ = describe_outputs(model, source.sample.images)
            names = tuple(map(str, range(shape[-1])))
        else:
            names = held_out.sample.class_names
        for given in (source, held_out):
            if isinstance(given, GivenBatches):
                given.name_classes(names)
    return source, held_out


def _describe(task: Task, result: FitResult) -> Run:
    """Return the description of a run that `fit` made."""
    data = task.data.sample
    kept = result.history[result.epoch - 1].numbers()
    seconds = sum(row.seconds for row in result.history)
    return Run(
        model=None,
        options={},
        input_shape=data.image_shape,
        class_names=data.class_names,
        # load may have resized pictures
        framing=Framing.measure(data, any_size=True, resizing=data.resizing),
        data=None,
        metrics={name: kept[name] for name in kept if name != "epoch"} | {"seconds": seconds},
        activation=task.activation,
        loss=loss_to_json(task.loss),
        measures=name_metrics(task.metrics),
        epoch=result.epoch,
        task=data.task,
    )


class _BestInMemory:
    """A callback that keeps a copy of the state after the best epoch."""

    def __init__(self, monitor: Monitor) -> None:
        self._state: Any = None
        self._monitor = monitor

    def best(self, position: Position) -> tuple[TrainState, int]:
        """Return the state after the best epoch, and the number of that epoch."""
        best, *_ = self._monitor.best_first(position.history)
        return self._state, best.epoch

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            best, *_ = self._monitor.best_first(event.history)
            if best is event.history[-1]:
                self._state = jax.tree.map(jnp.copy, event.state)


def _check_callbacks(callbacks: Any) -> None:
    if not arguments.is_sequence(callbacks) or not all(map(callable, callbacks)):
        raise TypeError(
            "callbacks must be a sequence of functions of one event, such as [print]. "
            f"Received: callbacks={callbacks!r}"
        )


def _check_saving(options: TrainingOptions, folder: Path | None) -> None:
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ValueError(f"run must be a folder, and is a file. Received: run={str(folder)!r}")
    for name in ("checkpoint_every", "keep_best"):
        value = getattr(options, name)
        if value is not None and folder is None:
            raise ValueError(
                f"{name} needs a folder to save in: give run. Received: {name}={value}"
            )

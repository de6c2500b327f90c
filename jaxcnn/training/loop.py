"""The loop over epochs and steps, from any position on."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcnn.data.batches import Batch, batches, steps_per_epoch
from jaxcnn.data.dataset import Dataset
from jaxcnn.training.evaluation import Evaluation, Sums, evaluate_with
from jaxcnn.training.events import Callback, Ended, EpochEnded, Event, Started, Stepped
from jaxcnn.training.history import Epoch
from jaxcnn.training.interruption import Interruption
from jaxcnn.training.metrics import Metric
from jaxcnn.training.run_folder import Position, RunFolder
from jaxcnn.training.step import MeasuringStep, Metrics, TrainState, TrainStep


@dataclass(frozen=True)
class Loop:
    """What a training does; how far it has come is a :class:`Position`.

    Attributes:
      data: What to train on.
      validation: What to evaluate on after each epoch.
      epochs: Passes over the data at most.
      batch_size: Images per step.
      seed: Decides the order of the images.
      balanced: Whether an epoch shows every class equally often.
      train_step: Of the model.
      eval_step: Of the model, for ``metrics``.
      metrics: What else to measure.
      is_over: Whether a history is the last.
      explain: Says what is not finite in the step of a state with a batch; ``None`` lets a
        training go on all the same.
      listeners: Are told what happens.
      folder: Where positions are saved.
      checkpoint_every: In steps, besides the ends of epochs.
      interruption: Whether the training is to be saved and ended.
    """

    data: Dataset
    validation: Dataset | None
    epochs: int
    batch_size: int
    seed: int
    balanced: bool
    train_step: TrainStep
    eval_step: MeasuringStep
    metrics: Mapping[str, Metric]
    is_over: Callable[[tuple[Epoch, ...]], bool]
    explain: Callable[[TrainState, Batch], str] | None
    listeners: tuple[Callback, ...]
    folder: RunFolder | None
    checkpoint_every: int | None
    interruption: Interruption

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(self.data, self.batch_size)

    def run(self, position: Position) -> Position:
        """Returns the position at the end."""
        taken = len(position.history) * self.steps + position.step
        self._tell(Started(self.epochs, self.steps, self.batch_size, taken, position.history))
        try:
            while not self.has_ended(position):
                position = self._epoch(position)
                self._tell(EpochEnded(position.state, position.history))
                self._save(position, now=self.has_ended(position))
        except BaseException as error:
            self._tell(Ended(position.history, error))
            raise
        self._tell(Ended(position.history, None))
        return position

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def has_ended(self, position: Position) -> bool:
        """Returns whether there is nothing left to do."""
        return len(position.history) >= self.epochs or self.is_over(position.history)

    def _epoch(self, position: Position) -> Position:
        """Does what is left of an epoch; returns the position after it."""
        state, sums = position.state, Sums(position.total)
        began, done = time.monotonic() - position.seconds, position.step

        def note(measured: Metrics | None) -> None:
            nonlocal done
            if measured is not None:
                done += 1
                self._note(measured, position, done, state)

        for step, batch in enumerate(self._batches(position), position.step + 1):
            state, measured = self.train_step(state, batch)
            note(sums.add(measured))
            if step < self.steps and self._is_to_be_saved(step):
                for earlier in sums.rest():
                    note(earlier)
                amid = position._replace(
                    state=state, step=step, total=sums.total, seconds=time.monotonic() - began
                )
                self._save(amid, now=True)
        for earlier in sums.rest():
            note(earlier)
        seconds = time.monotonic() - began
        losses, correct, examples, _ = sums.total
        row = Epoch(
            epoch=len(position.history) + 1,
            loss=float(losses / examples) if examples else math.nan,
            accuracy=float(correct / examples) if examples else math.nan,
            images_per_second=len(self.data) / seconds,
            seconds=seconds,
            skipped=0 if state.skipped is None else int(state.skipped),
        )
        return Position(state, (*position.history, self._validated(row, state)))

    def _batches(self, position: Position) -> Any:
        return batches(
            self.data,
            self.batch_size,
            seed=self.seed,
            epoch=len(position.history),
            start=position.step,
            balanced=self.balanced,
        )

    def _note(self, measured: Metrics, position: Position, done: int, state: TrainState) -> None:
        """Tells of a step that has been computed, the ``done``-th of its epoch."""
        number = len(position.history) * self.steps + done
        if self.explain is not None and not measured.finite:
            # The state stays as it was before that step.
            batch = next(self._batches(position._replace(step=done - 1)))
            kept = "" if self.folder is None else f". {self.folder.kept()}"
            raise FloatingPointError(
                f"step {number} (epoch {len(position.history) + 1}, batch {done}) gave a loss or "
                f"gradient that is not finite. First in {self.explain(state, batch)}{kept}"
            )
        self._tell(Stepped(number, measured))

    def _is_to_be_saved(self, step: int) -> bool:
        due = self.checkpoint_every is not None and step % self.checkpoint_every == 0
        return due or self.interruption.received is not None

    def _save(self, position: Position, *, now: bool) -> None:
        """Saves a position, and ends the program if that was asked for."""
        if self.folder is not None:
            ending = self.interruption.received is not None
            self.folder.save(position, now=now or ending)
            if ending:
                self.interruption.end(f"the training is saved in {str(self.folder.folder)!r}")

    def _validated(self, row: Epoch, state: TrainState) -> Epoch:
        if self.validation is None:
            return row
        evaluation = self._evaluated(state, {} if state.average else self.metrics)
        row = row._replace(validation_loss=evaluation.loss, validation_accuracy=evaluation.accuracy)
        if state.average is not None:
            evaluation = self._evaluated(state.averaged(), self.metrics)
            row = row._replace(average_loss=evaluation.loss, average_accuracy=evaluation.accuracy)
        # Plain values, as they are read back from a checkpoint.
        return row._replace(
            metrics={name: np.asarray(value).tolist() for name, value in evaluation.metrics.items()}
        )

    def _evaluated(self, state: TrainState, metrics: Mapping[str, Metric]) -> Evaluation:
        assert self.validation is not None
        return evaluate_with(self.eval_step, state, self.validation, self.batch_size, metrics)

"""The loop over epochs and steps, from any position on."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jaxcnn.data.drawing import Batch, Drawn
from jaxcnn.training.evaluation import STEPS_AHEAD, Evaluation, Sums, evaluate_state
from jaxcnn.training.evaluation_step import MeasuringStep
from jaxcnn.training.events import Callback, Ended, EpochEnded, Event, Started, Stepped
from jaxcnn.training.history import Epoch
from jaxcnn.training.interruption import Interruption
from jaxcnn.training.metrics import Metric
from jaxcnn.training.nan_diagnosis import first_bad_value
from jaxcnn.training.optimizer_update import learning_rate_of
from jaxcnn.training.resumption import Position, RunCheckpoints
from jaxcnn.training.state import Metrics, TrainState
from jaxcnn.training.task import Task
from jaxcnn.training.training_step import TrainStep


@dataclass(frozen=True)
class Loop:
    """A training from any position to its end.

    Attributes:
      task: The training task.
      train_step: The task's training step.
      eval_step: The task's evaluation step.
      listeners: Functions that receive every event.
      checkpoints: Where positions are saved, or ``None``.
      interruption: Whether a signal asked for the training to be saved and ended.
    """

    task: Task
    train_step: TrainStep
    eval_step: MeasuringStep
    listeners: tuple[Callback, ...]
    checkpoints: RunCheckpoints | None
    interruption: Interruption

    def run(self, position: Position) -> Position:
        """Return the position at the end of the training."""
        options, steps = self.task.options, self.task.steps_per_epoch
        taken = len(position.history) * steps + position.step
        self._send(Started(options.epochs, steps, self.task.batch_size, taken, position.history))
        try:
            while not self.task.has_ended(position.history):
                position = self._epoch(position)
                self._send(EpochEnded(position.state, position.history))
                self._save(position, now=self.task.has_ended(position.history))
        except BaseException as error:
            self._send(Ended(position.history, error))
            raise
        self._send(Ended(position.history, None))
        return position

    def _send(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _epoch(self, position: Position) -> Position:
        """Train to the end of the current epoch and validate; return the position after it."""
        state, sums = position.state, Sums(position.total)
        began, waited, done = time.monotonic() - position.seconds, position.waited, position.step
        steps, taken = self.task.steps_per_epoch, position.step
        batches = self.task.batches(position)
        in_flight: deque[Batch] = deque()

        def note(measured: Metrics | None) -> None:
            nonlocal done
            if measured is not None:
                done += 1
                self._note(measured, position, done, state, in_flight.popleft())

        while taken < steps:
            asked = time.monotonic()
            batch = self._next(batches, position, taken)
            waited += time.monotonic() - asked
            in_flight.append(batch)
            state, measured = self.train_step(state, batch)
            taken += 1
            note(sums.add(measured))
            if taken < steps and self._is_checkpoint_due(taken):
                for earlier in sums.rest():
                    note(earlier)
                seconds = time.monotonic() - began
                within = replace(
                    position,
                    state=state,
                    step=taken,
                    total=sums.total,
                    seconds=seconds,
                    waited=waited,
                    source=batches.state,
                )
                self._save(within, now=True)
        for earlier in sums.rest():
            note(earlier)
        seconds = time.monotonic() - began
        losses, correct, examples, _, norms = sums.total
        row = Epoch(
            epoch=len(position.history) + 1,
            loss=float(losses / examples) if examples else math.nan,
            accuracy=float(correct / examples) if examples else math.nan,
            images_per_second=self.task.images_per_epoch / seconds,
            seconds=seconds,
            learning_rate=learning_rate_of(self.task.transformation, state),
            gradient_norm=float(norms / steps),
            skipped=0 if state.skipped is None else int(state.skipped),
            input_seconds=waited,
        )
        history = (*position.history, self._validate(row, state))
        return Position(state, history, source=batches.state)

    def _next(self, batches: Drawn, position: Position, taken: int) -> Batch:
        """Return the next batch, or raise an error if the data has ended."""
        batch = next(batches, None)
        if batch is None:
            raise ValueError(
                f"data must give {self.task.steps_per_epoch} batches in each epoch. Received: the "
                f"end after {taken} batches of epoch {len(position.history) + 1}"
            )
        return batch

    def _note(
        self, measured: Metrics, position: Position, done: int, state: TrainState, batch: Batch
    ) -> None:
        """Report the `done`-th step of the epoch, or raise if a number in it is not finite."""
        number = len(position.history) * self.task.steps_per_epoch + done
        if self.task.options.on_nan == "raise" and not measured.finite:
            # The state is still the one before that step.
            placement = self.task.placement
            cause = first_bad_value(self.task, placement.take(state), placement.take(batch))
            kept = "" if self.checkpoints is None else f". {self.checkpoints.describe_newest()}"
            raise FloatingPointError(
                f"step {number} (epoch {len(position.history) + 1}, batch {done}) gave a loss or "
                f"gradient that is not finite. First in {cause}{kept}"
            )
        self._send(Stepped(number, measured))

    def _is_checkpoint_due(self, step: int) -> bool:
        if self.checkpoints is None:
            return False
        every = self.task.options.checkpoint_every
        is_ending = self.interruption.is_agreed(self.task.placement, ahead=STEPS_AHEAD)
        return (every is not None and step % every == 0) or is_ending

    def _save(self, position: Position, *, now: bool) -> None:
        """Save a position, and end the program if a signal asked for it."""
        if self.checkpoints is not None:
            is_ending = self.interruption.is_agreed(self.task.placement)
            self.checkpoints.save(position, now=now or is_ending)
            if is_ending:
                self.interruption.is_agreed(self.task.placement)  # once the first one has written
                folder = str(self.checkpoints.folder)
                self.interruption.end(f"the training is saved in {folder!r}")

    def _validate(self, row: Epoch, state: TrainState) -> Epoch:
        if self.task.validation is None:
            return row
        evaluation = self._evaluate(state.to_evaluate(), {} if state.ema else self.task.metrics)
        row = replace(row, validation_loss=evaluation.loss, validation_accuracy=evaluation.accuracy)
        if state.ema is not None:
            evaluation = self._evaluate(state.averaged(), self.task.metrics)
            row = replace(row, ema_loss=evaluation.loss, ema_accuracy=evaluation.accuracy)
        # Plain values, as they are read back from a checkpoint.
        metrics = {name: np.asarray(value).tolist() for name, value in evaluation.metrics.items()}
        return replace(row, metrics=metrics)

    def _evaluate(self, state: TrainState, metrics: Mapping[str, Metric]) -> Evaluation:
        task = self.task
        assert task.validation is not None
        return evaluate_state(
            self.eval_step,
            state,
            task.validation,
            batch_size=task.validation.fixed_batch_size or task.batch_size,
            metrics=metrics,
            placement=task.placement,
        )

"""Positions of a training, saved as checkpoints so that it can be resumed."""

import functools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.ops.native import kernel_library
from jaxcnn.training.agreement import gather_texts, take_first
from jaxcnn.training.checkpoints import Checkpoint, Checkpoints, check_same
from jaxcnn.training.early_stopping import Monitor
from jaxcnn.training.folder_lock import acquire_lock
from jaxcnn.training.history import Epoch
from jaxcnn.training.placement import Placement
from jaxcnn.training.run_folder import CHECKPOINTS, describe_newest
from jaxcnn.training.state import Metrics, TrainState


@dataclass(frozen=True)
class Position:
    """A point of a training; everything after it is a function of it.

    Attributes:
      state: State after the last step.
      history: The completed epochs.
      step: Number of steps taken in the current epoch.
      total: Sums of metrics over them, in float64.
      seconds: Time that they took.
      waited: Part of that time in which they waited for batches.
      source: ``state`` of the batches after the last step, see :class:`jaxcnn.data.drawing.Drawn`.
    """

    state: TrainState
    history: tuple[Epoch, ...] = ()
    step: int = 0
    total: Metrics | None = None
    seconds: float = 0.0
    waited: float = 0.0
    source: Any = None


@dataclass(frozen=True)
class RunCheckpoints:
    """The checkpoints of one run, in a folder that this process holds.

    Of several processes the first one alone reads and writes; it sends the others what it reads.

    Attributes:
      folder: The run's folder.
      checkpoints: The open checkpoints in it; ``None`` on all processes but the first.
      placement: Where the states live.
      fingerprint: Everything that must stay the same when the run is resumed, by name.
      steps_per_epoch: Number of steps of an epoch.
      monitor: Quantity by which epochs are compared.
      keep_best: Number of best epochs that are kept.
    """

    folder: Path
    checkpoints: Checkpoints | None
    placement: Placement
    fingerprint: Mapping[str, str]
    steps_per_epoch: int
    monitor: Monitor
    keep_best: int

    def resume(self, first: Position) -> Position:
        """Return the position of the newest undamaged checkpoint, or `first` if there is none.

        Raises:
          ValueError: the run was started with other options, or every checkpoint is damaged.
        """
        newest = self._read(
            lambda checkpoints, like: checkpoints.newest(like, check=self._check), first.state
        )
        try:
            return first if newest is None else self._position(newest)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"a checkpoint in {str(self.folder)!r} is damaged: {error!r}"
            ) from error

    def _read(
        self, read: Callable[[Checkpoints, TrainState], Checkpoint | None], like: TrainState
    ) -> Checkpoint | None:
        """Return what the first process reads, on all processes."""
        if self.placement.processes == 1:
            assert self.checkpoints is not None
            return read(self.checkpoints, like)
        like = self.placement.take(like)
        found = None if self.checkpoints is None else read(self.checkpoints, like)
        text, *_ = gather_texts(json.dumps(found and [found.step, found.progress]))
        if text == "null":
            return None
        state = take_first(like if found is None else found.state)
        step, progress = json.loads(text)
        return Checkpoint(step, self.placement.put_state(state), progress)

    def _position(self, newest: Checkpoint) -> Position:
        progress = newest.progress
        sums: dict[str, Any] = {
            name: None if value is None else np.float64(value)
            for name, value in (progress["total"] or {}).items()
        }
        older = {"gradient_norm": np.float64(0)}  # checkpoints of which have no norms
        total = Metrics(**older | sums) if sums else None
        history = tuple(Epoch(**row) for row in progress["history"])
        # Older checkpoints do not have the last two.
        waited, source = progress.get("waited", 0.0), progress.get("source")
        seconds, step = progress["seconds"], progress["step"]
        return Position(newest.state, history, step, total, seconds, waited, source)

    def save(self, position: Position, *, now: bool = False) -> None:
        """Queue a checkpoint; the caller may reuse the state as soon as this returns.

        Args:
          position: The position to save. It may be left out if saving takes too much of the time.
          now: Whether to write it in any case, and return when it is written.

        Raises:
          OSError: a checkpoint could not be written.
        """
        state, history = position.state, position.history
        if self.placement.processes > 1:
            state = self.placement.take(state)  # of which each process has a part
        if self.checkpoints is None:
            return
        total = position.total and {
            name: None if value is None else float(value)
            for name, value in position.total._asdict().items()
        }
        progress = {
            "options": dict(self.fingerprint),
            "history": [row.to_dict() for row in history],
            "step": position.step,
            "total": total,
            "seconds": position.seconds,
            "waited": position.waited,
            "source": position.source,
            "kernels": kernel_library.instruction_set(),
        }
        step = len(history) * self.steps_per_epoch + position.step
        best = self.monitor.best_first(history)[: self.keep_best]
        self.checkpoints.offer(
            Checkpoint(step, state, progress),
            best=[row.epoch * self.steps_per_epoch for row in best],
            now=now,
        )
        if now:
            self.checkpoints.wait()

    def describe_newest(self) -> str:
        """Return a sentence about the step from which the training can be resumed."""
        if self.checkpoints is None:
            return f"The checkpoints are those of process 0 in {str(self.folder)!r}"
        self.checkpoints.wait()
        return describe_newest(self.folder)

    def best(self, position: Position) -> tuple[TrainState, int]:
        """Return the state after the best epoch whose checkpoint is undamaged, and its number.

        Without one they are the last.

        A warning names each damaged checkpoint.
        """
        found = self._read(functools.partial(self._read_best, position.history), position.state)
        if found is None:
            return position.state, len(position.history)
        return found.state, found.step // self.steps_per_epoch

    def _read_best(
        self, history: tuple[Epoch, ...], checkpoints: Checkpoints, like: TrainState
    ) -> Checkpoint | None:
        kept = checkpoints.steps()
        for row in self.monitor.best_first(history):
            step = row.epoch * self.steps_per_epoch
            if step in kept:
                try:
                    return checkpoints.read(step, like)
                except ValueError as error:
                    warnings.warn(f"{error}; the next best is used", stacklevel=2)
        return None

    def _check(self, progress: dict[str, Any]) -> None:
        saved = progress.get("options") if isinstance(progress, dict) else None
        if not isinstance(saved, dict):
            raise ValueError(f"a checkpoint in {str(self.folder)!r} is damaged: it has no options")
        check_same("options", saved, dict(self.fingerprint))
        before, now = progress.get("kernels", "none"), kernel_library.instruction_set()
        if before != now:
            warnings.warn(
                f"the run was trained with compiled kernels {before}, and goes on with {now}: the "
                "result is the same to rounding, not bit for bit",
                stacklevel=2,
            )


@contextmanager
def open_checkpoints(
    folder: Path,
    *,
    placement: Placement,
    fingerprint: Mapping[str, str],
    steps_per_epoch: int,
    monitor: Monitor,
    keep_best: int,
) -> Iterator[RunCheckpoints]:
    """Hold a run's folder, which is created if needed, and open its checkpoints.

    Args:
      folder: The run's folder.
      placement: Where the states live.
      fingerprint: Everything that must stay the same when the run is resumed, by name.
      steps_per_epoch: Number of steps of an epoch.
      monitor: Quantity by which epochs are compared.
      keep_best: Number of best epochs that are kept.

    Raises:
      OSError: the folder cannot be written to.
      ValueError: another process holds it.
    """
    given = (placement, fingerprint, steps_per_epoch, monitor, keep_best)
    if not placement.leads:
        yield RunCheckpoints(folder, None, *given)
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = acquire_lock(folder)
    try:
        with closing(Checkpoints(folder / CHECKPOINTS)) as checkpoints:
            yield RunCheckpoints(folder, checkpoints, *given)
    finally:
        lock.release()

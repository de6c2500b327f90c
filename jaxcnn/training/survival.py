"""A run's folder: how far a training has come, kept so that it can go on from there."""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from jaxcnn.training.checkpoint import Checkpoint, Checkpoints, check_alike
from jaxcnn.training.history import Epoch, Monitor
from jaxcnn.training.lock import locked
from jaxcnn.training.step import Metrics, TrainState


class Position(NamedTuple):
    """How far a training has come; all that comes depends on it alone.

    Attributes:
      state: After the last step.
      history: The epochs that have ended.
      step: Steps taken of the present epoch.
      total: Sums over them, in float64.
      seconds: Time that they took.
    """

    state: TrainState
    history: tuple[Epoch, ...] = ()
    step: int = 0
    total: Metrics | None = None
    seconds: float = 0.0


class RunFolder:
    """The folder of a run, which belongs to this process while it is open.

    It holds ``checkpoints``; what else is kept there is up to the caller.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Mapping[str, str],
        steps_per_epoch: int,
        monitor: Monitor,
        keep_best: int,
    ) -> None:
        """Says what is trained; nothing is touched yet.

        Args:
          folder: It is made if need be.
          options: What must be the same for the training to go on, by name.
          steps_per_epoch: Steps of an epoch.
          monitor: What makes an epoch the best.
          keep_best: How many of the best epochs are kept.
        """
        self.folder = folder
        self._options = dict(options)
        self._steps_per_epoch = steps_per_epoch
        self._monitor, self._keep_best = monitor, keep_best

    def __enter__(self) -> "RunFolder":
        """Takes hold of the folder.

        Raises:
          OSError: it cannot be written to.
          ValueError: another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(self.folder)
        self._checkpoints = Checkpoints(self.folder / "checkpoints")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Lets go of the folder, after what is being written."""
        self._checkpoints.close()
        self._lock.release()

    def resume(self, first: Position) -> Position:
        """Returns the position of the newest undamaged checkpoint, or ``first`` if there is none.

        Raises:
          ValueError: the run was begun with other options, or no checkpoint is undamaged.
        """
        newest = self._checkpoints.newest(first.state, check=self._check)
        if newest is None:
            return first
        progress = newest.progress
        sums: dict[str, Any] = {
            name: None if value is None else np.float64(value)
            for name, value in (progress["total"] or {}).items()
        }
        total = Metrics(**sums) if sums else None
        history = tuple(Epoch(**row) for row in progress["history"])
        return Position(newest.state, history, progress["step"], total, progress["seconds"])

    def save(self, position: Position, *, now: bool = False) -> None:
        """Saves a position, soon or later; ``now`` in any case, and it returns when it is done.

        Raises:
          OSError: a checkpoint could not be written.
        """
        history = position.history
        total = position.total and {
            name: None if value is None else float(value)
            for name, value in position.total._asdict().items()
        }
        progress = {
            "options": self._options,
            "history": [row._asdict() for row in history],
            "step": position.step,
            "total": total,
            "seconds": position.seconds,
        }
        step = len(history) * self._steps_per_epoch + position.step
        best = self._monitor.best_first(history)[: self._keep_best]
        self._checkpoints.offer(
            Checkpoint(step, position.state, progress),
            best=[row.epoch * self._steps_per_epoch for row in best],
            now=now,
        )
        if now:
            self._checkpoints.wait()

    def kept(self) -> str:
        """Returns, in words, from where the training can go on."""
        self._checkpoints.wait()
        steps = self._checkpoints.steps()
        last = f"The last checkpoint is of step {steps[0]}" if steps else "There is no checkpoint"
        return f"{last} in {str(self.folder)!r}"

    def best(self, position: Position) -> TrainState:
        """Returns the state after the best epoch.

        Raises:
          ValueError: its checkpoint is damaged or missing.
        """
        best = self._monitor.best_first(position.history)[0]
        step = best.epoch * self._steps_per_epoch
        return self._checkpoints.read(step, position.state).state

    def _check(self, progress: dict[str, Any]) -> None:
        check_alike("options", progress["options"], self._options)


def told(value: Any) -> str:
    """Returns what to call an option, the same in every process.

    >>> told(functools.partial(told, value=0)), told("cifar")
    ('told(value=0)', 'cifar')

    Args:
      value: A function, perhaps with options set beforehand, or a plain value.
    """
    if isinstance(value, functools.partial):
        options = [told(argument) for argument in value.args]
        options += [f"{name}={told(option)}" for name, option in value.keywords.items()]
        return f"{told(value.func)}({', '.join(options)})"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)

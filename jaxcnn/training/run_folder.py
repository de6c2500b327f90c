"""A run's folder: how far a training has come, kept so that it can go on from there."""

import functools
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from jaxcnn.training.checkpoints import Checkpoint, Checkpoints, check_alike
from jaxcnn.training.folder_lock import locked
from jaxcnn.training.history import Epoch, Monitor
from jaxcnn.training.step import Metrics, TrainState

# Attributes of Flax's layers that say whether a model is being trained.
_MODES = ("deterministic", "use_running_average")


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
        """Returns the state after the best epoch whose checkpoint is undamaged, or the last one.

        A damaged one is told of by a warning that names it.
        """
        kept = self._checkpoints.steps()
        for row in self._monitor.best_first(position.history):
            step = row.epoch * self._steps_per_epoch
            if step in kept:
                try:
                    return self._checkpoints.read(step, position.state).state
                except ValueError as error:
                    warnings.warn(f"{error}; the next best is used", stacklevel=2)
        return position.state

    def _check(self, progress: dict[str, Any]) -> None:
        check_alike("options", progress["options"], self._options)


def described(model: nnx.Module) -> dict[str, str]:
    """Returns what a model is besides its arrays: the kinds and options of its layers, by name.

    How it is to behave at the moment, in training or evaluation, is left out.
    """
    found = {}
    for path, module in nnx.iter_modules(model):
        name = ".".join(map(str, ("model", *path)))
        found[name] = type(module).__qualname__
        for option, value in vars(module).items():
            if _is_option(option, value):
                found[f"{name}.{option}"] = told(value)
    return found


def _is_option(name: str, value: Any) -> bool:
    if name.startswith("_") or name.endswith("_init") or name in _MODES:
        return False
    is_plain = value is None or isinstance(value, bool | int | float | str | tuple)
    return is_plain or (callable(value) and not isinstance(value, nnx.Pytree | nnx.Variable))


def told(value: Any, depth: int = 8) -> str:
    """Returns what to call an option, the same in every process.

    >>> told(functools.partial(told, value=0)), told("cifar")
    ('told(value=0)', 'cifar')

    Args:
      value: A function, perhaps with options set beforehand or in its closure, or a plain value.
      depth: How deep what it is made of is looked into.
    """
    if depth == 0:
        return "…"
    inner = functools.partial(told, depth=depth - 1)
    if isinstance(value, functools.partial):
        options = [*map(inner, value.args)]
        options += [f"{name}={inner(option)}" for name, option in value.keywords.items()]
        return f"{inner(value.func)}({', '.join(options)})"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(inner, value))})"
    if callable(value):
        name = getattr(value, "__qualname__", type(value).__qualname__)
        cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
        return f"{name}[{', '.join(map(inner, cells))}]" if cells else name
    text = str(value)
    return type(value).__qualname__ if " at 0x" in text else text  # a place in memory is no name

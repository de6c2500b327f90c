"""Events of a training, and the callbacks that receive them: plain functions of one event.

A callback receives every event and handles those that it needs:

>>> def announce(event):
...     match event:
...         case EpochEnded(history=(*_, row)):
...             print(f"epoch {row.epoch}: loss {row.loss}")
>>> announce(EpochEnded(None, (Epoch(1, 0.5, 0.8, 100.0, 2.0),)))
epoch 1: loss 0.5

An exception in a callback ends the training. A callback runs between two steps, so it should be
quick.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from jaxcnn.training.history import Epoch
from jaxcnn.training.state import Metrics, TrainState


class Started(NamedTuple):
    """Training starts or is resumed.

    Attributes:
      epochs: Largest number of epochs.
      steps_per_epoch: Number of steps of each.
      batch_size: Number of images of a step.
      step: Number of steps taken before.
      history: The epochs before.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    step: int
    history: tuple[Epoch, ...]


class Stepped(NamedTuple):
    """A step has been computed; the device may already work on later ones.

    Attributes:
      step: Number of the step within the whole training, from 1.
      metrics: Metrics of the step, on the host.
    """

    step: int
    metrics: Metrics


class EpochEnded(NamedTuple):
    """An epoch has ended and been validated.

    Attributes:
      state: State after the epoch's last step. The next step overwrites it: copy it to keep it.
      history: All epochs so far, this one last.
    """

    state: TrainState
    history: tuple[Epoch, ...]


class Ended(NamedTuple):
    """Training has ended: completely, stopped or failed.

    Attributes:
      history: All epochs.
      error: The exception that ended it early, or ``None``.
    """

    history: tuple[Epoch, ...]
    error: BaseException | None


Event: TypeAlias = Started | Stepped | EpochEnded | Ended
"""The type of what a callback receives, in the order of the training."""

Callback: TypeAlias = Callable[[Event], None]
"""The type of a callback, a function of each :data:`Event` of a training."""

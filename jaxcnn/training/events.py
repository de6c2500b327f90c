"""What happens in a training, told to callbacks: plain functions of one event.

A callback takes every event and looks at those that it knows:

>>> def announce(event):
...     match event:
...         case EpochEnded(history=(*_, row)):
...             print(f"epoch {row.epoch}: loss {row.loss}")
>>> announce(EpochEnded(None, (Epoch(1, 0.5, 0.8, 100.0, 2.0),)))
epoch 1: loss 0.5

Whatever it raises ends the training. It runs between two steps, so it should be quick.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from jaxcnn.training.history import Epoch
from jaxcnn.training.state import Metrics, TrainState


class Started(NamedTuple):
    """Training begins, or goes on.

    Attributes:
      epochs: How many there will be at most.
      steps_per_epoch: Steps of each.
      batch_size: Images of a step.
      step: Number of steps taken before.
      history: The epochs before.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    step: int
    history: tuple[Epoch, ...]


class Stepped(NamedTuple):
    """A step has been computed; a few later ones may be on their way.

    Attributes:
      step: Its number over the whole training, from 1.
      metrics: What it measured, on the host.
    """

    step: int
    metrics: Metrics


class EpochEnded(NamedTuple):
    """An epoch has ended and been validated.

    Attributes:
      state: After its last step. The next step overwrites it: copy what shall be kept.
      history: All epochs so far, this one last.
    """

    state: TrainState
    history: tuple[Epoch, ...]


class Ended(NamedTuple):
    """Training is over, whether it came to its end, was stopped or failed.

    Attributes:
      history: All epochs.
      error: What ended it before its time.
    """

    history: tuple[Epoch, ...]
    error: BaseException | None


Event: TypeAlias = Started | Stepped | EpochEnded | Ended
Callback: TypeAlias = Callable[[Event], None]

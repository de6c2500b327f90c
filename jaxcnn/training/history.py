"""The history of a training, one row per epoch: which epoch is best, and when to stop."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxcnn import arguments


@dataclass(frozen=True)
class Epoch:
    """One row of a history; accuracies are shares in [0, 1].

    Attributes:
      epoch: Number of the epoch, from 1.
      loss: Mean training loss, while the weights changed.
      accuracy: Training accuracy, while the weights changed; NaN where targets are not classes.
      images_per_second: Training speed.
      seconds: Duration of the training, without validation.
      validation_loss: Mean loss on the validation images.
      validation_accuracy: Accuracy on the validation images.
      ema_loss: Mean loss on the validation images under the moving average of the weights.
      ema_accuracy: Accuracy on the validation images under the moving average of the weights.
      skipped: Number of updates left out so far because a number was not finite.
      metrics: Results of further metrics on the validation images, by name.
    """

    epoch: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    ema_loss: float | None = None
    ema_accuracy: float | None = None
    skipped: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the attributes."""
        return [f.name for f in dataclasses.fields(cls)]

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return {name: getattr(self, name) for name in self.names()}

    def numbers(self) -> dict[str, float]:
        """Return the scalar quantities by name: attributes that have a value, and scalar metrics.

        >>> Epoch(1, 0.5, 0.8, 100.0, 2.0, metrics={"top-5": 0.9}).numbers()["top-5"]
        0.9
        """
        attributes = self.to_dict()
        metrics = attributes.pop("metrics")
        return {
            name: value
            for name, value in (attributes | dict(metrics)).items()
            if isinstance(value, int | float)
        }


@dataclass(frozen=True)
class Monitor:
    """The quantity by which epochs are compared.

    Attributes:
      metric: Name of a quantity of :meth:`Epoch.numbers`.
      better: ``"smaller"`` or ``"larger"``.
    """

    metric: str
    better: str

    @classmethod
    def of(cls, metric: str, better: str | None = None) -> "Monitor":
        """Return a monitor of `metric`.

        >>> Monitor.of("validation_loss").better, Monitor.of("top-5").better
        ('smaller', 'larger')

        Args:
          metric: Name of a quantity.
          better: ``"smaller"`` or ``"larger"``; ``None`` means smaller for losses and errors, else
            larger.
        """
        is_loss = metric.endswith(("loss", "error"))
        return cls(metric, better or ("smaller" if is_loss else "larger"))

    def value(self, row: Epoch) -> float:
        """Return the quantity, negated where larger is better; NaN counts as the worst.

        Raises:
          ValueError: the row has no quantity of that name.
        """
        numbers = row.numbers()
        if self.metric not in numbers:
            hint = arguments.nearest(self.metric, numbers)
            raise ValueError(
                f"monitor must be a quantity of the history. Received: monitor={self.metric!r}. "
                f"{hint}"
            )
        value = numbers[self.metric]
        if math.isnan(value):
            return math.inf
        return value if self.better == "smaller" else -value

    def best_first(self, history: Sequence[Epoch]) -> list[Epoch]:
        """Return the epochs, best first; of equal ones the earlier is better.

        >>> rows = [Epoch(n, loss, 0.0, 1.0, 1.0) for n, loss in enumerate((3.0, 1.0, 1.0), 1)]
        >>> [row.epoch for row in Monitor.of("loss").best_first(rows)]
        [2, 3, 1]
        """
        return sorted(history, key=self.value)


def should_stop(
    history: Sequence[Epoch], monitor: Monitor, *, patience: int, min_improvement: float = 0.0
) -> bool:
    """Return whether the last `patience` epochs brought no improvement.

    A pure function of the history, so that a resumed run stops where it would have stopped.

    >>> rows = [Epoch(n, loss, 0.0, 1.0, 1.0) for n, loss in enumerate((3.0, 1.0, 2.0, 1.5), 1)]
    >>> [should_stop(rows, Monitor.of("loss"), patience=patience) for patience in (2, 3)]
    [True, False]

    Args:
      history: One row per epoch.
      monitor: Quantity by which epochs are compared.
      patience: Number of epochs without improvement, at least 1.
      min_improvement: Smallest change that counts as improvement, at least 0.
    """
    best, since = math.inf, 0
    for row in history:
        value = monitor.value(row)
        if value < best - min_improvement:
            best, since = value, 0
        else:
            since += 1
    return since >= patience

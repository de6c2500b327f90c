"""What training measures, a row per epoch, and what follows from it: the best, and when to stop."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxcnn import arguments


class Epoch(NamedTuple):
    """One row of a run's history; accuracies are shares in [0, 1].

    Attributes:
      epoch: Its number, from 1.
      loss: Mean training loss, while the weights changed.
      accuracy: Training accuracy, likewise; NaN where targets are not classes.
      images_per_second: Training speed.
      seconds: Time that the training took, without the validation.
      validation_loss: Mean loss on the held-out images.
      validation_accuracy: Accuracy on them.
      average_loss: As ``validation_loss``, of the moving average of the weights.
      average_accuracy: As ``validation_accuracy``, of the same.
      skipped: Updates left out so far, as losses or gradients were not finite.
      metrics: The results of the metrics that were asked for, on the held-out images.
    """

    epoch: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    average_loss: float | None = None
    average_accuracy: float | None = None
    skipped: int = 0
    metrics: Mapping[str, Any] = {}

    def numbers(self) -> dict[str, float]:
        """Returns what is measured, by name: the fields that have a value, and scalar metrics.

        >>> Epoch(1, 0.5, 0.8, 100.0, 2.0, metrics={"top-5": 0.9}).numbers()["top-5"]
        0.9
        """
        fields = self._asdict()
        metrics = fields.pop("metrics")
        return {
            name: value
            for name, value in (fields | dict(metrics)).items()
            if isinstance(value, int | float)
        }


class Monitor(NamedTuple):
    """What makes one epoch better than another.

    Attributes:
      metric: The name of a number of :meth:`Epoch.numbers`.
      better: ``"smaller"`` or ``"larger"``.
    """

    metric: str
    better: str

    @classmethod
    def of(cls, metric: "str | Monitor") -> "Monitor":
        """Returns a monitor of ``metric``: losses and errors shall be small, the rest large.

        >>> Monitor.of("validation_loss").better, Monitor.of("top-5").better
        ('smaller', 'larger')

        Args:
          metric: Its name, or a monitor, which is returned as it is.

        Raises:
          TypeError: it is neither.
          ValueError: the monitor's ``better`` is another word.
        """
        if isinstance(metric, str):
            return cls(metric, "smaller" if metric.endswith(("loss", "error")) else "larger")
        if not isinstance(metric, Monitor):
            raise TypeError(f"monitor must be the name of a metric. Received: monitor={metric!r}")
        arguments.check_known("direction", metric.better, ("smaller", "larger"))
        return metric

    def value(self, row: Epoch) -> float:
        """Returns the number, such that smaller is better; NaN counts as the worst.

        Raises:
          ValueError: the row has no number of that name.
        """
        numbers = row.numbers()
        if self.metric not in numbers:
            raise ValueError(
                f"monitor must name a number of the history: {', '.join(numbers)}. "
                f"Received: monitor={self.metric!r}"
            )
        value = numbers[self.metric]
        if math.isnan(value):
            return math.inf
        return value if self.better == "smaller" else -value

    def best_first(self, history: Sequence[Epoch]) -> list[Epoch]:
        """Returns the epochs, best first; of equal ones the earlier is better.

        >>> rows = [Epoch(n, loss, 0.0, 1.0, 1.0) for n, loss in enumerate((3.0, 1.0, 1.0), 1)]
        >>> [row.epoch for row in Monitor.of("loss").best_first(rows)]
        [2, 3, 1]
        """
        return sorted(history, key=self.value)


def is_over(
    history: Sequence[Epoch], monitor: Monitor, *, patience: int, min_improvement: float = 0.0
) -> bool:
    """Returns whether the last ``patience`` epochs brought nothing better.

    A pure function of the history, so that a run that goes on stops where it would have stopped.

    >>> rows = [Epoch(n, loss, 0.0, 1.0, 1.0) for n, loss in enumerate((3.0, 1.0, 2.0, 1.5), 1)]
    >>> is_over(rows, Monitor.of("loss"), patience=2), is_over(rows, Monitor.of("loss"), patience=3)
    (True, False)

    Args:
      history: One row per epoch.
      monitor: What is compared.
      patience: How many epochs may bring nothing, at least 1.
      min_improvement: By how much a number must be better to count, at least 0.
    """
    best, since = math.inf, 0
    for row in history:
        value = monitor.value(row)
        if value < best - min_improvement:
            best, since = value, 0
        else:
            since += 1
    return since >= patience

"""Which epoch of a history is best, and when a training without improvement stops."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxcnn import arguments
from jaxcnn.training.history import Epoch


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

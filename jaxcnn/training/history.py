"""The history of a training, one row per epoch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
      learning_rate: Learning rate of the last step; ``None`` where the optimizer does not tell it.
        The default, one given by name or made by ``make_optimizer``, and one of
        ``optax.inject_hyperparams`` tell it.
      gradient_norm: Mean over the steps of the global norm of the gradient, before any clipping.
      input_seconds: Part of the duration in which the next step waited for its batch.
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
    learning_rate: float | None = None
    gradient_norm: float | None = None
    input_seconds: float | None = None
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

"""The tables of a recipe that say what a training minimizes, and by which optimizer."""

import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import optax

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.training.measurement import Loss
from jaxcnn.training.named_losses import LOSSES, LOSSES_OF_LABELS, loss_of_labels
from jaxcnn.training.optimizers import make_optimizer
from jaxcnn.training.schedules import check_schedule, check_steps, make_schedule


@contextmanager
def prefix_errors(name: str, separator: str = ": ") -> Iterator[None]:
    """Put the name of a field before the message of an error; its line is found from it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}{separator}{error}") from error


@dataclass(frozen=True)
class OptimizerOptions:
    """The optimizer and its learning rate, as :func:`jaxcnn.training.make_optimizer` takes them.

    Attributes:
      name: Name of the optimizer.
      learning_rate: Peak of the schedule, above 0.
      schedule: Name of the schedule.
      warmup_epochs: Epochs in which the rate first rises from 0, at least 0, below the epochs.
      final: Last learning rate.
      boundaries: Changes of a piecewise schedule: shares of the training, after the warm-up.
      factor: Factor of a piecewise schedule at each boundary.
      weight_decay: Weight decay, at least 0.
      momentum: Momentum of SGD and Muon.
      betas: Decays of Adam, AdamW, Lion and Muon.
      clip_norm: Largest global norm of a gradient.
      learning_rates: Factors of the learning rate by patterns of parameters.
      unfreeze: Epochs by patterns of parameters, which are not changed before.
    """

    name: Literal["sgd", "adam", "adamw", "lion", "muon"] = "adam"
    learning_rate: float = 3e-3
    schedule: Literal["constant", "cosine", "linear", "one_cycle", "piecewise"] = "one_cycle"
    warmup_epochs: float = 0.0
    final: float | None = None
    boundaries: tuple[float, ...] | None = None
    factor: float | None = None
    weight_decay: float = 0.0
    momentum: float | None = None
    betas: tuple[float, float] | None = None
    clip_norm: float | None = None
    learning_rates: dict[str, float] = field(default_factory=dict)
    unfreeze: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every option."""
        arguments.check_number("learning_rate", self.learning_rate, above=0)
        arguments.check_number("warmup_epochs", self.warmup_epochs, minimum=0)
        check_schedule(
            self.schedule,
            peak=self.learning_rate,
            final=self.final,
            boundaries=self.boundaries,
            factor=self.factor,
        )
        for pattern, epoch in self.unfreeze.items():
            arguments.check_number(f"unfreeze[{pattern!r}]", epoch, minimum=0)
        self.rule(learning_rate=self.learning_rate)

    def make(
        self, *, epochs: int, steps_per_epoch: int, freeze: Sequence[str] = ()
    ) -> optax.GradientTransformation:
        """Return the optimizer for a number of epochs and of steps per epoch."""
        schedule = make_schedule(
            self.schedule,
            peak=self.learning_rate,
            steps=check_steps(epochs, steps_per_epoch),
            warmup_steps=round(self.warmup_epochs * steps_per_epoch),
            final=self.final,
            boundaries=self.boundaries,
            factor=self.factor,
        )
        starts = {name: round(epoch * steps_per_epoch) for name, epoch in self.unfreeze.items()}
        return self.rule(learning_rate=schedule, freeze=freeze, unfreeze=starts)

    def rule(
        self,
        *,
        learning_rate: float | optax.Schedule,
        freeze: Sequence[str] = (),
        unfreeze: Mapping[str, int] | None = None,
    ) -> optax.GradientTransformation:
        """Return the optimizer under another learning rate or schedule; `unfreeze` in steps."""
        return make_optimizer(
            self.name,
            learning_rate=learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            betas=self.betas,
            clip_norm=self.clip_norm,
            frozen=freeze,
            learning_rates=self.learning_rates,
            unfreeze=unfreeze,
        )


@dataclass(frozen=True)
class LossOptions:
    """The loss function.

    Attributes:
      name: Name of the loss, as in :mod:`jaxcnn.training`; ``"auto"`` means that of the labels, as
        for :func:`jaxcnn.fit`.
      label_smoothing: Label smoothing of the cross-entropy.
      class_weights: Class weights of the cross-entropy: one number per class.
      balance: Whether the cross-entropy weights classes so that each counts the same.
      gamma: Exponent of the focal loss.
      alpha: Scales of the focal loss: one number per class.
      delta: Error beyond which the Huber loss is a line.
    """

    name: str = "auto"
    label_smoothing: float | None = None
    class_weights: tuple[float, ...] | None = None
    balance: bool = False
    gamma: float | None = None
    alpha: tuple[float, ...] | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        """Check that each option is one of the loss."""
        if self.balance and self.class_weights is not None:
            raise ValueError("balance makes class_weights of its own; give one of the two")
        is_auto = self.name == "auto"
        if not is_auto:
            with prefix_errors("name"):
                arguments.check_known("loss", self.name, LOSSES)
        for option in (*self._options(), *["balance"] * self.balance):
            taken = "class_weights" if option == "balance" else option
            losses = LOSSES_OF_LABELS.values() if is_auto else [self.name]
            if not any(taken in inspect.signature(LOSSES[loss]).parameters for loss in losses):
                which = "a loss that the labels decide: give its name" if is_auto else self.name
                raise ValueError(f"{option} is no option of {which}")

    def of(self, data: Dataset) -> "LossOptions":
        """Return these options with the name that the labels of `data` decide, if they do."""
        if self.name != "auto":
            return self
        return dataclasses.replace(self, name=loss_of_labels(data))

    def make(self, class_weights: Sequence[float] | None = None) -> Loss:
        """Return the loss, whose name is decided.

        Args:
          class_weights: What ``balance`` found for the data.
        """
        options = self._options()
        if class_weights is not None:
            options["class_weights"] = tuple(class_weights)
        loss = LOSSES[self.name]
        return functools.partial(loss, **options) if options else loss

    def _options(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        del fields["name"], fields["balance"]
        return {name: value for name, value in fields.items() if value is not None}

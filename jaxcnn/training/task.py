"""A training task: a model, data and options, checked against one another before any long work."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.mixing import Mix
from jaxcnn.augment.named_policies import GivenAugment
from jaxcnn.data.batching import BatchSource, steps_per_epoch
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.drawing import Drawn
from jaxcnn.data.labels import check_class_per_image, label_kind
from jaxcnn.training.early_stopping import Monitor, should_stop
from jaxcnn.training.evaluation import check_fits
from jaxcnn.training.fingerprint import describe_model, describe_option
from jaxcnn.training.forward import Forward
from jaxcnn.training.history import Epoch
from jaxcnn.training.losses import cross_entropy
from jaxcnn.training.measurement import Loss
from jaxcnn.training.metrics import Metric
from jaxcnn.training.optimizers import OPTIMIZERS, freeze_parameters, make_optimizer
from jaxcnn.training.options import TrainingOptions
from jaxcnn.training.output_activation import activation_of_loss, describe_double_activation
from jaxcnn.training.placement import Devices, Placement
from jaxcnn.training.resumption import Position
from jaxcnn.training.schedules import check_steps
from jaxcnn.training.state import TrainState, initial_state

_DEFAULT_LEARNING_RATE = 3e-3


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training task; the attributes are the arguments of :func:`jaxcnn.fit`.

    Another is ``activation``: the name of the function from the trained model's outputs to
    predictions.

    Raises:
      TypeError: an attribute has the wrong type.
      ValueError: the attributes do not go together.
    """

    model: nnx.Module
    data: BatchSource
    validation: BatchSource | None = None
    optimizer: optax.GradientTransformation | str | None = None
    learning_rate: float | optax.Schedule | None = None
    freeze: Sequence[str] = ()
    loss: Loss = cross_entropy
    augment: GivenAugment | None = None
    mix: Mix | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    devices: Devices = "all"
    options: TrainingOptions = field(default_factory=TrainingOptions)
    activation: str = field(init=False)

    def __post_init__(self) -> None:
        """Check that model, data and options go together."""
        sample = self.data.sample
        self.batch_size  # noqa: B018  # the devices must divide it
        if self.validation is not None and self.validation.fixed_batch_size is not None:
            self.placement.check_batch_size(self.validation.fixed_batch_size)
        _check_accumulate(self.options, self.data.num_examples)
        check_steps(self.options.epochs, self.steps_per_epoch)
        _check_several_classes(sample)
        _check_metric_names(self.metrics, self.validation)
        self.monitor  # noqa: B018  # its rules are checked when it is made
        _check_stopping(self.options, self.validation)
        _check_optimizer(self.optimizer, self.learning_rate)
        self._check_ending(check_fits(self.model, sample))
        if self.validation is not None:
            check_fits(self.model, self.validation.sample)
            _check_classes(sample, self.validation.sample)
        if self.mix is not None:
            check_class_per_image(sample.labels, "mix")
        _check_default_loss(self.loss, sample)

    def _check_ending(self, ending: str | None) -> None:
        """Warn of a softmax before a loss that contains one, and note what predictions need."""
        if warning := describe_double_activation(self.loss, ending):
            warnings.warn(warning, stacklevel=6)  # at the call of fit
        activation = (
            activation_of_loss(self.loss, self.data.sample.kind) if ending is None else "none"
        )
        object.__setattr__(self, "activation", activation)

    @cached_property
    def placement(self) -> Placement:
        """Where batches and states live."""
        return Placement.over(self.devices, shard_parameters=self.options.shard_parameters)

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch."""
        given = self.options.steps_per_epoch
        if given is not None and self.data.num_examples is None:
            return given
        most = steps_per_epoch(self.data, self.batch_size)
        if given is not None and given > most:
            raise ValueError(
                f"steps_per_epoch must be at most the number of batches, {most}. "
                f"Received: steps_per_epoch={given}"
            )
        return given or most

    @property
    def images_per_epoch(self) -> int:
        """Number of images of an epoch."""
        drawn, count = self.steps_per_epoch * self.batch_size, self.data.num_examples
        return drawn if count is None else min(drawn, count)

    @cached_property
    def batch_size(self) -> int:
        """Images per step: of fewer images all, filled up to equal parts and devices."""
        given, parts = self.options.batch_size, self.options.accumulate
        return self.placement.rows_of_a_step(self.data, given, parts=parts)

    @cached_property
    def transformation(self) -> optax.GradientTransformation:
        """The optimizer; one that is given by name, or none, has a one-cycle learning rate."""
        given, rate = self.optimizer, self.learning_rate
        if given is None or isinstance(given, str):
            if not callable(rate):
                steps = self.options.epochs * self.steps_per_epoch
                rate = optax.cosine_onecycle_schedule(steps, self._peak)
            made = optax.adam(rate) if given is None else make_optimizer(given, learning_rate=rate)
            return freeze_parameters(made, self.freeze, learning_rate=rate)
        if not self.freeze:
            return given
        known = getattr(given, "learning_rate", None)
        return freeze_parameters(given, self.freeze, learning_rate=known)

    @property
    def _peak(self) -> float:
        rate = self.learning_rate
        return _DEFAULT_LEARNING_RATE if rate is None or callable(rate) else float(rate)

    def _describe_optimizer(self) -> str:
        name = self.optimizer or "Adam"
        if not isinstance(name, str):
            return "given"
        rate = self.learning_rate if callable(self.learning_rate) else self._peak
        return f"{name}({describe_option(rate)})"

    @cached_property
    def forward(self) -> Forward:
        """The way of a batch through the step."""
        return Forward.of(
            self.model,
            augment=self.augment,
            mix=self.mix,
            steps_per_epoch=self.steps_per_epoch,
            precision=self.options.precision,
            frozen=getattr(self.transformation, "frozen", ()),
            batch_groups=self._batch_groups,
        )

    @property
    def _batch_groups(self) -> int:
        return self.placement.num_devices if self.options.batch_norm == "device" else 1

    @cached_property
    def monitor(self) -> Monitor:
        """The quantity by which epochs are compared."""
        return _choose_monitor(self.options, self.validation is not None, self.metrics)

    def first_state(self) -> TrainState:
        """Return the state before the first step, where states live."""
        key = jax.random.key(self.options.seed)
        state = initial_state(self.model, self.transformation, key, self.options)
        return self.placement.put_state(state)

    def batches(self, position: Position) -> Drawn:
        """Return the remaining batches of the epoch of a position, where batches live."""
        options = self.options
        return self.placement.batches(
            self.data,
            self.batch_size,
            seed=options.seed,
            epoch=len(position.history),
            start=position.step,
            balanced=options.balanced,
            state=position.source,
        )

    def has_ended(self, history: tuple[Epoch, ...]) -> bool:
        """Return whether a training with this history is complete."""
        patience, min_improvement = self.options.patience, self.options.min_improvement
        return len(history) >= self.options.epochs or (
            patience is not None
            and should_stop(
                history, self.monitor, patience=patience, min_improvement=min_improvement
            )
        )

    def fingerprint(self) -> dict[str, str]:
        """Return everything that must stay the same when the training is resumed, by name."""
        described: dict[str, Any] = self.options.fixed() | {
            "monitor": self.monitor.metric,
            "better": self.monitor.better,
            "optimizer": self._describe_optimizer(),
            "loss": self.loss,
            "augment": self.augment,
            "mix": self.mix,
            "metrics": tuple(self.metrics),
            "data": self.data.fingerprint(),
            "validation": self.validation and self.validation.fingerprint(),
        }
        if described["optimizer"] == "given" or callable(self.learning_rate):
            del described["epochs"]  # only the default learning rate depends on their number
        if described["steps_per_epoch"] is None:  # older runs have no such option
            del described["steps_per_epoch"]
        if self.freeze:  # nor this one
            described["freeze"] = tuple(self.freeze)
        if self._batch_groups > 1:
            described["batch_norm"] = f"of each of {self._batch_groups} devices"
        model = describe_model(self.model)
        return model | {name: describe_option(value) for name, value in described.items()}


def _check_accumulate(options: TrainingOptions, count: int | None) -> None:
    if count is not None and options.accumulate > count:
        raise ValueError(
            "accumulate must be at most the number of images. "
            f"Received: accumulate={options.accumulate} for {count} images"
        )


def _check_several_classes(data: Dataset) -> None:
    if label_kind(data.labels) == "class" and len(data.class_names) == 1:
        raise ValueError(
            "data must have images of at least two classes, to tell them apart. "
            f"Received: the one class {data.class_names[0]!r}"
        )


def _check_classes(data: Dataset, validation: Dataset) -> None:
    if data.class_names != validation.class_names:
        raise ValueError(
            "validation must number its classes as the data does; use "
            "data.match_classes(validation, data.class_names). "
            f"Received: {_shorten(data.class_names)} and {_shorten(validation.class_names)}"
        )


def _shorten(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _check_default_loss(loss: Callable[..., jax.Array], data: Dataset) -> None:
    """Raise an error if numbers to predict would be taken for shares of classes."""
    if (
        loss is cross_entropy
        and data.kind == "numbers"
        and not np.allclose(data.labels.sum(axis=-1), 1, atol=0.01)
    ):
        raise ValueError(
            "the cross-entropy is of shares of classes that sum to 1; for numbers to predict use "
            "squared_error or huber. "
            f"Received: labels {data.labels.dtype} {data.labels.shape}"
        )


def _check_metric_names(metrics: Mapping[str, Metric], validation: BatchSource | None) -> None:
    if metrics and validation is None:
        raise ValueError(
            f"metrics are measured on the validation images: give validation. "
            f"Received: metrics={list(metrics)}"
        )
    for name in metrics:
        if name in Epoch.names():
            raise ValueError(
                "metrics must not use a name of the history's own; loss and accuracy are measured "
                f"without being asked for. Received: {arguments.shown(name)}"
            )


def _choose_monitor(
    options: TrainingOptions, validates: bool, metrics: Mapping[str, Metric]
) -> Monitor:
    known = ["loss", "accuracy"]
    if validates:
        known += ["validation_loss", "validation_accuracy", *metrics]
        known += ["ema_loss", "ema_accuracy"] * (options.ema is not None)
    if options.monitor is None:
        losses = [name for name in known if name.endswith("_loss")]
        return Monitor.of(losses[-1] if losses else "loss")
    if options.monitor not in known:
        hint = arguments.nearest(options.monitor, known)
        raise ValueError(
            f"monitor must be a quantity of the history. "
            f"Received: monitor={arguments.shown(options.monitor)}. "
            f"{hint}"
        )
    return Monitor.of(options.monitor, options.better)


def _check_stopping(options: TrainingOptions, validation: BatchSource | None) -> None:
    if (
        (options.patience is not None or options.restore_best)
        and options.monitor is None
        and validation is None
    ):
        raise ValueError(
            "patience and restore_best need a quantity to compare: give validation, or a monitor. "
            f"Received: patience={options.patience}, restore_best={options.restore_best}"
        )


def _check_optimizer(
    optimizer: optax.GradientTransformation | str | None,
    learning_rate: float | optax.Schedule | None,
) -> None:
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        plain = optimizer.lower()
        if plain not in OPTIMIZERS and callable(getattr(optax, plain, None)):
            raise ValueError(
                f"there is no optimizer {optimizer!r}, but in Optax: optimizer=optax.{plain}(0.001)"
            )
        arguments.check_known("optimizer", optimizer, OPTIMIZERS)
    if optimizer is None or isinstance(optimizer, str):
        if learning_rate is not None and not callable(learning_rate):
            arguments.check_number("learning_rate", learning_rate, above=0)
        return
    if learning_rate is not None:
        raise ValueError(
            "learning_rate is that of an optimizer given by name, or of the default one; set the "
            "learning rate of your own optimizer where you make it. "
            f"Received: learning_rate={arguments.shown(learning_rate)} and an optimizer"
        )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            "optimizer must be a name, or an Optax transformation such as optax.sgd(0.1) or "
            "make_optimizer('sgd', learning_rate=0.1). "
            f"Received: optimizer={arguments.shown(optimizer)}"
        )

"""Recipes: trainings described by typed TOML files. The fields below are the reference."""

import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import optax

from jaxcnn import arguments, models
from jaxcnn import augment as augmentations
from jaxcnn.augment import cutmix, mixup
from jaxcnn.augment.mixing import Mix
from jaxcnn.data.resizing import Resizing
from jaxcnn.training.measurement import Loss
from jaxcnn.training.metrics import Metric
from jaxcnn.training.named_losses import LOSSES
from jaxcnn.training.named_metrics import METRICS
from jaxcnn.training.optimizers import make_optimizer
from jaxcnn.training.options import TrainingOptions
from jaxcnn.training.schedules import check_schedule, check_steps, check_warmup, make_schedule

VERSION = 2
_MIXES = {"none": None, "mixup": mixup, "cutmix": cutmix}


@contextmanager
def _prefix_errors(name: str, separator: str = ": ") -> Iterator[None]:
    """Put the name of a field before the message of an error; its line is found from it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}{separator}{error}") from error


@dataclass(frozen=True)
class ModelOptions:
    """The network.

    Attributes:
      name: A name in :func:`jaxcnn.models.names`, or ``"package.module:network"``.
      options: Options of the model, such as ``rate``.
      weights: What the model starts from: the folder of a run, whose weights are taken where name
        and shape match; or trained weights as :func:`jaxcnn.models.create` takes them, a file or
        ``"hf:timm/…"``, all but the last layer where the number of classes is another.
      freeze: Patterns of parameters that are not trained: dotted names, with ``*`` for any part.
    """

    name: str = "mnist_cnn"
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the name and the options."""
        with _prefix_errors("name"):
            models.option_names(self.name)
        with _prefix_errors("options"):
            models.create(self.name, **self.options)


@dataclass(frozen=True)
class DataOptions:
    """The images, and how they are changed in training.

    Attributes:
      source: A folder of pictures, a ``.npz`` file, or the name of a set.
      data_dir: Folder of prepared sets; ``None`` means TensorFlow Datasets' own folder.
      cache_dir: Folder of decoded pictures; ``None`` means beside their folder.
      train: Split for training, such as ``train[:90%]``; ``None`` means ``train``, or
        four fifths of it where nothing else is for testing.
      test: Held-out split; ``None`` means the set's own, or a fifth of ``train``.
      image_size: Height and width to which images are resized; ``None`` means the model's own.
      aspect: What becomes of pictures of another ratio of width to height: ``"squash"`` changes it,
        ``"crop"`` takes a centered part, ``"pad"`` adds black on two sides. ``None`` here and in
        the next two means what the model's weights expect, or else ``"squash"``, ``"bilinear"`` and
        1.0.
      interpolation: ``"bilinear"``, ``"bicubic"``, ``"lanczos"`` or ``"nearest"``.
      crop_share: Share of the shorter side that ``"crop"`` keeps, in (0, 1].
      value_range: Values of gray pictures of 16 or 32 bits that become 0 and 255, such as
        ``[0, 4095]``; ``None`` means the whole range of 16 bits.
      on_error: Treatment of a picture that cannot be read: ``"raise"`` or ``"skip"``.
      augment: An augmentation policy of :func:`jaxcnn.augment.names`, such as ``"none"``;
        ``"auto"`` means the one that suits the set, :func:`jaxcnn.augment.default_name`.
      mix: ``"none"``, ``"mixup"`` or ``"cutmix"``.
      alpha: Strength of ``mix``; ``None`` means its default.
    """

    source: str = "digits"
    data_dir: str | None = None
    cache_dir: str | None = None
    train: str | None = None
    test: str | None = None
    image_size: tuple[int, int] | None = None
    aspect: Literal["squash", "crop", "pad"] | None = None
    interpolation: Literal["bilinear", "bicubic", "lanczos", "nearest"] | None = None
    crop_share: float | None = None
    value_range: tuple[float, float] | None = None
    on_error: Literal["raise", "skip"] = "raise"
    augment: str = "auto"
    mix: Literal["none", "mixup", "cutmix"] = "none"
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check names and combinations."""
        if self.augment != "auto":
            with _prefix_errors("augment"):
                augmentations.named(self.augment)
        for size in self.image_size or ():
            arguments.check_integer("image_size", size, minimum=1)
        if self.value_range is not None:
            arguments.check_interval("value_range", self.value_range)
        if self.aspect is not None or self.crop_share is None:  # else weights may say the aspect
            _ = self.resizing  # checks its options
        if self.alpha is not None and self.mix == "none":
            raise ValueError('alpha is the strength of a mix; give one, such as mix = "mixup"')
        if self.alpha is not None:
            arguments.check_number("alpha", self.alpha, minimum=0)

    @property
    def resizing(self) -> Resizing:
        """The way in which images get their size, where nothing else says it."""
        names = ("aspect", "interpolation", "crop_share")
        given = {name: getattr(self, name) for name in names}
        return Resizing(**{name: value for name, value in given.items() if value is not None})

    def mixing(self) -> Mix | None:
        """Return the function that mixes images and their labels, or ``None``."""
        mix = _MIXES[self.mix]
        if mix is None or self.alpha is None:
            return mix
        return functools.partial(mix, alpha=self.alpha)


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

    Recipes are for images of one class each; :func:`jaxcnn.fit` takes the losses of other labels.

    Attributes:
      name: Name of the loss, as in :mod:`jaxcnn.training`.
      label_smoothing: Label smoothing of the cross-entropy.
      class_weights: Class weights of the cross-entropy: one number per class.
      balance: Whether the cross-entropy weights classes so that each counts the same.
      gamma: Exponent of the focal loss.
      alpha: Scales of the focal loss: one number per class.
    """

    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    label_smoothing: float | None = None
    class_weights: tuple[float, ...] | None = None
    balance: bool = False
    gamma: float | None = None
    alpha: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check that each option is one of the loss."""
        signature = inspect.signature(LOSSES[self.name]).parameters
        for option in self._options():
            if option not in signature:
                raise ValueError(f"{option} is no option of {self.name}")
        if self.balance and self.name != "cross_entropy":
            raise ValueError(f"balance is no option of {self.name}")
        if self.balance and self.class_weights is not None:
            raise ValueError("balance makes class_weights of its own; give one of the two")

    def make(self, class_weights: Sequence[float] | None = None) -> Loss:
        """Return the loss.

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


@dataclass(frozen=True, kw_only=True)
class TrainingTable(TrainingOptions):
    """The ``[training]`` table: :class:`~jaxcnn.training.TrainingOptions`, and two options more.

    Attributes:
      metrics: Names of further metrics of the held-out images.
      tensorboard: Whether TensorBoard's event files are written into the run's folder.
    """

    metrics: tuple[str, ...] = ()
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Check all options."""
        super().__post_init__()
        with _prefix_errors("metrics"):
            for metric in self.metrics:
                arguments.check_known("metric", metric, METRICS)

    def make_metrics(self) -> dict[str, Metric]:
        """Return the metrics by name."""
        return {name: METRICS[name] for name in self.metrics}


@dataclass(frozen=True)
class Recipe:
    """A training.

    >>> recipe = Recipe()
    >>> recipe.training.epochs, recipe.optimizer.name
    (20, 'adam')

    Attributes:
      version: Version of the format.
      model: The network.
      data: The images.
      optimizer: The optimizer and its learning rate.
      loss: The loss function.
      training: The options of the training.
    """

    version: int = VERSION
    model: ModelOptions = ModelOptions()
    data: DataOptions = DataOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    loss: LossOptions = LossOptions()
    training: TrainingTable = TrainingTable()

    def __post_init__(self) -> None:
        """Check combinations of options."""
        if self.version != VERSION:
            raise ValueError(f"version must be 1 or {VERSION}. Received: {self.version}")
        warmup, epochs = self.optimizer.warmup_epochs, self.training.epochs
        with _prefix_errors("optimizer", "."):
            check_warmup(self.optimizer.schedule, "warmup_epochs", warmup, epochs)
        first, *_ = self.optimizer.boundaries or (1.0,)
        if first * epochs <= warmup:
            raise ValueError(
                "optimizer.boundaries must come after the warm-up. "
                f"Received: {first!r} of epochs={epochs!r} for warmup_epochs={warmup!r}"
            )

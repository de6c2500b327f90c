"""Recipes: trainings described by typed TOML files. The fields below are the reference."""

import functools
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxcnn import arguments, models
from jaxcnn import augment as augmentations
from jaxcnn.augment import cutmix, mixup
from jaxcnn.augment.mixing import Mix
from jaxcnn.data.resizing import Resizing
from jaxcnn.recipes.minimization import LossOptions, OptimizerOptions, prefix_errors
from jaxcnn.training.metrics import Metric
from jaxcnn.training.named_metrics import METRICS
from jaxcnn.training.options import TrainingOptions
from jaxcnn.training.schedules import check_warmup

VERSION = 2
_MIXES = {"none": None, "mixup": mixup, "cutmix": cutmix}


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
        """Check the name and the options, unless they are of a module, which would run code."""
        if ":" not in self.name:
            self.check()

    def check(self) -> None:
        """Check the name and the options; this imports the module of a network of one's own."""
        with prefix_errors("name"):
            models.option_names(self.name)
        with prefix_errors("options"):
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
      frames: Frames of a clip, for a folder of videos; ``None`` for anything else.
      frame_step: Distance between neighboring frames of a clip; ``None`` spreads them over the
        whole video.
      clips: Clips of each held-out video, whose predictions are averaged.
      sample_rate: Steps per second of sounds; ``None`` means those of the first file.
      length: Steps to which series are cut or padded; ``None`` means those of the longest.
      value_range: Values of gray pictures of 16 or 32 bits that become 0 and 255, such as
        ``[0, 4095]``; ``None`` means the whole range of 16 bits.
      on_error: Treatment of a picture that cannot be read: ``"raise"`` or ``"skip"``.
      stream: Whether training pictures are decoded as they come; ``False`` decodes them once, and
        ``None`` decides by the free space of the disk, as :func:`jaxcnn.data.load` does. Test
        pictures are decoded once.
      random_crop: Least and largest share of its area of a random part that is taken of each
        training picture; for ImageNet ``[0.08, 1.0]``. It streams them.
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
    frames: int | None = None
    frame_step: int | None = None
    clips: int = 1
    sample_rate: int | None = None
    length: int | None = None
    value_range: tuple[float, float] | None = None
    on_error: Literal["raise", "skip"] = "raise"
    stream: bool | None = None
    random_crop: tuple[float, float] | None = None
    augment: str = "auto"
    mix: Literal["none", "mixup", "cutmix"] = "none"
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check names and combinations."""
        if self.augment != "auto":
            with prefix_errors("augment"):
                augmentations.named(self.augment)
        for size in self.image_size or ():
            arguments.check_integer("image_size", size, minimum=1)
        if self.value_range is not None:
            arguments.check_interval("value_range", self.value_range)
        if self.random_crop is not None:
            arguments.check_interval("random_crop", self.random_crop, above=0, maximum=1)
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

    def forms(self) -> dict[str, Any]:
        """Return the options of :func:`jaxcnn.data.load` for videos, sounds and series."""
        names = ("frames", "frame_step", "sample_rate", "length")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def mixing(self) -> Mix | None:
        """Return the function that mixes images and their labels, or ``None``."""
        mix = _MIXES[self.mix]
        if mix is None or self.alpha is None:
            return mix
        return functools.partial(mix, alpha=self.alpha)


@dataclass(frozen=True, kw_only=True)
class TrainingTable(TrainingOptions):
    """The ``[training]`` table: :class:`~jaxcnn.training.TrainingOptions`, and two options more.

    Attributes:
      metrics: Names of further metrics of the held-out images; ``None`` means those of the task:
        ``mean_iou``; ``map`` and ``map_50``; ``mean_absolute_error`` and ``r2``.
      tensorboard: Whether TensorBoard's event files are written into the run's folder.
    """

    metrics: tuple[str, ...] | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Check all options."""
        super().__post_init__()
        with prefix_errors("metrics"):
            for metric in self.metrics or ():
                arguments.check_known("metric", metric, METRICS)

    def make_metrics(self) -> dict[str, Metric]:
        """Return the metrics by name."""
        return {name: METRICS[name] for name in self.metrics or ()}


@dataclass(frozen=True)
class Recipe:
    """A training.

    >>> recipe = Recipe()
    >>> recipe.training.epochs, recipe.optimizer.name
    (20, 'adam')

    Attributes:
      version: Version of the format.
      task: What the network learns: ``"classify"``, ``"segment"``, ``"detect"`` or ``"regress"``,
        which the labels of the data must allow; ``"auto"`` means what they are for.
      model: The network.
      data: The images.
      optimizer: The optimizer and its learning rate.
      loss: The loss function.
      training: The options of the training.
    """

    version: int = VERSION
    task: Literal["auto", "classify", "segment", "detect", "regress"] = "auto"
    model: ModelOptions = ModelOptions()
    data: DataOptions = DataOptions()
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    training: TrainingTable = TrainingTable()

    def __post_init__(self) -> None:
        """Check combinations of options."""
        if self.version != VERSION:
            raise ValueError(f"version must be 1 or {VERSION}. Received: {self.version}")
        warmup, epochs = self.optimizer.warmup_epochs, self.training.epochs
        with prefix_errors("optimizer", "."):
            check_warmup(self.optimizer.schedule, "warmup_epochs", warmup, epochs)
        first, *_ = self.optimizer.boundaries or (1.0,)
        if first * epochs <= warmup:
            raise ValueError(
                "optimizer.boundaries must come after the warm-up. "
                f"Received: {first!r} of epochs={epochs!r} for warmup_epochs={warmup!r}"
            )

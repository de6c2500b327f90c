"""The options of a training: each is declared, documented and checked here, once.

A recipe's ``[training]`` table is a :class:`TrainingOptions`; :func:`jaxcnn.fit` and
:func:`jaxcnn.make_training` take the same options as keyword arguments.
"""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from jaxcnn import arguments
from jaxcnn.training.mixed_precision import PRECISIONS

T_Function = TypeVar("T_Function", bound=Callable[..., Any])

# An option whose value may differ when a run is resumed.
_MAY_CHANGE = {"may_change": True}


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """The options of a training step.

    Attributes:
      precision: Dtype that the model computes in: ``"float32"``, ``"bfloat16"`` or ``"float16"``;
        the last with dynamic loss scaling
        (:class:`~jaxcnn.training.mixed_precision.LossScale`). Parameters, gradients, optimizer
        state, losses and the statistics of normalizations are float32 in each.
      accumulate: Number of equal parts in which a batch goes through the model, one after the
        other, at least 1. It takes less memory and gives the same gradient to rounding.
        Augmentation and mixing see the whole batch; dropout draws anew for each part. Batch
        normalization sees one part at a time.
      ema: Decay per step of an exponential moving average of the weights, between 0 and 1, such
        as 0.999 (:class:`~jaxcnn.training.moving_average.MovingAverage`); ``None`` keeps none.
      on_nan: Treatment of a loss or gradient that is not finite. ``"raise"`` freezes the state
        before that step; the caller raises when it sees ``metrics.finite`` (``fit`` raises an
        error that names the step and the first layer that is not finite). ``"skip"`` leaves the
        update out, counts it, and leaves a loss that is not finite out of the metrics.
        ``"ignore"`` applies the update. In float16 an overflow that a smaller loss scale can cure
        is always left out, and counts as finite.
    """

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    accumulate: int = 1
    ema: float | None = None
    on_nan: Literal["raise", "skip", "ignore"] = "raise"

    def __post_init__(self) -> None:
        """Check every option."""
        arguments.check_choice("precision", self.precision, PRECISIONS)
        arguments.check_choice("on_nan", self.on_nan, ("raise", "skip", "ignore"))
        self._check_integers("accumulate")
        if self.ema is not None:
            self._set("ema", arguments.check_number("ema", self.ema, above=0, below=1))

    def _check_integers(
        self, *names: str, minimum: int = 1, maximum: int = arguments.LARGEST_INTEGER
    ) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None:
                checked = arguments.check_count(name, value, minimum=minimum, maximum=maximum)
                self._set(name, checked)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # as a plain Python value


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(StepOptions):
    """The options of a training: of its steps, and of the loop over them.

    Attributes:
      epochs: Passes over the data, at least 1.
      batch_size: Images per step, at least 1; `accumulate` divides it. A smaller data set is one
        step.
      steps_per_epoch: Batches that count as an epoch, at least 1; ``None`` means all of the data.
        Data without a known number of images needs it.
      seed: Seed of the order of the images and of all randomness of the training, at least 0.
      balanced: Whether an epoch shows every class equally often, as
        :func:`jaxcnn.data.balanced_order` draws them.
      monitor: Quantity of the history by which epochs are compared, such as
        ``"validation_accuracy"``. ``None`` means a loss: of the moving average on the validation
        images, of the weights on them, or of the training, whichever exists first.
      better: Whether a ``"smaller"`` or a ``"larger"`` `monitor` is better; ``None`` means smaller
        for losses and errors, else larger.
      patience: Number of epochs without improvement of `monitor` after which training stops, at
        least 1; ``None`` never stops early.
      min_improvement: Smallest change of `monitor` that counts as improvement, at least 0.
      restore_best: Whether to return the best epoch's model instead of the last epoch's.
      checkpoint_every: Number of steps between checkpoints within an epoch, at least 1, in
        addition to those at the ends of epochs. Those are all saved unless saving takes more than
        a fiftieth of the time.
      keep_best: Number of best epochs whose checkpoints are kept in addition to the two newest,
        at least 1; ``None`` means 1.
      shard_parameters: Whether several devices split the parameters and the optimizer's state
        among them, for memory; see :meth:`Placement.over <jaxcnn.training.Placement.over>`.
      batch_norm: What shares the statistics of batch normalization where several devices share a
        batch: the whole batch, ``"global"``, so that the number of devices changes nothing; or the
        rows of each ``"device"``, as in PyTorch's ``DistributedDataParallel``, which saves four
        exchanges per layer and step. Running statistics are the mean over the devices.
    """

    epochs: int = 20
    batch_size: int = 64
    steps_per_epoch: int | None = None
    seed: int = 0
    balanced: bool = False
    monitor: str | None = None
    better: Literal["smaller", "larger"] | None = None
    patience: int | None = None
    min_improvement: float = 0.0
    restore_best: bool = field(default=False, metadata=_MAY_CHANGE)
    checkpoint_every: int | None = field(default=None, metadata=_MAY_CHANGE)
    keep_best: int | None = field(default=None, metadata=_MAY_CHANGE)
    shard_parameters: bool = field(default=False, metadata=_MAY_CHANGE)
    batch_norm: Literal["global", "device"] = field(default="global", metadata=_MAY_CHANGE)

    def __post_init__(self) -> None:
        """Check every option, and those that depend on one another."""
        super().__post_init__()
        self._check_integers("epochs", "batch_size", "steps_per_epoch", "patience")
        self._check_integers("checkpoint_every", "keep_best")
        self._check_integers("seed", minimum=0, maximum=2**63 - 1)  # as jax.random.key takes
        arguments.check_flag("balanced", self.balanced)
        arguments.check_flag("restore_best", self.restore_best)
        arguments.check_flag("shard_parameters", self.shard_parameters)
        arguments.check_choice("batch_norm", self.batch_norm, ("global", "device"))
        least = arguments.check_number("min_improvement", self.min_improvement, minimum=0)
        self._set("min_improvement", least)
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise TypeError(
                f"monitor must be the name of a metric. Received: monitor={self.monitor!r}"
            )
        if self.better is not None:
            arguments.check_choice("better", self.better, ("smaller", "larger"))
            if self.monitor is None:
                raise ValueError("better says how to compare a monitor, and there is none")
        if self.min_improvement and self.patience is None:
            raise ValueError(
                "min_improvement needs patience, which waits for it. "
                f"Received: min_improvement={self.min_improvement}"
            )
        if self.batch_size % self.accumulate:
            raise ValueError(
                "accumulate must divide batch_size. "
                f"Received: accumulate={self.accumulate}, batch_size={self.batch_size}"
            )

    def fixed(self) -> dict[str, Any]:
        """Return the options that must stay the same when a run is resumed, by name."""
        names = [f.name for f in dataclasses.fields(TrainingOptions)]
        changeable = {f.name for f in dataclasses.fields(self) if "may_change" in f.metadata}
        return {name: getattr(self, name) for name in names if name not in changeable}


def show_options(kind: type[StepOptions]) -> Callable[[T_Function], T_Function]:
    """Return a decorator that lists the options in a function's signature instead of ``**options``.

    `help`, notebooks and editors then show every option with its default.

    Args:
      kind: The dataclass of the options.
    """

    def decorate(function: T_Function) -> T_Function:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        options = [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
            )
            for f in dataclasses.fields(kind)
        ]
        shown = signature.replace(parameters=[*own, *options])
        setattr(function, "__signature__", shown)  # noqa: B010  # functions declare no such field
        return function

    return decorate

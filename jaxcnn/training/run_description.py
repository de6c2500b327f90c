"""The description of a run, and its checks: a run may come from anywhere."""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from jaxcnn import arguments, shapes
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.labels import TASKS, LabelKind, LabelTask
from jaxcnn.training.output_activation import ACTIVATIONS

# Values of one example, and a number among a model's options: nothing that was trained has more,
# and a network of such sizes would be described for hours.
_MOST_VALUES = 1 << 30
_MOST_OF_OPTION = 1 << 24
# The options of a run's data that are whole numbers.
_NUMBERS = ("frames", "frame_step", "clips", "sample_rate", "length")


@dataclass(frozen=True)
class Run:
    """The contents of ``run.json``.

    Attributes:
      model: Name of the model in the registry; ``None`` for another module.
      options: Options of that model.
      input_shape: Shape of one image, ``(H, W, C)``.
      class_names: Name of each class.
      framing: Size and position of the subjects in the training images.
      data: Source of the data as ``jaxcnn.data.load`` takes it, with its held-out split;
        ``None`` for a data set that was passed to ``fit``.
      metrics: Results on the held-out images.
      activation: Name of the function from the model's outputs to predictions.
      loss: Name and options of the loss; ``None`` for a function of the user's own.
      measures: Names of the further metrics that this library knows, by those of the run.
      epoch: Number of the epoch whose weights were kept; ``None`` in older runs.
      task: What the network learned, as :attr:`jaxcnn.Dataset.task`.
    """

    model: str | None
    options: dict[str, Any]
    input_shape: shapes.Shape
    class_names: tuple[str, ...]
    framing: Framing
    data: dict[str, Any] | None
    metrics: dict[str, Any]
    activation: str = "softmax"
    loss: dict[str, Any] | None = None
    measures: dict[str, str] = field(default_factory=dict)
    epoch: int | None = None
    task: LabelTask = "classify"

    @property
    def clips(self) -> int:
        """The clips of each held-out video, whose predictions are averaged."""
        return int((self.data or {}).get("clips", 1))

    @property
    def kind(self) -> LabelKind:
        """The kind of the labels."""
        if self.task == "classify":
            return "several" if self.activation == "sigmoid" else "class"
        return next(kind for kind, task in TASKS.items() if task == self.task)


def run_from_json(values: Mapping[str, Any], path: Path) -> Run:
    """Return the run that ``run.json`` describes.

    Args:
      values: The object in the file.
      path: Its path, for the errors.

    Raises:
      ValueError: a field is missing, of another type, or out of range; the message names it.
    """
    name = "the file"
    try:
        checked = {}
        for each in fields(Run):
            name = each.name
            # Older runs do not have the fields that have a default.
            if name not in values and not (each.default is each.default_factory is MISSING):
                continue
            checked[name] = _CHECKS[name](values[name])
        return Run(**checked)
    except KeyError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {name}: {error}") from error


def framing_from_json(value: Any) -> Framing:
    """Return the framing that ``run.json`` or the signature of an exported network describes.

    Raises:
      KeyError: a field is missing.
      TypeError: one is of another type, or unknown.
      ValueError: one is out of range.
    """
    _check_table(value)
    value = value | {"shape": _shape(value["shape"])}
    for name in ("extent", "contrast", "ink"):
        arguments.check_number(name, value[name], minimum=0)
    if value["background"] is not None:
        arguments.check_number("background", value["background"], minimum=0, maximum=255)
    for name in {"any_size", "is_pixels"} & value.keys():
        arguments.check_flag(name, value[name])
    if value.get("value_range") is not None:
        arguments.check_interval("value_range", value["value_range"])
    framing = Framing(**value)
    _ = framing.resizing  # checks its words
    return framing


def _options(value: Any) -> dict[str, Any]:
    _check_table(value)
    for name, option in value.items():
        if isinstance(option, int | float) and not abs(option) <= _MOST_OF_OPTION:
            raise ValueError(f"{name} must be at most {_MOST_OF_OPTION:,}. Received: {option}")
    return dict(value)


def _shape(value: Any) -> shapes.Shape:
    shape = shapes.check_shape(value)
    if math.prod(shape) > _MOST_VALUES:
        raise ValueError(f"an example has at most {_MOST_VALUES:,} values. Received: {shape}")
    return shape


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"it must be an array of strings. Received: {arguments.shown(value)}")
    return tuple(value)


def _texts(value: Any) -> dict[str, Any]:
    _check_table(value)
    if not all(each is None or isinstance(each, str) for each in value.values()):
        raise TypeError(f"its values must be strings. Received: {arguments.shown(value)}")
    return dict(value)


def _data(value: Any) -> dict[str, Any]:
    _check_table(value)
    texts = {name: each for name, each in value.items() if name not in _NUMBERS}
    counts = {name: each for name, each in value.items() if name in _NUMBERS and each is not None}
    for name, each in counts.items():
        arguments.check_integer(name, each, minimum=1)
    return _texts(texts) | counts


def _metrics(value: Any) -> dict[str, Any]:
    _check_table(value)
    for name in {"loss", "accuracy"} & value.keys():
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{name} must be a number. Received: {arguments.shown(number)}")
    return dict(value)


def _loss(value: Any) -> dict[str, Any]:
    _check_table(value)
    if not isinstance(value.get("name"), str):
        raise TypeError(f"its name must be a string. Received: {arguments.shown(value)}")
    return dict(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it must be a string. Received: {arguments.shown(value)}")
    return value


def _check_table(value: Any) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"it must be an object. Received: {arguments.shown(value)}")


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "model": _optional(_text),
    "options": _options,
    "input_shape": _shape,
    "class_names": _names,
    "framing": framing_from_json,
    "data": _optional(_data),
    "metrics": _metrics,
    "activation": lambda value: arguments.check_choice("activation", value, ACTIVATIONS),
    "loss": _optional(_loss),
    "measures": _texts,
    "epoch": _optional(lambda value: arguments.check_integer("epoch", value, minimum=1)),
    "task": lambda value: arguments.check_choice("task", value, TASKS.values()),
}

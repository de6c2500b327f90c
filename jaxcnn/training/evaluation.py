"""Evaluation over a whole data set."""

import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, modules
from jaxcnn.augment.positions import VOID
from jaxcnn.data.batching import BatchSource, as_batch_source
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.images import Images
from jaxcnn.data.streaming import Batches
from jaxcnn.other_names import explained
from jaxcnn.training.detection_loss import CLASSES
from jaxcnn.training.evaluation_step import MeasuringStep, make_eval_step
from jaxcnn.training.measurement import Loss
from jaxcnn.training.metrics import Metric
from jaxcnn.training.named_losses import loss_of_labels, resolve_loss
from jaxcnn.training.named_metrics import GivenMetrics, resolve_metrics
from jaxcnn.training.out_of_memory import advise_on_memory
from jaxcnn.training.output_activation import describe_double_activation
from jaxcnn.training.placement import Devices, Placement
from jaxcnn.training.prediction import check_padding, describe_outputs, rows_of_a_step
from jaxcnn.training.state import TrainState, inference_state

# Number of steps that the host prepares ahead of the device: enough to keep it busy, few enough
# that batches in flight need little memory and that progress is shown in time.
STEPS_AHEAD = 2


@dataclass(frozen=True)
class Evaluation:
    """Metrics over a whole data set, every image counted once.

    Attributes:
      loss: Mean loss per example.
      accuracy: Share of labels predicted correctly, in [0, 1].
      examples: Number of examples.
      metrics: Results of the further metrics by name.
    """

    loss: float
    accuracy: float
    examples: int
    metrics: dict[str, Any]


@explained
def evaluate(
    model: nnx.Module,
    data: BatchSource | tuple[Images, np.ndarray] | Batches,
    *,
    batch_size: int = 256,
    loss: Loss | str | None = None,
    metrics: GivenMetrics | None = None,
    devices: Devices = "all",
) -> Evaluation:
    """Return mean loss and accuracy over the whole data set, every image counted once.

    Args:
      model: As for :func:`fit`.
      data: Images and labels to evaluate on: a :class:`jaxcnn.Dataset`, a pair, which is made one,
        a stream, or batches that end.
      batch_size: Images per step, at least 1; the result does not depend on it. Fewer images are
        filled up as by :func:`predict`.
      loss: Maps the model's outputs and the labels of a batch to losses ``(batch,)``, or the name
        of a loss of :mod:`jaxcnn.training`. ``None`` means that of the labels, as for :func:`fit`.
      metrics: Further metrics, as for :func:`fit`.
      devices: The devices that share each batch, as for :func:`fit`.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: ``batch_size`` is below 1, the devices do not divide the rows of given batches, or
        the model does not fit the data.
    """
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    source = as_batch_source("data", data)
    sample = source.sample
    resolved = resolve_metrics(metrics)
    loss = resolve_loss(loss_of_labels(sample) if loss is None else loss)
    step = make_eval_step(model, loss=loss, metrics=resolved)
    if warning := describe_double_activation(loss, check_fits(model, sample)):
        warnings.warn(warning, stacklevel=3)  # at the call of evaluate
    placement = Placement.over(devices)
    count = source.num_examples
    size = source.fixed_batch_size or batch_size
    if count is not None and source.fixed_batch_size is None:
        size = rows_of_a_step(count, batch_size, placement.num_devices)
    placement.check_batch_size(size)
    with advise_on_memory(batch_size, trains=False):
        state = placement.put_state(inference_state(model))
        return evaluate_state(
            step, state, source, batch_size=size, metrics=resolved, placement=placement
        )


def check_fits(model: nnx.Module, data: Dataset) -> str | None:
    """Check that the outputs of a model fit the labels of a data set.

    Returns:
      The activation in which the model ends, if it is a softmax or a sigmoid.

    Raises:
      TypeError: ``model`` is not a module, or does not return an array.
      ValueError: the shape does not fit.
    """
    modules.check_module("model", model)
    check_padding(model, data.images)
    shape, ending = describe_outputs(model, data.images)
    labels, classes = data.labels, len(data.class_names)
    if data.kind in ("class", "positions"):
        fits = len(shape) > 1 and shape[1:-1] == labels.shape[1:] and shape[-1] >= classes
        axes = ", ".join(map(str, ("batch", *labels.shape[1:], "classes")))
        needed = f"({axes}) with at least {classes} classes, as the data has"
        if fits and data.kind == "positions" and classes <= VOID < shape[-1]:
            fits, needed = False, f"{needed}, and at most {VOID}, which is void"
    elif data.kind == "boxes":
        fits = len(shape) == 3 and shape[-1] == CLASSES + classes
        needed = (
            f"(batch, locations, {CLASSES + classes}), as detectors do for {classes} classes, "
            "such as models.create('fcos')"
        )
    else:
        fits, axes = shape[1:] == labels.shape[1:], ", ".join(map(str, labels.shape[1:]))
        needed = f"(batch, {axes}), as labels {labels.dtype} {labels.shape} are"
    if not fits:
        raise ValueError(
            f"the model must map images to {needed}. Received: {shape[1:]} for each image"
        )
    return ending


class Sums:
    """Running sums of the metrics of steps, a few steps behind the device.

    They are added on the host, integers as int64 and others as float64, in the order of the steps:
    the same sums to the last bit wherever a run was interrupted.
    """

    def __init__(self, total: Any = None) -> None:
        """Start from `total`, such as the total of another ``Sums``."""
        self.total = total
        self._waiting: deque[Any] = deque()

    def add(self, measured: Any) -> Any:
        """Add the metrics of a step; return those of an earlier step, or ``None``."""
        self._waiting.append(measured)
        return self._take() if len(self._waiting) > STEPS_AHEAD else None

    def rest(self) -> Iterator[Any]:
        """Wait for the steps in flight, and yield their metrics."""
        while self._waiting:
            yield self._take()

    def _take(self) -> Any:
        measured = jax.device_get(self._waiting.popleft())
        wide = jax.tree.map(_widened, measured)
        self.total = wide if self.total is None else jax.tree.map(np.add, self.total, wide)
        return measured


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64 if np.issubdtype(array.dtype, np.integer) else np.float64)


def evaluate_state(
    step: MeasuringStep,
    state: TrainState,
    data: BatchSource,
    *,
    batch_size: int,
    metrics: Mapping[str, Metric],
    placement: Placement,
) -> Evaluation:
    """Return the result of :func:`evaluate` for a state, by a step that was made for `metrics`."""
    sums, gathered = Sums(), []
    for batch in placement.batches(data, batch_size):
        whole, measured = step(state, batch)
        rows = {name: measured.pop(name) for name in metrics if metrics[name].gathers}
        gathered.append(placement.gather(rows))
        sums.add((whole, measured))
    for _ in sums.rest():
        pass
    if sums.total is None:
        raise ValueError(
            f"data must give a batch in each evaluation, not only in the first one. Received: none "
            f"from {data!r}"
        )
    total, measured = sums.total
    measured |= jax.tree.map(lambda *parts: np.concatenate(parts), *jax.device_get(gathered))
    losses, correct, examples = total.loss_sum, total.correct, total.examples
    results = {name: metric.result(measured[name]) for name, metric in metrics.items()}
    return Evaluation(float(losses / examples), float(correct / examples), int(examples), results)

"""The range test: a learning rate found by one short run in which it grows."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.named_policies import GivenAugment
from jaxcnn.data.batching import BatchSource, as_batch_source, steps_per_epoch
from jaxcnn.data.drawing import Batch
from jaxcnn.data.images import Images
from jaxcnn.data.streaming import Batches
from jaxcnn.other_names import explained
from jaxcnn.training.measurement import Loss
from jaxcnn.training.named_losses import loss_of_labels
from jaxcnn.training.optimizers import make_optimizer
from jaxcnn.training.placement import Devices, Placement
from jaxcnn.training.training_step import make_training

MakeOptimizer: TypeAlias = Callable[..., optax.GradientTransformation]

# The average reaches back about 10 steps. fastai's 0.98 reaches back 50, which in a run of 100
# shifts the curve to rates several times as high.
_SMOOTHING = 0.9
_DIVERGED = 4
_FEWEST_STEPS = 20
_MOST_STEPS = 1_000_000


class LearningRateSearch(NamedTuple):
    """The result of a range test: arrays of one number per step, until the loss diverged.

    Attributes:
      rates: Learning rates, float64, each larger than the last by the same factor.
      losses: Mean loss of each batch before the step with that rate, float64, finite.
      smoothed: Exponential moving average of the losses.
      suggestion: The rate around which the smoothed loss fell most.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float


@explained
def find_learning_rate(
    model: nnx.Module,
    data: BatchSource | tuple[Images, np.ndarray] | Batches,
    *,
    optimizer: str | MakeOptimizer = "sgd",
    loss: Loss | str | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 64,
    augment: GivenAugment | None = None,
    seed: int = 0,
    devices: Devices = "all",
) -> LearningRateSearch:
    """Train a copy of a model while the learning rate grows; return where the loss fell most.

    The rate grows by the same factor at each step, from `lowest` to `highest` (Smith, 2017,
    arXiv 1506.01186). At first it is too small to have an effect, then the loss falls, and then it
    diverges: the run ends when the loss is not finite or, smoothed, above 4 times its minimum, as
    in fastai. The model passed in is not changed.

    The suggestion is the rate in the middle of the tenfold growth over which the smoothed loss fell
    most, before its minimum: the steepest descent over the logarithm of the rate, as fastai's
    ``steep``, but over many steps, because the difference between two consecutive steps is
    dominated by their batches. As a rule of thumb it is the peak of a schedule that warms up and
    falls, such as one-cycle, for the same optimizer and batch size. It is accurate to about a
    factor of 5; a constant rate should be a few times smaller.
    :func:`jaxcnn.insight.plots.learning_rate_search` draws the curve.

    >>> from jaxcnn.data import load
    >>> from jaxcnn.layers import dense, flatten, serial
    >>> data = load("digits").take(slice(0, 500))
    >>> model = serial(flatten(), dense(10)).build(data.image_shape, rngs=nnx.Rngs(0))
    >>> result = find_learning_rate(model, data, highest=100.0)
    >>> 0.2 < result.suggestion < 1
    True

    Args:
      model: As for :func:`jaxcnn.make_training`.
      data: As for :func:`jaxcnn.fit`.
      optimizer: A name that :func:`~jaxcnn.training.make_optimizer` knows, or a function of
        ``learning_rate=``, a schedule, that returns an Optax transformation, such as
        ``optax.adam`` or ``functools.partial(make_optimizer, "sgd", momentum=0.95)``.
      loss: As for :func:`~jaxcnn.fit`; at least 0.
      lowest: The first rate, above 0.
      highest: The last rate, at least 100 times `lowest`.
      steps: Number of rates, from 20 to 1,000,000.
      batch_size: Images per step, at least 1; a smaller data set is one step.
      augment: As for :func:`jaxcnn.make_training`.
      seed: Seed of the order of the images and of all randomness of the training, at least 0.
      devices: The devices that share each batch, as for :func:`jaxcnn.fit`.

    Returns:
      The rates, the losses and the suggestion.

    Raises:
      TypeError: an argument has the wrong type.
      ValueError: an argument is out of range, or the loss did not fall while the rate grew tenfold.
    """
    rates = _rates(lowest, highest, steps)
    seed = arguments.check_count("seed", seed, minimum=0, maximum=2**63 - 1)
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    source = as_batch_source("data", data)
    placement, count = Placement.over(devices), source.num_examples
    batch_size = placement.rows_of_a_step(source, batch_size)
    transformation = _optimizer(optimizer, rates)
    init, step = make_training(
        model,
        transformation,
        loss=loss_of_labels(source.sample) if loss is None else loss,
        augment=augment,
        steps_per_epoch=steps if count is None else steps_per_epoch(source, batch_size),
        on_nan="ignore",
    )
    state = placement.put_state(init(jax.random.key(seed)))
    losses: list[float] = []
    average, smoothed = 0.0, []
    for batch in itertools.islice(_endless(placement, source, batch_size, seed), steps):
        state, metrics = step(state, batch)
        value = float(metrics.loss)
        if not math.isfinite(value):
            break
        average = _SMOOTHING * average + (1 - _SMOOTHING) * value
        losses.append(value)
        smoothed.append(average / (1 - _SMOOTHING ** len(losses)))
        if smoothed[-1] > _DIVERGED * min(smoothed):
            break
    tried, curve = rates[: len(losses)], np.array(smoothed)
    return LearningRateSearch(tried, np.array(losses), curve, _steepest(rates, curve))


def _rates(lowest: float, highest: float, steps: int) -> np.ndarray:
    lowest = arguments.check_number("lowest", lowest, above=0)
    highest = arguments.check_number("highest", highest, above=0)
    if highest < 100 * lowest:
        raise ValueError(
            "highest must be at least 100 times lowest. "
            f"Received: highest={arguments.shown(highest)} for lowest={arguments.shown(lowest)}"
        )
    return np.geomspace(
        lowest,
        highest,
        arguments.check_count("steps", steps, minimum=_FEWEST_STEPS, maximum=_MOST_STEPS),
    )


def _optimizer(optimizer: str | MakeOptimizer, rates: np.ndarray) -> optax.GradientTransformation:
    table = jnp.asarray(rates, jnp.float32)

    def schedule(count: jax.Array) -> jax.Array:
        return table[count]

    if isinstance(optimizer, str):
        return make_optimizer(optimizer, learning_rate=schedule)
    if not callable(optimizer):
        raise TypeError(
            "optimizer must be a name, or a function of learning_rate such as optax.adam. "
            f"Received: optimizer={arguments.shown(optimizer)}"
        )
    return optimizer(learning_rate=schedule)


def _endless(
    placement: Placement, data: BatchSource, batch_size: int, seed: int
) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from placement.batches(data, batch_size, seed=seed, epoch=epoch)


def _steepest(rates: np.ndarray, smoothed: np.ndarray) -> float:
    """Return the middle of the tenfold growth over which the smoothed loss falls most.

    Of mnist_cnn on the digits, with five seeds, it is 0.015 to 0.064 for SGD and 0.0025 to 0.004
    for Adam. In 4 epochs of one-cycle, of the peaks 1, 3, 10, … SGD did best with 0.01 and 0.03 and
    failed with 0.1; Adam did well with 0.003 and best with 0.01 and 0.03. From one step to the next
    the loss falls most anywhere from 1e-6 to 0.17.
    """
    tenfold = max(round((len(rates) - 1) / math.log10(rates[-1] / rates[0])), 1)
    end = int(smoothed.argmin()) + 1 if smoothed.size else 0
    falls = smoothed[: max(end - tenfold, 0)] - smoothed[tenfold:end]
    # A millionth may be rounding.
    if not falls.size or falls.max() <= 1e-6 * smoothed[0]:
        raise ValueError(
            "the loss must be finite and fall while the rate grows tenfold: begin with a smaller "
            "lowest, end with a larger highest, and see that the model has an output for each "
            f"class. Received: {len(smoothed)} finite losses without such a fall"
        )
    return float(rates[falls.argmax() + tenfold // 2])

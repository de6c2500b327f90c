"""Schedules of the learning rate."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxcnn import arguments
from jaxcnn.other_names import explained

SCHEDULES = ("constant", "cosine", "linear", "one_cycle", "piecewise")


def check_steps(epochs: int, steps_per_epoch: int) -> int:
    """Return the number of steps of a training.

    Raises:
      ValueError: there are more.
    """
    most = arguments.LARGEST_INTEGER // steps_per_epoch
    if epochs > most:
        raise ValueError(
            f"epochs must be at most {most:,} with {steps_per_epoch:,} steps in each, because "
            f"steps are counted in 32 bits. Received: epochs={epochs}"
        )
    return epochs * steps_per_epoch


@explained
def make_schedule(
    name: str,
    *,
    peak: float,
    steps: int,
    warmup_steps: int = 0,
    final: float | None = None,
    boundaries: Sequence[int] | Sequence[float] | None = None,
    factor: float | None = None,
) -> optax.Schedule:
    """Return a schedule of the learning rate by name.

    - ``"constant"``: the peak.
    - ``"cosine"``: from the peak to ``final`` along half a cosine (Loshchilov and Hutter, 2017).
    - ``"linear"``: from the peak to ``final`` along a straight line.
    - ``"one_cycle"`` (Smith and Topin, 2018): from a 25th of the peak to the peak in the first 30 %
      of the steps, rounded down, and to a 250,000th of it at the end, both along half a cosine.
      With ``total_steps=steps``, PyTorch's ``OneCycleLR`` is at its peak and at its end one step
      earlier, and moves the momentum too.
    - ``"piecewise"``: the peak, multiplied by ``factor`` at each of the boundaries.

    >>> schedule = make_schedule("cosine", peak=0.1, steps=10, warmup_steps=2)
    >>> [round(float(schedule(step)), 3) for step in range(0, 11, 2)]
    [0.0, 0.1, 0.085, 0.05, 0.015, 0.0]

    Args:
      name: Name of the curve.
      peak: The largest rate, above 0.
      steps: Number of steps of the whole run, at least 1. The rate of the last one, ``steps - 1``,
        is just above the end of the curve.
      warmup_steps: Number of steps, below `steps`, in which the rate rises linearly from 0 to the
        peak before the curve starts; 0 for ``"one_cycle"``, which rises itself.
      final: Last value of ``"cosine"`` and ``"linear"``, from 0 to the peak; ``None`` means 0.
      boundaries: Steps at which ``"piecewise"`` changes, in rising order, counted from the start
        of the run and after the warm-up: step numbers, or shares of the run between 0 and 1, which
        are rounded to steps.
      factor: Factor of ``"piecewise"`` at each boundary, above 0; ``None`` means 0.1.

    Returns:
      A function of the number of steps taken, an int or int32, to a float32 rate.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: there is no such schedule, or an option is out of range or not one of its own.
    """
    steps = arguments.check_count("steps", steps)
    check_schedule(name, peak=peak, final=final, boundaries=boundaries, factor=factor)
    warmup = check_warmup(name, "warmup_steps", warmup_steps, steps)
    peak, final = float(peak), 0.0 if final is None else float(final)
    if name == "one_cycle":
        schedule = optax.cosine_onecycle_schedule(steps, peak)
    elif name == "cosine":
        schedule = optax.cosine_decay_schedule(peak, steps - warmup, alpha=final / peak)
    elif name == "linear":
        schedule = optax.linear_schedule(peak, final, steps - warmup)
    elif name == "piecewise":
        scales = _scales(boundaries, 0.1 if factor is None else float(factor), steps, warmup)
        schedule = optax.piecewise_constant_schedule(peak, scales)
    else:
        schedule = optax.constant_schedule(peak)
    if warmup:
        rise = optax.linear_schedule(0.0, peak, warmup)
        schedule = optax.join_schedules([rise, schedule], [warmup])
    # Rounding may bring a line that ends at 0 below it.
    return allow_promotion(lambda count: jnp.maximum(jnp.asarray(schedule(count), jnp.float32), 0))


def check_schedule(
    name: str,
    *,
    peak: float,
    final: float | None = None,
    boundaries: Sequence[int] | Sequence[float] | None = None,
    factor: float | None = None,
) -> None:
    """Check the options of :func:`make_schedule` that do not depend on the number of steps.

    Raises:
      TypeError: an option has the wrong type.
      ValueError: there is no such schedule, or an option is out of range or not one of its own.
    """
    arguments.check_known("schedule", name, SCHEDULES)
    peak = arguments.check_number("peak", peak, above=0)
    check_owner("final", final, name, ("cosine", "linear"))
    check_owner("boundaries", boundaries, name, ("piecewise",))
    check_owner("factor", factor, name, ("piecewise",))
    if final is not None:
        arguments.check_number("final", final, minimum=0, maximum=peak)
    if factor is not None:
        arguments.check_number("factor", factor, above=0)
    if name == "piecewise":
        _check_boundaries(boundaries)


def check_warmup(name: str, option: str, warmup: Any, total: float) -> Any:
    """Return the length of a warm-up, in steps or epochs, which must be below the total.

    Args:
      name: Name of the schedule.
      option: Name of the option, for the error.
      warmup: Length of the warm-up; an integer if it is in steps.
      total: Length of the training in the same unit.

    Raises:
      TypeError: the length has the wrong type.
      ValueError: it is out of range, or the schedule has no warm-up.
    """
    check = arguments.check_integer if option.endswith("steps") else arguments.check_number
    length = check(option, warmup, minimum=0)
    if length and name == "one_cycle":
        raise ValueError(
            f"{option} must be 0 for one_cycle, which rises itself. Received: {option}={warmup!r}"
        )
    if length >= total:
        unit = option.removeprefix("warmup_")
        raise ValueError(
            f"{option} must be below {unit}. Received: {option}={warmup!r} of {unit}={total!r}"
        )
    return length


def check_owner(option: str, value: Any, name: str, owners: Sequence[str] | dict[str, Any]) -> None:
    """Check that an option that is given is one of the named optimizer or schedule."""
    if value is not None and name not in owners:
        raise ValueError(
            f"{option} is an option of {', '.join(owners)}. Received: {option}={value!r} for {name}"
        )


def _check_boundaries(boundaries: Any) -> None:
    received = f"Received: boundaries={boundaries!r}"
    if not arguments.is_sequence(boundaries) or not len(boundaries):
        raise TypeError(f"boundaries must be step numbers, or shares of the run. {received}")
    if _are_shares(boundaries):
        end, rule = 1.0, "shares of the run between 0 and 1"
    else:
        for step in boundaries:
            arguments.check_count("boundaries", step)
        end, rule = float("inf"), "step numbers of at least 1"
    if not all(low < high for low, high in zip([0, *boundaries], [*boundaries, end], strict=True)):
        raise ValueError(f"boundaries must be {rule}, in rising order. {received}")


def _are_shares(boundaries: Sequence[Any]) -> bool:
    return all(isinstance(share, float) for share in boundaries)


def _scales(boundaries: Any, factor: float, steps: int, warmup: int) -> dict[int, float]:
    """Return the factor of the rate by step, counted after the warm-up, where it changes."""
    received = f"Received: boundaries={boundaries!r}"
    if _are_shares(boundaries):
        # A boundary at 0 would leave no step to the peak.
        places = [max(round(share * steps), 1) for share in boundaries]
    else:
        places = [int(step) for step in boundaries]
        if places[-1] >= steps:
            rule = f"step numbers from 1 to {steps - 1}, in rising order"
            raise ValueError(f"boundaries must be {rule}. {received}")
    if places[0] <= warmup:
        raise ValueError(f"boundaries must come after the {warmup} steps of warm-up. {received}")
    scales: dict[int, float] = {}
    for place in places:  # of a short run, two shares may be the same step
        scales[place - warmup] = scales.get(place - warmup, 1.0) * factor
    return scales


def allow_promotion(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with dtype promotion allowed where the user has forbidden it.

    Optax's Adam and schedules multiply Python's floats with an int32 count of the steps.
    """

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*args, **options)

    return call

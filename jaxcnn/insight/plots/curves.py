"""Curves of a training: losses and metrics over epochs, and the search of a learning rate."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)

from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.percent_axes import show_percent
from jaxcnn.training.history import Epoch
from jaxcnn.training.learning_rate_finder import LearningRateSearch

# Curves with at most this many epochs show each as a dot.
_MOST_DOTS = 25
# A logarithmic axis helps where the largest loss is this many times the smallest.
_LOGARITHMIC = 10
# Height of a label as a share of the axes, and the most labels of the usual size.
_LINE_HEIGHT, _MOST_LABELS = 0.066, 15
_LONGEST = 26  # letters of the name of a run
_TRAINING, _HELD_OUT, _AVERAGED = "training", "held out", "held out, EMA"


class _Curve(NamedTuple):
    """One line: its name, its epochs and values, its look, and whether its best is marked."""

    name: str
    epochs: Sequence[int]
    values: np.ndarray
    color: str
    style: str = "-"
    marked: bool = False


@styled
def learning_curves(history: Sequence[Epoch]) -> Drawing:
    """Draw loss and accuracy over the epochs, for training and held-out images.

    Where there is no accuracy, as in detection and regression, it is the first further metric.

    A ring marks the best epoch of the held-out images, under the moving average of the weights
    where there is one. The loss has a logarithmic axis if it falls to a tenth.

    Args:
      history: One row per epoch, at least one.
    """
    figure = Drawing(figsize=(10, 3.8))
    panels = figure.subplots(1, 2)
    shown = [("", _TRAINING), ("validation_", _HELD_OUT), ("ema_", _AVERAGED)]
    shown = [(prefix, name) for prefix, name in shown if _has(history, f"{prefix}loss")]
    for axes, quantity in zip(panels, _quantities([history]), strict=True):
        curves = [
            _curve(
                history, prefix, quantity, name, f"C{number}", marked=number == len(shown) - 1 > 0
            )
            for number, (prefix, name) in enumerate(shown)
        ]
        _draw(axes, quantity, curves, value_first=False)
    return figure


@styled
def comparison(histories: Mapping[str, Sequence[Epoch]]) -> Drawing:
    """Draw the loss and accuracy of several runs, each in a color of its own.

    Held-out images are drawn as lines, of the moving average of the weights where there is one,
    with a ring at the best epoch; training as dots.

    Args:
      histories: By the name of the run: one row per epoch.
    """
    # Names stand beside the lines, and take room.
    figure = Drawing(figsize=(12.5, 4.2))
    panels = figure.subplots(1, 2)
    for axes, quantity in zip(panels, _quantities(histories.values()), strict=True):
        curves, dots = [], []
        for number, (name, history) in enumerate(histories.items()):
            held_out = "ema_" if _has(history, "ema_loss") else "validation_"
            # After seven runs the colors repeat, with another style.
            color, style = f"C{number % 7}", ("-", "--", "-.")[number // 7 % 3]
            training = _curve(history, "", quantity, _shortened(name), color, style=":")
            if _has(history, f"{held_out}loss"):
                dots.append(training)
                curves.append(
                    _curve(
                        history,
                        held_out,
                        quantity,
                        _shortened(name),
                        color,
                        style=style,
                        marked=True,
                    )
                )
            else:
                curves.append(training)
        _draw(axes, quantity, curves, unnamed=dots, value_first=True)
    figure.suptitle("Lines: held-out images. Dots: training images", fontsize=9.5, weight="normal")
    return figure


@styled
def learning_rate_search(result: LearningRateSearch) -> Drawing:
    """Draw the loss over the learning rate, and the suggested rate.

    Args:
      result: What :func:`jaxcnn.training.find_learning_rate` returns.
    """
    figure = Drawing(figsize=(6.4, 3.8))
    axes = figure.subplots()
    axes.plot(result.rates, result.losses, color="C0", alpha=0.35, lw=1, label="each batch")
    axes.plot(result.rates, result.smoothed, color="C0", label="smoothed")
    axes.axvline(result.suggestion, color="C1", linestyle="--", label="suggestion")
    # The last losses of a run that leaves its range would flatten everything before.
    top = 1.1 * max(result.smoothed[0], result.smoothed[:-1].max())
    low = min(result.losses.min(), result.smoothed.min())
    axes.set(
        title="Search of the learning rate",
        xlabel="learning rate (logarithmic)",
        ylabel="loss of the batch",
        xscale="log",
        xlim=(result.rates[0], result.rates[-1]),
        ylim=(low - 0.05 * (top - low), top),
    )
    axes.text(
        result.suggestion, 1.01, f"suggestion: {result.suggestion:.2g}", color="C1", fontsize=9,
        ha="center", transform=axes.get_xaxis_transform(),
    )  # fmt: skip
    axes.set_title(axes.get_title(loc="left"), pad=20)
    axes.legend(handles=axes.lines[:2])
    return figure


def _shortened(name: str) -> str:
    """Return the name of a run without its middle if it is long; runs differ at their ends."""
    return (
        name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2 - 3]}…{name[-_LONGEST // 2 :]}"
    )


class _Quantity(NamedTuple):
    """What one panel shows, and how its values are written."""

    name: str
    title: str
    label: str
    better: Callable[[np.ndarray], np.intp]
    write: Callable[[float], str]


_LOSS = _Quantity("loss", "Loss", "mean loss per image", np.nanargmin, "{:.3g}".format)
_ACCURACY = _Quantity("accuracy", "Accuracy", "images correct", np.nanargmax, "{:.1%}".format)


def _quantities(histories: Iterable[Sequence[Epoch]]) -> tuple[_Quantity, _Quantity]:
    """Return the loss, and the accuracy or, where there is none, the first further metric."""
    rows = [row for history in histories for row in history]
    if any(math.isfinite(row.accuracy) for row in rows):
        return _LOSS, _ACCURACY
    metrics = [name for row in rows for name in row.metrics if name in row.numbers()]
    if not metrics:
        return _LOSS, _ACCURACY
    name = metrics[0]
    better = np.nanargmin if name.endswith("error") else np.nanargmax
    return _LOSS, _Quantity(name, name, "held-out images", better, "{:.3g}".format)


def _has(history: Sequence[Epoch], quantity: str) -> bool:
    return any(getattr(row, quantity) is not None for row in history)


def _curve(
    history: Sequence[Epoch],
    prefix: str,
    quantity: _Quantity,
    name: str,
    color: str,
    *,
    style: str = "-",
    marked: bool = False,
) -> _Curve:
    # None, where nothing was held out, becomes NaN, a gap.
    name_of_value = prefix + quantity.name if quantity in (_LOSS, _ACCURACY) else quantity.name
    known = quantity in (_LOSS, _ACCURACY) or prefix  # training has no further metrics
    numbers = [row.numbers().get(name_of_value) if known else None for row in history]
    values = np.array(numbers, float)
    values[~np.isfinite(values)] = np.nan
    return _Curve(name, [row.epoch for row in history], values, color, style, marked)


def _draw(
    axes: Axes,
    quantity: _Quantity,
    curves: Sequence[_Curve],
    *,
    unnamed: Sequence[_Curve] = (),
    value_first: bool,
) -> None:
    drawn = [*unnamed, *curves]
    axes.set(title=quantity.title, xlabel="epoch", ylabel=quantity.label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    for curve in drawn:
        dots = "o" if len(curve.epochs) <= _MOST_DOTS and curve.style != ":" else ""
        axes.plot(
            curve.epochs, curve.values, curve.style, color=curve.color, label=curve.name,
            marker=dots or ("." if len(curve.epochs) == 1 else ""), markersize=3,
        )  # fmt: skip
    _scale(axes, quantity, np.concatenate([curve.values for curve in drawn]))
    epochs = [epoch for curve in drawn for epoch in curve.epochs]
    room = 0.03 * (max(epochs) - min(epochs)) or 0.5  # a single epoch is in the middle
    axes.set_xlim(min(epochs) - room, max(epochs) + room)
    _mark_best(axes, quantity, [curve for curve in curves if curve.marked])
    _label_ends(axes, quantity, curves, value_first=value_first)


def _scale(axes: Axes, quantity: _Quantity, values: np.ndarray) -> None:
    """Let the axis begin and end where the values do."""
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if quantity.name == "accuracy":
        show_percent(axes, "y", low, high)
    elif 0 < low <= high / _LOGARITHMIC:
        room = (high / low) ** 0.05
        axes.set(yscale="log", ylabel=f"{quantity.label} (logarithmic)")
        axes.set_ylim(low / room, high * room)
        # Two ticks in a decade are enough where there are many.
        subs = (1, 2, 5) if high / low < 1e3 else (1,) if high / low > 1e6 else (1, 3)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.05 * ((high - low) or abs(high) or 1)
        axes.set_ylim(low - room, high + room)


def _mark_best(axes: Axes, quantity: _Quantity, curves: Sequence[_Curve]) -> None:
    """Draw a ring at the best epoch of each curve; of one curve its number and value as well."""
    for curve in curves:
        if np.isfinite(curve.values).any():
            best = int(quantity.better(curve.values))
            place = curve.epochs[best], curve.values[best]
            axes.scatter(
                *place, s=70, facecolors="none", edgecolors=curve.color, linewidths=1.6, zorder=3,
                clip_on=False,
            )  # fmt: skip
            if len(curves) == 1:
                axes.set_title(
                    f"◯ best: {quantity.write(place[1])}, epoch {place[0]}",
                    loc="right", fontsize=9, weight="normal", color=curve.color,
                )  # fmt: skip


def _label_ends(
    axes: Axes, quantity: _Quantity, curves: Iterable[_Curve], *, value_first: bool
) -> None:
    """Write the last value and the name of each curve beside its end, without overlaps."""
    ends = []
    for curve in curves:
        known = np.flatnonzero(np.isfinite(curve.values))
        if known.size:
            ends.append((curve, curve.epochs[known[-1]], float(curve.values[known[-1]])))
    to_share = axes.transData + axes.transAxes.inverted()
    heights = [float(to_share.transform((epoch, value))[1]) for _, epoch, value in ends]
    apart = min(_LINE_HEIGHT, 1 / max(len(ends), 1))
    size = 9 if len(ends) <= _MOST_LABELS else max(9 * _MOST_LABELS / len(ends), 4)
    for (curve, epoch, value), height in zip(ends, spread(heights, apart=apart), strict=True):
        name, number = curve.name, quantity.write(value)
        axes.annotate(
            f"{number}  {name}" if value_first else f"{name} {number}",
            (epoch, value), (1.035, height), xycoords="data", textcoords="axes fraction",
            color=curve.color, fontsize=size, va="center", annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": curve.color, "lw": 0.6, "alpha": 0.6, "shrinkA": 1,
                "shrinkB": 3, "relpos": (0, 0.5),
            },
            parse_math=False,
        )  # fmt: skip


def spread(heights: Sequence[float], *, apart: float) -> list[float]:
    """Return heights that are at least `apart` from each other, in the same order.

    Of those that were closer, the mean stays. All stay in [0, 1] where there is room.

    >>> [round(height, 3) for height in spread([0.5, 0.52, 0.9], apart=0.1)]
    [0.46, 0.56, 0.9]

    Args:
      heights: Heights as shares of the axes, in any order.
      apart: The least distance.
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    groups: list[list[int]] = []
    middles: list[float] = []

    def middle(group: list[int]) -> float:
        half = (len(group) - 1) * apart / 2
        mean = math.fsum(heights[index] for index in group) / len(group)
        return max(min(mean, 1 - half), half)

    for index in order:
        groups.append([index])
        middles.append(middle([index]))
        # Groups that overlap become one, around the mean of all.
        while len(groups) > 1 and (
            middles[-1] - middles[-2] < (len(groups[-1]) + len(groups[-2])) * apart / 2 - 1e-9
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
            middles[-2:] = [middle(groups[-1])]
    placed = [0.0] * len(heights)
    for group, center in zip(groups, middles, strict=True):
        for place, index in enumerate(group):
            placed[index] = center + (place - (len(group) - 1) / 2) * apart
    return placed

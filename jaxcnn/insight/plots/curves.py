"""Curves of a training: losses and metrics over epochs, and the search of a learning rate."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.training.history import Epoch
from jaxcnn.training.learning_rate_finder import LearningRateSearch


@styled
def learning_curves(history: Sequence[Epoch]) -> Drawing:
    """Draw loss and accuracy over the epochs, for training and held-out images.

    Args:
      history: One row per epoch, at least one.
    """
    figure = Drawing(figsize=(9, 3.6), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = [row.epoch for row in history]
    for label, prefix in (
        ("training", ""),
        ("held out", "validation_"),
        ("held out, EMA", "ema_"),
    ):
        if getattr(history[0], f"{prefix}loss") is None:
            continue
        losses.plot(epochs, [getattr(row, f"{prefix}loss") for row in history], label=label)
        accuracies.plot(epochs, [getattr(row, f"{prefix}accuracy") for row in history], label=label)
    _name_curves(losses, accuracies)
    return figure


@styled
def comparison(histories: Mapping[str, Sequence[Epoch]]) -> Drawing:
    """Draw the loss and accuracy of several runs, each in a color of its own.

    Held-out images are drawn as lines, of the moving average of the weights where there is one;
    training as dots.

    Args:
      histories: By the name of the run: one row per epoch.
    """
    figure = Drawing(figsize=(11, 4.2), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for number, (name, history) in enumerate(histories.items()):
        epochs, color = [row.epoch for row in history], f"C{number}"
        for axes, what in ((losses, "loss"), (accuracies, "accuracy")):
            axes.plot(epochs, [getattr(row, what) for row in history], ":", color=color)
            held_out = [
                getattr(row, f"{'validation' if row.ema_loss is None else 'ema'}_{what}")
                for row in history
            ]
            # None, where nothing was held out, is drawn as a gap.
            axes.plot(epochs, np.array(held_out, float), color=color, label=name)
    _name_curves(losses, accuracies)
    figure.suptitle("lines: held-out images, dots: training")
    return figure


@styled
def learning_rate_search(result: LearningRateSearch) -> Drawing:
    """Draw the loss over the learning rate, and the suggested rate.

    Args:
      result: What :func:`jaxcnn.training.find_learning_rate` returns.
    """
    figure = Drawing(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(result.rates, result.losses, color="C0", alpha=0.35, label="each batch")
    axes.plot(result.rates, result.smoothed, color="C0", label="smoothed")
    label = f"suggestion: {result.suggestion:.2g}"
    axes.axvline(result.suggestion, color="C1", linestyle="--", label=label)
    # The last losses of a run that leaves its range would flatten everything before.
    top = 1.1 * max(result.smoothed[0], result.smoothed[:-1].max())
    axes.set(title="Range test", xlabel="learning rate", ylabel="loss", xscale="log")
    axes.set_ylim(0, top)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _name_curves(losses: Axes, accuracies: Axes) -> None:
    losses.set(title="Loss", xlabel="epoch", ylabel="mean loss", yscale="log")
    for axis_ticks in (losses.yaxis.set_major_formatter, losses.yaxis.set_minor_formatter):
        axis_ticks(LogFormatter(minor_thresholds=(2, 0.5)))  # 0.5 rather than 5 · 10⁻¹
    accuracies.set(title="Accuracy", xlabel="epoch", ylabel="share classified rightly")
    accuracies.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    for axes in (losses, accuracies):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()

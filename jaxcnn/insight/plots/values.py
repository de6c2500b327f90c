"""Pictures of numbers that are predicted: against their targets, and the errors."""

from collections.abc import Sequence

import numpy as np

from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.text import drawable

# Color-blind safe, and of different lightness.
_DOTS, _LINE = "#0072B2", "#808080"
# Numbers of an example that are drawn at most; points are sampled above the second.
_MOST_NUMBERS, _MOST_POINTS = 6, 5_000


@styled
def predicted_values(
    targets: np.ndarray, predictions: np.ndarray, names: Sequence[str] = ()
) -> Drawing:
    """Draw predictions over targets, one panel per number, and below them the errors.

    On the dashed line both are equal.

    Args:
      targets: ``(N, …)`` the numbers to predict; the first six of an example are drawn.
      predictions: Of the same shape.
      names: One per element of the last axis, or none.

    Raises:
      ValueError: the shapes differ.
    """
    if np.shape(targets) != np.shape(predictions):
        raise ValueError(
            "predictions must have the shape of the targets. "
            f"Received: {np.shape(predictions)} and {np.shape(targets)}"
        )
    true, found = (np.asarray(x, float).reshape(len(x), -1) for x in (targets, predictions))
    rows = np.unique(np.linspace(0, len(true) - 1, min(len(true), _MOST_POINTS)).astype(int))
    count = min(true.shape[1], _MOST_NUMBERS)
    titles = drawable(names) if len(names) == true.shape[1] else [
        f"number {place}" for place in range(count)
    ]  # fmt: skip
    figure = Drawing(figsize=(max(3.2 * count, 4), 5))
    grid = figure.subplots(2, count, squeeze=False, height_ratios=(3, 1.4))
    for place in range(count):
        upper, lower = grid[:, place]
        x, y = true[:, place], found[:, place]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        room = 0.05 * ((high - low) or 1)
        limits = (low - room, high + room)
        upper.plot(limits, limits, "--", color=_LINE, lw=1.2)
        upper.plot(x[rows], y[rows], "o", color=_DOTS, ms=4, alpha=0.6, mew=0)
        error = np.mean(np.abs(y - x))
        upper.set(xlim=limits, ylim=limits, aspect="equal", xlabel="target", ylabel="prediction")
        upper.set_title(f"{titles[place]}\nmean absolute error {error:.3g}", parse_math=False)
        lower.hist(y - x, bins=30, color=_DOTS)
        lower.axvline(0, color=_LINE, ls="--", lw=1.2)
        lower.set(xlabel="error: prediction − target", ylabel="examples")
    return figure

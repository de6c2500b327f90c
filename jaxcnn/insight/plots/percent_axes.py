"""Axes of shares in percent, which begin where the values do."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter


def show_percent(axes: Axes, side: str, low: float, high: float, *, room: float = 0.05) -> None:
    """Let an axis of shares span the values, with ticks in percent.

    No tick is below 0 % or above 100 %, where the axis may go on a little.

    Args:
      axes: The axes.
      side: ``"x"`` or ``"y"``.
      low: The smallest value.
      high: The largest value.
      room: Room at both ends as a share of the range.
    """
    margin = room * max(high - low, 0.02)
    ticks = np.asarray(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]).tick_values(low, high))
    first, last = max(low - margin, 0) - 1e-9, min(high + margin, 1) + 1e-9
    ticks = ticks[(ticks > first) & (ticks < last)]
    percent = 100 * ticks
    decimals = next(n for n in range(9) if n == 8 or np.allclose(percent.round(n), percent))
    axis, set_limits = (axes.xaxis, axes.set_xlim) if side == "x" else (axes.yaxis, axes.set_ylim)
    axis.set_major_locator(FixedLocator(ticks.tolist()))
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=decimals))
    set_limits(low - margin, high + margin)

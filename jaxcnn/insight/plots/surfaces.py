"""The loss of a model on a plane through its parameters, as contours."""

from typing import Any

import matplotlib.ticker
import numpy as np

from jaxcnn.insight.loss_plane import LossSurface
from jaxcnn.insight.plots.drawing import UNSIGNED, Drawing, styled

_LEVELS = 20


@styled
def loss_surface(surface: LossSurface) -> Drawing:
    """Draw the contours of the loss around a model, which is the white cross in the middle.

    The scale is logarithmic where the largest loss is more than ten times the smallest. Losses that
    are not finite are left out.

    Args:
      surface: The result of :func:`jaxcnn.insight.loss_surface`.
    """
    losses = np.ma.masked_invalid(surface.losses)
    low, high = float(losses.min()), float(losses.max())
    logarithmic = 0 < low < high / 10
    high = max(high, low + 1e-6)
    spaced = np.geomspace if logarithmic else np.linspace
    levels = spaced(low, high, _LEVELS)
    levels[[0, -1]] = low, high  # not less by rounding
    figure = Drawing(figsize=(5.4, 4.5), layout="constrained")
    axes = figure.subplots()
    places = (surface.distances, surface.distances, losses)
    options: dict[str, Any] = {"norm": "log"} if logarithmic else {}
    filled = axes.contourf(*places, levels=levels, cmap=UNSIGNED, **options)
    axes.contour(*places, levels=levels, colors="white", linewidths=0.5, alpha=0.6)
    axes.plot(0, 0, "+", color="white", ms=12, mew=2)
    middle = surface.losses[len(surface.distances) // 2, len(surface.distances) // 2]
    axes.set_title(f"Loss at the model: {middle:.3g}")
    axes.set(xlabel="first direction", ylabel="second direction", aspect="equal")
    axes.locator_params(nbins=5)
    axes.grid(visible=False)
    bar = figure.colorbar(filled, ax=axes, label="loss", ticks=levels[::3])
    bar.ax.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.3g"))
    bar.ax.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    bar.outline.set_visible(False)
    return figure

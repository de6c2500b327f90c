"""Pictures of scores: of each class, by confidence, and by a quantity of the images."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from jaxcnn import arguments
from jaxcnn.insight.accuracy_in_bins import Reliability, Slices
from jaxcnn.insight.classifier_errors import ClassScores, Errors
from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.percent_axes import show_percent
from jaxcnn.insight.plots.text import drawable, shortened

# Color-blind safe, and of different lightness.
_ACCURACY, _GAP, _COUNTS = "#0072B2", "#D55E00", "#B0B0B0"


@styled
def reliability_diagram(reliability: Reliability) -> Drawing:
    """Draw the accuracy over the confidence, and the number of images in each bin.

    Of a calibrated model the accuracy of each bin is the mean confidence in it, on the dashed
    line; the line from a dot to it is the gap. Below the dashed line the model is too confident.

    Args:
      reliability: What :meth:`jaxcnn.insight.Errors.reliability` returns.
    """
    figure = Drawing(figsize=(5, 6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges, counts = reliability.edges, reliability.counts
    full = counts > 0
    confidence, accuracy = reliability.confidence[full], reliability.accuracy[full]
    top.plot([0, 1], [0, 1], "--", color="#808080", lw=1.2, label="calibrated")
    widths = np.diff(edges)
    top.bar(
        edges[:-1][full], accuracy, widths[full], align="edge", color=_ACCURACY, alpha=0.25,
        edgecolor="white",
    )  # fmt: skip
    top.vlines(confidence, accuracy, confidence, color=_GAP, lw=2.5, label="gap")
    top.plot(confidence, accuracy, "o", color=_ACCURACY, ms=6, label="accuracy")
    error = reliability.expected_calibration_error
    top.set(
        title=f"Reliability\nexpected calibration error {error:.1%}",
        ylabel="images correct",
    )
    figure.legend(loc="outside lower center", ncols=3)
    bottom.bar(edges[:-1], counts, widths, align="edge", color=_COUNTS, edgecolor="white")
    bottom.set(xlabel="confidence: probability of the predicted class", ylabel="images")
    bottom.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    bottom.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    show_percent(top, "x", 0, 1, room=0)
    show_percent(top, "y", 0, 1, room=0.02)
    figure.align_ylabels()
    return figure


@styled
def class_scores(errors: Errors, *, most: int = 30) -> Drawing:
    """Draw recall and precision of each class, the class of the lowest F1 first.

    Args:
      errors: What :func:`jaxcnn.insight.classification_errors` returns.
      most: Number of classes at the most, at least 1. Classes without images are left out.
    """
    names = shortened(drawable(errors.class_names))
    known = [(s, name) for s, name in zip(errors.classes, names, strict=True) if s.f1 is not None]
    known = sorted((pair for pair in known if pair[0].images), key=lambda pair: pair[0].f1 or 0)
    shown = known[: arguments.check_count("most", most)]
    left_out = (
        f": the {len(shown)} lowest of {len(known)} classes" if len(shown) < len(known) else ""
    )
    figure = Drawing(figsize=(7, 1.5 + 0.26 * len(shown)))
    axes = figure.subplots()
    for place, (scores, _) in enumerate(shown):
        _draw_scores(axes, place, scores)
    axes.set_yticks(
        range(len(shown)), [f"{name} ({s.images:,})" for s, name in shown], parse_math=False
    )
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set(title=f"Recall and precision{left_out}", xlabel="share", ylabel="class (images)")
    show_percent(axes, "x", min(axes.dataLim.x0, 1), 1, room=0.03)
    axes.grid(visible=False)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    handles = [
        Line2D(
            [],
            [],
            ls="",
            marker="o",
            mfc="none",
            mew=2.2,
            ms=8,
            color=_ACCURACY,
            label="recall: images of the class found",
        ),
        Line2D([], [], ls="", marker="D", ms=5, color=_GAP, label="precision: predictions right"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def accuracy_of_slices(slices: Slices, *, unit: str = "") -> Drawing:
    """Draw the accuracy in each slice of the images, with its 95 % confidence interval.

    Args:
      slices: What :meth:`jaxcnn.insight.Errors.slices` returns.
      unit: Unit of the quantity, such as ``"pixels"``.
    """
    bins = len(slices.counts)
    figure = Drawing(figsize=(max(1.25 * bins + 1.2, 4.2), 3.8))
    axes = figure.subplots()
    low, high = slices.intervals.T
    overall = float((slices.accuracy * slices.counts).sum() / slices.counts.sum())
    axes.axhline(overall, color="#808080", ls="--", lw=1.2, zorder=1)
    axes.vlines(range(bins), low, high, color=_ACCURACY, alpha=0.35, lw=8)
    axes.plot(range(bins), slices.accuracy, "o", color=_ACCURACY, ms=7)
    for place, (share, top) in enumerate(zip(slices.accuracy, high, strict=True)):
        axes.annotate(
            f"{share:.1%}", (place, top), (0, 4), textcoords="offset points", ha="center",
            fontsize=9,
        )  # fmt: skip
    axes.annotate(
        f"all {overall:.1%}", (1, overall), (4, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", va="center", fontsize=9, color="#606060",
    )  # fmt: skip
    ranges = [
        f"{'≤ ' if slices.edges[n] == slices.edges[n + 1] else f'{slices.edges[n]:.3g} to '}"
        f"{slices.edges[n + 1]:.3g}\n{count:,} images"
        for n, count in enumerate(slices.counts)
    ]
    axes.set_xticks(range(bins), ranges)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, bins - 0.5)
    axes.set(
        title=f"Accuracy by {slices.name}",
        xlabel=slices.name + (f" ({unit})" if unit else ""),
        ylabel="images correct (bar: 95% interval)",
    )
    show_percent(axes, "y", low.min(), high.max(), room=0.1)
    return figure


def _draw_scores(axes: Axes, place: int, scores: ClassScores) -> None:
    recall, precision = scores.recall or 0.0, scores.precision
    if precision is not None:
        axes.plot([recall, precision], [place, place], color="#C0C0C0", lw=2, zorder=1)
        axes.plot([precision], [place], "D", color=_GAP, ms=6, clip_on=False)
    # A ring, so that an equal precision is seen within it.
    axes.plot([recall], [place], "o", color=_ACCURACY, ms=8, mfc="none", mew=2.2, clip_on=False)

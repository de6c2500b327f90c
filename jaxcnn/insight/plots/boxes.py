"""Pictures of detections: boxes over images, mistakes by kind, precision over recall."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.detector_errors import KINDS, Corners, DetectionErrors, DetectionMistake
from jaxcnn.insight.plots.drawing import Drawing, show_image, styled
from jaxcnn.insight.plots.examples import caption
from jaxcnn.insight.plots.percent_axes import show_percent
from jaxcnn.insight.plots.text import drawable, shortened
from jaxcnn.training.detection_scores import IOU_THRESHOLDS, RECALLS, DetectionScores

# The colors of Okabe and Ito (2008), which are told apart with any color vision.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
# A color with black text on it, rather than white.
_LIGHT = frozenset(("#E69F00", "#56B4E9", "#F0E442", "#CC79A7"))
_FOUND, _TRUTH = "#E69F00", "#FFFFFF"
_ACROSS = 4
# The IoU thresholds whose curves are drawn, by number, and their colors from light to dark.
_CURVES = {0: "#56B4E9", 5: "#0072B2", 8: "#202020"}
_MOST_CLASSES = 12
_CLASS_LINE = "#C0C0C0"


@styled
def detections(
    images: Images,
    detections: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    class_names: Sequence[str],
    score_threshold: float = 0.3,
    most: int = 12,
) -> Drawing:
    """Draw detections over images: a box in the color of its class, with class and score.

    The boxes to find are dashed and white; crowds are dotted.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1].
      detections: ``(N, K, 6)``: x1, y1, x2, y2, score and class.
      labels: ``(N, M, 6)``: x1, y1, x2, y2, class and crowd; ``None`` draws none.
      class_names: One per class.
      score_threshold: The score from which detections are drawn.
      most: Number of images at the most, at least 1.

    Raises:
      ValueError: the images have other axes, or the numbers of images differ.
    """
    _check(images)
    count = min(len(images), arguments.check_count("most", most))
    for name, rows in (("detections", detections), ("labels", labels)):
        if rows is not None and (rows.ndim != 3 or rows.shape[-1] != 6 or len(rows) < count):
            raise ValueError(
                f"{name} must be (N, boxes, 6) of the {len(images)} images. "
                f"Received: shape {rows.shape}"
            )
    names = shortened(drawable(class_names))
    figure, grid = _grid(images, count, room=0.15)
    for axes, image, found, truth in zip(
        grid, images, detections, [None] * count if labels is None else labels, strict=False
    ):
        show_image(axes, np.asarray(image))
        for row in [] if truth is None else truth[truth[:, 4] >= 0]:
            _draw_box(axes, row[:4], _TRUTH, style=":" if row[5] > 0 else "--")
        shown = found[(found[:, 5] >= 0) & (found[:, 4] >= score_threshold)]
        for row in shown[np.argsort(shown[:, 4], kind="stable")]:
            number = int(row[5])
            color = _COLORS[number % len(_COLORS)]
            _draw_box(axes, row[:4], color, text=f"{names[number]} {row[4]:.0%}")
    if labels is not None:
        _explain(figure, "detected, with class and score", "to be found")
    return figure


@styled
def detection_errors(errors: DetectionErrors) -> Drawing:
    """Draw the number of mistakes of each kind.

    Args:
      errors: What :func:`jaxcnn.insight.detection_errors` returns.
    """
    figure = Drawing(figsize=(7, 3.2))
    axes = figure.subplots()
    counts = [errors.counts[kind] for kind in KINDS]
    bars = axes.barh(range(len(KINDS)), counts, height=0.7, color="#0072B2")
    texts = [f"{count:,}" if count else "0" for count in counts]
    axes.bar_label(bars, texts, padding=3, fontsize=9, color="#404040")
    ticks = [f"{kind}\n{rule}" for kind, rule in KINDS.items()]
    axes.set_yticks(range(len(KINDS)), ticks, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.margins(x=0.15, y=0.03)
    axes.set(
        title=f"Mistakes by kind\n{errors.right:,} of {errors.boxes:,} boxes found",
        xlabel=f"mistakes of {errors.detections:,} detections (score from "
        f"{errors.score_threshold:g})",
    )
    axes.grid(visible=False)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


@styled
def worst_detections(images: Images, errors: DetectionErrors, *, most: int = 12) -> Drawing:
    """Draw the worst mistakes of each kind, over their images.

    The kinds take turns, the most frequent first.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, of which the errors are.
      errors: What :func:`jaxcnn.insight.detection_errors` returns.
      most: Number of mistakes at the most, at least 1.

    Raises:
      ValueError: the images have other axes, or are fewer than those of the errors.
    """
    _check(images)
    shown = _take_turns(errors, arguments.check_count("most", most))
    if shown and max(mistake.row for mistake in shown) >= len(images):
        raise ValueError(f"images must be those of the errors. Received: {len(images)} images")
    names = shortened(drawable(errors.class_names))
    figure, grid = _grid(images, len(shown))
    for axes, mistake in zip(grid, shown, strict=False):
        show_image(axes, np.asarray(images[mistake.row]))
        if mistake.box is not None:
            _draw_box(axes, mistake.box, _TRUTH, style="--")
        if mistake.detection is not None:
            _draw_box(axes, mistake.detection, _FOUND)
        _describe(axes, mistake, names)
    total = sum(errors.counts.values())
    wrong = "mistake" if total == 1 else "mistakes"
    first = f", {len(shown)} of them" if len(shown) < total else ""
    figure.suptitle(f"{total:,} {wrong} in {errors.boxes:,} boxes{first}")
    if shown:
        _explain(figure, "detected", "to be found")
    return figure


@styled
def precision_recall(scores: DetectionScores, *, class_names: Sequence[str]) -> Drawing:
    """Draw precision over recall at three IoU thresholds, the mean over the classes.

    The thin lines are the classes, at an IoU of 0.5.

    Args:
      scores: What :func:`jaxcnn.training.average_precision` returns.
      class_names: One per class.
    """
    figure = Drawing(figsize=(6.2, 4.6))
    axes = figure.subplots()
    names = shortened(drawable(class_names))
    known = np.flatnonzero(~np.isnan(scores.per_class_50))
    for number in known if 1 < len(known) <= _MOST_CLASSES else []:
        axes.plot(RECALLS, scores.precision[0, :, number], color=_CLASS_LINE, lw=1, zorder=1)
    for place, color in _CURVES.items():
        if not len(known):
            continue
        mean = scores.precision[place][:, known].mean(axis=1)
        text = f"IoU {IOU_THRESHOLDS[place]:g}: AP {mean.mean():.1%}"
        axes.plot(RECALLS, mean, color=color, lw=2.2, label=text)
    if known.size > 1:
        lowest = known[np.argmin(scores.per_class_50[known])]
        label = f"classes at IoU 0.5; lowest: {names[lowest]} {scores.per_class_50[lowest]:.1%}"
        axes.plot([], [], color=_CLASS_LINE, lw=1, label=label)
    axes.set(
        title=f"Precision and recall\nmAP@[.5:.95] {scores.mean:.1%}",
        xlabel="recall: share of the boxes that are found",
        ylabel="precision: share of right detections",
    )
    show_percent(axes, "x", 0, 1, room=0.02)
    show_percent(axes, "y", 0, 1, room=0.02)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _take_turns(errors: DetectionErrors, most: int) -> list[DetectionMistake]:
    """Return the worst mistakes, one of each kind after the other."""
    kinds = sorted(KINDS, key=lambda kind: -errors.counts[kind])
    left = [list(errors.of_kind(kind)) for kind in kinds]
    shown: list[DetectionMistake] = []
    while len(shown) < most and any(left):
        for mistakes in left:
            if mistakes and len(shown) < most:
                shown.append(mistakes.pop(0))
    return sorted(shown, key=lambda mistake: [*KINDS].index(mistake.kind))


def _describe(axes: Axes, mistake: DetectionMistake, names: Sequence[str]) -> None:
    label = None if mistake.label is None else names[mistake.label]
    if mistake.predicted is None:
        caption(axes, "missed", f"{label}")
        return
    predicted = f"{names[mistake.predicted]} ({mistake.score:.0%})"
    about = "" if label is None else f", truly {label}"
    if mistake.predicted == mistake.label:
        about = f", IoU {mistake.iou:.2f}"
    caption(axes, "wrong class, loose" if mistake.kind == "both" else mistake.kind,
            predicted + about)  # fmt: skip


def _check(images: Images) -> None:
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            "images must be (N, height, width, channels) with 1 or 3 channels. "
            f"Received: shape {images.shape}"
        )


def _grid(images: Images, count: int, *, room: float = 0.45) -> tuple[Drawing, Sequence[Axes]]:
    columns = min(max(count, 1), _ACROSS)
    rows = -(-max(count, 1) // columns)
    aspect = min(images.shape[1] / images.shape[2], 2)
    side = 2.6 if count > 1 else 4.5
    figure = Drawing(figsize=(max(side * columns, 4.4), rows * (room + side * aspect) + 0.6))
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for axes in grid:
        axes.set_axis_off()
    return figure, grid


def _draw_box(
    axes: Axes, corners: Corners | np.ndarray, color: str, *, style: str = "-", text: str = ""
) -> None:
    """Draw a box with a dark border, so that it shows over any image."""
    x1, y1, x2, y2 = (float(value) for value in corners)
    # Pixels are centered at whole numbers, corners lie between them.
    box = Rectangle(
        (x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=color, lw=1.6, ls=style
    )
    box.set_path_effects([withStroke(linewidth=3, foreground="#00000090")])
    axes.add_patch(box)
    if text:
        axes.annotate(
            text, (x1 - 0.5, y1 - 0.5), (0, 1), textcoords="offset points", fontsize=7,
            va="bottom", color="black" if color in _LIGHT else "white", parse_math=False,
            bbox={"facecolor": color, "edgecolor": "none", "pad": 1}, annotation_clip=True,
        )  # fmt: skip


def _explain(figure: Drawing, found: str, truth: str) -> None:
    gray = matplotlib.rcParams["text.color"]
    handles = [
        Line2D([], [], color=_FOUND, lw=1.8, label=found),
        Line2D([], [], color=gray, lw=1.4, ls="--", label=f"{truth} (dashed, white)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8.5)

"""Pictures of a classifier's errors: the confusion matrix and the images behind it."""

from collections.abc import Sequence

import numpy as np

from jaxcnn.data.images import Images
from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.text import drawable

# Above this many classes, a confusion matrix has no numbers: 100 classes would take 10,000 texts,
# 21 s and 1.4 GB.
_MOST_CELLS = 30
# Lines in the list of pairs of classes, and letters of a name in it.
_PAIRS, _LONGEST_NAME = 25, 22


@styled
def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw a confusion matrix; with its counts, or of many classes with the most confused pairs.

    Cells are colored by the share of their true class, so that rare classes show as well.

    Args:
      matrix: ``(classes, classes)`` counts: row the true class, column the predicted one.
      class_names: One per class.
    """
    count, class_names = len(class_names), drawable(class_names)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    if count > _MOST_CELLS:
        return _confused_pairs(matrix, shares, class_names)
    side = 2 + 0.42 * count
    figure = Drawing(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, number, ha="center", va="center", color=color, fontsize=8)
    rotation = 90 if max(map(len, class_names)) > 2 else 0
    axes.set_xticks(range(count), class_names, rotation=rotation, parse_math=False)
    axes.set_yticks(range(count), class_names, parse_math=False)
    axes.set(title="Confusion matrix", xlabel="predicted class", ylabel="true class")
    return figure


def _confused_pairs(matrix: np.ndarray, shares: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw the matrix of many classes without numbers, beside the pairs confused most often."""
    figure = Drawing(figsize=(12, 6.5), layout="constrained")
    axes, table = figure.subplots(1, 2, width_ratios=(1.2, 1))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set(title="Confusion matrix", xlabel="predicted class", ylabel="true class")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    pairs = np.argsort(-mistakes, axis=None, kind="stable")[:_PAIRS]
    lines = [
        f"{mistakes.flat[pair]:>6,}  {_short(class_names[pair // len(matrix)])} → "
        f"{_short(class_names[pair % len(matrix)])}"
        for pair in pairs
        if mistakes.flat[pair]
    ]
    table.set_axis_off()
    table.set_title("Most confused, true → predicted", loc="left")
    table.text(
        0, 0.98, "\n".join(lines) or "no mistakes",
        va="top", family="monospace", fontsize=9, parse_math=False,
    )  # fmt: skip
    return figure


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


@styled
def worst_mistakes(
    images: Images,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    most: int = 16,
) -> Drawing:
    """Draw the images that the model was most surely wrong about.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels.
      labels: ``(N,)`` true classes.
      probabilities: ``(N, classes)``.
      class_names: One per class.
      most: How many to show at the most.
    """
    class_names = drawable(class_names)
    predictions = probabilities.argmax(axis=1)
    certainty = np.where(predictions == labels, -1.0, probabilities.max(axis=1))
    worst = [row for row in np.argsort(-certainty)[:most] if certainty[row] >= 0]
    columns = min(max(len(worst), 1), 4)
    rows = -(-max(len(worst), 1) // columns)
    figure = Drawing(figsize=(2.1 * columns + 1, 2.3 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_axis_off()
    mistakes = int((predictions != labels).sum())
    figure.suptitle(
        f"{mistakes} mistakes in {len(labels):,} images" + (", worst first" * bool(worst))
    )
    for axes, row in zip(figure.axes, worst, strict=False):
        axes.imshow(images[row], cmap="gray")  # the color map is for one channel alone
        predicted = f"{class_names[predictions[row]]} ({probabilities[row].max():.0%})"
        axes.set_title(
            f"{predicted}, truly {class_names[labels[row]]}", fontsize=9, parse_math=False
        )
    return figure

"""Pictures of a training run, as Matplotlib figures."""

import functools
import io
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator, PercentFormatter

from jaxcnn import arguments
from jaxcnn.augment.composition import apply
from jaxcnn.augment.named_policies import GivenAugment, resolve_augment
from jaxcnn.data.images import Images
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight.plot_text import drawable
from jaxcnn.training.forward import to_float
from jaxcnn.training.history import Epoch
from jaxcnn.training.learning_rate_finder import LearningRateSearch

# A contact sheet has at most this many rows, and about this many images side by side.
_MOST_ROWS, _IMAGES_ACROSS, _MOST_SHOWN = 10, 12, 100
# Above this many classes, a confusion matrix has no numbers: 100 classes would take 10,000 texts,
# 21 s and 1.4 GB.
_MOST_CELLS = 30
# Lines in the list of pairs of classes, and letters of a name in it.
_PAIRS, _LONGEST_NAME = 25, 22


class Drawing(Figure):
    """A Matplotlib figure that a notebook shows where it is the value of a cell."""

    def _repr_png_(self) -> bytes:
        """Return the picture as a PNG."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=96)
        return picture.getvalue()


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


def augmentations(
    images: Images, augment: GivenAugment, *, draws: int = 7, seed: int = 0
) -> Drawing:
    """Draw what an augmentation makes of images: a row for each, first as it is.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels, uint8 or floating point in [0, 1].
      augment: Maps a key and float images to changed images of the same shape, or the name of an
        augmentation policy, or a list of these.
      draws: How often each image is changed, at least 1; one draw stands for one epoch.
      seed: Decides the draws, at least 0.
    """
    draws = arguments.check_integer("draws", draws, minimum=1)
    original = to_float(images)
    keys = jax.random.split(jax.random.key(arguments.check_integer("seed", seed, minimum=0)), draws)
    draw = jax.jit(functools.partial(apply, resolve_augment(augment)))
    drawn = [draw(key, original, epoch=epoch) for epoch, key in enumerate(keys)]
    columns = np.asarray([original, *drawn])
    figure = Drawing(figsize=(1.3 * (draws + 1), 1.3 * len(images) + 0.4), layout="constrained")
    grid = figure.subplots(len(images), draws + 1, squeeze=False)
    for (row, column), axes in np.ndenumerate(grid):
        # Gray levels stand for values of 0 to 1, whatever the image has.
        axes.imshow(columns[column, row], cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
    grid[0, 0].set_title("original", fontsize=9)
    for number in range(1, draws + 1):
        grid[0, number].set_title(f"draw {number}", fontsize=9)
    return figure


def contact_sheet(images: Images, labels: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw the first examples of each class side by side, as many as the page has room for.

    Classes without images are left out, and so are those after the first 100.

    Args:
      images: ``(N, H, W, C)`` with 1 or 3 channels; uint8 pixels, or other values, of which the
        least is drawn black and the greatest white.
      labels: ``(N,)`` classes.
      class_names: One per class.

    Raises:
      ValueError: the images have another number of channels, or labels are not one class each.
    """
    check_class_per_image(labels, "a contact sheet")
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels. Received: shape {images.shape}")
    class_names = drawable(class_names)
    found = np.unique(labels)
    present = found[:_MOST_SHOWN]
    columns = -(-len(present) // _MOST_ROWS)
    rows = -(-len(present) // columns)
    across = max(_IMAGES_ACROSS // columns, 1)
    figure = Drawing(figsize=(10, 0.4 + rows), layout="constrained")
    left_out = f" of {len(found):,}" if len(found) > len(present) else ""
    figure.suptitle(f"Examples of {len(present)}{left_out} classes")
    least, greatest = (0.0, 255.0) if images.dtype == np.uint8 else (images.min(), images.max())
    height, width, channels = images.shape[1:]
    for place, label in enumerate(present):
        axes = figure.add_subplot(rows, columns, place + 1)
        strip = np.ones((height, across, width + 1, channels))  # a white line beside each image
        chosen = np.asarray(images[np.flatnonzero(labels == label)[:across]])
        shares = (chosen - least) / max(greatest - least, 1e-12)
        strip[:, : len(chosen), :width] = np.moveaxis(shares, 0, 1)
        axes.imshow(strip.reshape(height, -1, channels), cmap="gray", vmin=0, vmax=1)
        axes.set_title(class_names[label], fontsize=8, loc="left", parse_math=False)
        axes.set_axis_off()
    return figure

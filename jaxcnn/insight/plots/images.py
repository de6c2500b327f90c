"""Images of a data set: examples of each class, and draws of an augmentation."""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from jaxcnn import arguments
from jaxcnn.augment.composition import apply
from jaxcnn.augment.named_policies import GivenAugment, resolve_augment
from jaxcnn.data.images import Images
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight.plots.drawing import Drawing, styled
from jaxcnn.insight.plots.text import drawable
from jaxcnn.training.forward import to_float

# A contact sheet has at most this many rows, and about this many images side by side.
_MOST_ROWS, _IMAGES_ACROSS, _MOST_SHOWN = 10, 12, 100


@styled
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


@styled
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

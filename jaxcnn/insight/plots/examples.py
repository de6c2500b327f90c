"""Single examples in a grid: pictures, sequences as curves, or videos as strips of frames."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxcnn.data.images import Images
from jaxcnn.insight.plots.drawing import show_image

# Height of a sequence as a share of its width.
_SEQUENCE = 0.7
# Frames of a video that are drawn.
_FRAMES = 4


def as_strips(videos: Any) -> Any:
    """Return pictures as they are, and of each video some frames side by side.

    >>> as_strips(np.zeros((2, 16, 8, 6, 3))).shape, as_strips(np.zeros((2, 8, 6, 3))).shape
    ((2, 8, 24, 3), (2, 8, 6, 3))

    Args:
      videos: ``(N, T, H, W, C)``, or pictures or sequences.
    """
    if np.ndim(videos) != 5:
        return videos
    frames = np.linspace(0, videos.shape[1] - 1, min(_FRAMES, videos.shape[1])).round().astype(int)
    chosen = np.moveaxis(np.asarray(videos[:, frames]), 1, 2)
    return chosen.reshape(len(chosen), chosen.shape[1], -1, chosen.shape[-1])


def check_examples(name: str, images: Images) -> float:
    """Return the height of examples as a share of their width, at most 2.

    Args:
      name: Name of the argument, for the error.
      images: ``(N, H, W, C)`` with 1 or 3 channels, or sequences ``(N, length, C)``.

    Raises:
      ValueError: they have other axes, or another number of channels.
    """
    if images.ndim == 3:
        return _SEQUENCE
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name} must be (N, height, width, channels) with 1 or 3 channels, or sequences "
            f"(N, length, channels). Received: shape {images.shape}"
        )
    return min(images.shape[1] / images.shape[2], 2.0)


def show_example(axes: Axes, example: Any) -> tuple[float, float, float, float]:
    """Draw a picture ``(H, W, C)``, or the curves of a sequence ``(length, C)``, without ticks.

    Args:
      axes: The axes to draw in.
      example: The picture or sequence.

    Returns:
      The left, right, bottom and top of the example, in the units of the axes.
    """
    example = np.asarray(example)
    axes.grid(visible=False)
    if example.ndim == 3:
        left, right, bottom, top = show_image(axes, example).get_extent()
        return left, right, bottom, top
    axes.set_axis_off()
    axes.plot(example, lw=1)
    low, high = float(np.nanmin(example)), float(np.nanmax(example))  # NaN is padding
    room = 0.05 * ((high - low) or 1)
    axes.set(xlim=(-0.5, len(example) - 0.5), ylim=(low - room, high + room))
    return -0.5, len(example) - 0.5, low - room, high + room


def show_framed(axes: Axes, example: Any, color: str, title: str, subtitle: str) -> None:
    """Draw an example in a frame, with two lines above it.

    Args:
      axes: The axes to draw in.
      example: As for :func:`show_example`.
      color: Color of the frame.
      title: The upper line, bold.
      subtitle: The line below it.
    """
    show_example(axes, example)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=color, linewidth=2.2)
    caption(axes, title, subtitle)


def caption(axes: Axes, title: str, subtitle: str) -> None:
    """Write two lines above an example, the first one bold."""
    axes.set_title(title, fontsize=9, parse_math=False, pad=16)
    axes.annotate(
        subtitle, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
        fontsize=8.5, color="#606060", va="bottom", parse_math=False,
    )  # fmt: skip

"""Attributions drawn over the images that they explain: pictures, series and videos."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.plots.drawing import SIGNED, Drawing, show_image, styled
from jaxcnn.insight.plots.text import drawable

# Of maps from zero on, over a gray image: from dark to bright, unlike the image's own grays.
_HEAT = "inferno"
_HEIGHT_OF_BARS = 1.2  # inches


@styled
def attribution_maps(
    images: Images,
    maps: Mapping[str, Any],
    *,
    titles: Sequence[str] | None = None,
    percentile: float = 99.5,
    frames: int = 5,
) -> Drawing:
    """Draw attributions over their images, side by side, on one scale.

    Every map is divided by a high percentile of its absolute values, as the methods have different
    units and single pixels stand out in gradients. Maps with signs are red where the image speaks
    for the class and blue where it speaks against it. A map of a layer's own size is drawn in large
    pixels.

    Pictures have a row for each image and a column for each method; the curves of series are drawn
    over their maps; of volumes and videos a few frames are drawn.

    Args:
      images: ``(N, *spatial, C)`` with one to three spatial axes, uint8 or in [0, 1]; series may
        have any values.
      maps: ``(N, *sizes)`` by the name of the method; ``(N, *sizes, C)`` is summed over channels.
      titles: A title for each image, such as its class.
      percentile: The percentile that is drawn in full color, in (0, 100]; larger values are drawn
        the same.
      frames: Frames of a volume, at least 1.

    Raises:
      TypeError: an option is not a number.
      ValueError: a map does not fit the images, there are no maps, or an option is out of range.
    """
    arguments.check_number("percentile", percentile, above=0, maximum=100)
    frames = arguments.check_integer("frames", frames, minimum=1)
    pictures, names = np.asarray(images), list(maps)
    if not names:
        raise ValueError("maps must have at least one method. Received: none")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(
            f"titles must have one text for each of the {len(pictures)} images. "
            f"Received: {len(titles)}"
        )
    headings = None if titles is None else drawable(titles)
    shares = {
        name: _shares(f"maps[{name!r}]", np.asarray(map_), pictures, percentile)
        for name, map_ in maps.items()
    }
    draw = {3: _draw_series, 4: _draw_pictures, 5: _draw_frames}[pictures.ndim]
    figure = draw(pictures, shares, headings, frames)
    drawn = list(figure.axes)
    for signed in sorted({_is_signed(map_) for map_ in shares.values()}):
        scale = Normalize(-1 if signed else 0, 1)
        meaning = "against (−) and for (+) the class" if signed else "for the class"
        figure.colorbar(
            ScalarMappable(scale, _colors(signed)), ax=drawn, location="bottom", shrink=0.5,
            aspect=40, pad=0.02, extend=_extended(percentile, signed),
            label=f"{meaning},\nas a share of the {percentile:g}th percentile of each map",
        )  # fmt: skip
    return figure


def _extended(percentile: float, signed: bool) -> str:
    """Return at which ends of a scale larger values are drawn the same."""
    if percentile == 100:
        return "neither"
    return "both" if signed else "max"


def _shares(name: str, map_: np.ndarray, images: np.ndarray, percentile: float) -> np.ndarray:
    """Return a map per image without channels, as shares of a high percentile."""
    if map_.ndim == images.ndim:
        map_ = map_.sum(axis=-1)
    if map_.ndim != images.ndim - 1 or len(map_) != len(images):
        raise ValueError(
            f"{name} must be (N, *sizes) or (N, *sizes, C), with the spatial axes of the images. "
            f"Received: shape {map_.shape} for images {images.shape}"
        )
    rows = np.abs(map_).reshape(len(map_), -1)
    top = np.percentile(rows, percentile, axis=1)
    top = np.where(top > 0, top, rows.max(axis=1))  # of a map with few values that are not 0
    top = np.where(top > 0, top, 1).reshape(-1, *(1,) * (map_.ndim - 1))
    return np.clip(map_ / top, -1, 1)


def _is_signed(map_: np.ndarray) -> bool:
    return bool(map_.min() < 0)


def _colors(signed: bool) -> str:
    return SIGNED if signed else _HEAT


def _draw_pictures(
    images: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str] | None, frames: int
) -> Drawing:
    rows, columns = len(images), 1 + len(maps)
    ratio = images.shape[1] / images.shape[2]
    height = 1.7 * ratio * rows + (0.25 * rows if titles is not None else 0.25)
    figure = Drawing(figsize=(1.75 * columns, height + _HEIGHT_OF_BARS))
    figure.set_layout_engine("constrained", h_pad=0.08)
    grid = figure.subplots(rows, columns, squeeze=False)
    for row, image in enumerate(images):
        _show(grid[row, 0], image)
        if titles is not None:
            grid[row, 0].set_title(titles[row], fontsize=9, parse_math=False)
        for axes, (name, map_) in zip(grid[row, 1:], maps.items(), strict=True):
            _overlay(axes, image, map_[row], _is_signed(map_))
            if not row:
                axes.set_title(name, fontsize=9, parse_math=False)
    if titles is None:
        grid[0, 0].set_title("image", fontsize=9)
    return figure


def _draw_series(
    images: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str] | None, frames: int
) -> Drawing:
    rows, columns = len(images), len(maps)
    figure = Drawing(figsize=(max(4.2 * columns, 6), 1.9 * rows + 0.7 + _HEIGHT_OF_BARS))
    figure.set_layout_engine("constrained", h_pad=0.08)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")
    for row, series in enumerate(images):
        low, high = np.nanmin(series), np.nanmax(series)  # NaN is padding
        margin = 0.08 * (high - low) or 1
        span = (-0.5, len(series) - 0.5, low - margin, high + margin)
        for axes, (name, map_) in zip(grid[row], maps.items(), strict=True):
            signed = _is_signed(map_)
            axes.imshow(
                map_[row][None], cmap=_colors(signed), vmin=-1 if signed else 0, vmax=1,
                extent=span, aspect="auto", alpha=0.85,
            )  # fmt: skip
            color = "black" if signed else "white"
            axes.plot(series, color=color, linewidth=1.4)
            axes.set(xlim=span[:2], ylim=span[2:])
            axes.grid(visible=False)
            if not row:
                axes.set_title(name, parse_math=False)
            if row == rows - 1:
                axes.set_xlabel("time step")
        if titles is not None:
            grid[row, 0].set_ylabel(titles[row], parse_math=False)
    return figure


def _draw_frames(
    images: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str] | None, frames: int
) -> Drawing:
    length = images.shape[1]
    chosen = np.unique(np.linspace(0, length - 1, frames).round().astype(int))
    lines = 1 + len(maps)
    ratio = images.shape[2] / images.shape[3]
    height = (1.7 * ratio + 0.1) * lines * len(images) + 0.4
    size = (1.75 * len(chosen) + 0.4, height + _HEIGHT_OF_BARS)
    figure = Drawing(figsize=size)
    figure.set_layout_engine("constrained", h_pad=0.08)
    grid = figure.subplots(lines * len(images), len(chosen), squeeze=False)
    for number, volume in enumerate(images):
        for column, frame in enumerate(chosen):
            axes = grid[lines * number, column]
            _show(axes, volume[frame])
            if not number:
                axes.set_title(f"frame {frame + 1} of {length}", fontsize=9)
            rows = grid[lines * number + 1 : lines * (number + 1), column]
            for axes, map_ in zip(rows, maps.values(), strict=True):
                part = map_[number][frame * map_.shape[1] // length]
                _overlay(axes, volume[frame], part, _is_signed(map_))
        names = ["video" if titles is None else titles[number], *maps]
        for axes, name in zip(grid[lines * number :, 0], names, strict=False):
            axes.text(
                -0.06, 0.5, name, transform=axes.transAxes, rotation=90, ha="right", va="center",
                fontsize=9, parse_math=False,
            )  # fmt: skip
    return figure


def _show(axes: Axes, image: np.ndarray, **options: Any) -> None:
    """Draw an image; one of other than 1 or 3 channels by their mean."""
    if image.shape[-1] not in (1, 3):
        image = image.mean(axis=-1, keepdims=True)
        options = {"vmin": image.min(), "vmax": image.max()} | options
    elif image.dtype != np.uint8:
        image = np.clip(image, 0, 1)
    show_image(axes, image, **options)


def _overlay(axes: Axes, image: np.ndarray, map_: np.ndarray, signed: bool) -> None:
    """Draw a map over a gray image, at the map's own resolution."""
    height, width = image.shape[:2]
    gray = image.mean(axis=-1, keepdims=True)
    gray = (gray - gray.min()) / max(gray.max() - gray.min(), 1e-12)
    if signed:
        gray = 0.55 + 0.45 * gray  # white stands for 0
    show_image(axes, gray)
    axes.imshow(
        map_, cmap=_colors(signed), vmin=-1 if signed else 0, vmax=1,
        alpha=np.sqrt(np.abs(map_)) if signed else 0.35 + 0.4 * map_,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )  # fmt: skip

"""Pictures of what channels respond to, and of the inputs that an output depends on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle

from jaxcnn.insight.effective_receptive_field import MeasuredField
from jaxcnn.insight.plots.drawing import Drawing, show_image, styled
from jaxcnn.insight.plots.text import drawable

_FIELD_COLOR, _HEAT = "#56B4E9", "inferno"


@styled
def visualized_features(
    features: Mapping[str, Any], *, titles: Mapping[str, Sequence[str]] | None = None
) -> Drawing:
    """Draw the images that channels respond to, a row for each layer.

    Args:
      features: ``(channels, *spatial, C)`` within [0, 1] for each layer, as
        :func:`jaxcnn.insight.visualize_features` returns; series are drawn as curves, of volumes
        the middle frame.
      titles: For some layers a title for each image, such as the classes.

    Raises:
      ValueError: there is no layer, or the titles of a layer are not as many as its images.
    """
    if not features:
        raise ValueError("features must have at least one layer. Received: none")
    given = {layer: drawable(list(names)) for layer, names in (titles or {}).items()}
    for layer, names in given.items():
        if layer in features and len(names) != len(features[layer]):
            raise ValueError(
                f"titles must have one text for each image. Received: {len(names)} for "
                f"{len(features[layer])} images of {layer!r}"
            )
    columns = max(map(len, features.values()))
    ratio = max(_height_of(np.asarray(images)) for images in features.values())
    titled = sum(layer in given for layer in features)
    size = (1.6 * columns + 0.5, 1.6 * ratio * len(features) + 0.22 * titled + 0.4)
    figure = Drawing(figsize=size)
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03)
    figure.suptitle("Images that maximize a channel, by layer")
    grid = figure.subplots(len(features), columns, squeeze=False)
    for row, (layer, images) in zip(grid, features.items(), strict=True):
        for axes in row:
            axes.set_axis_off()
        for number, image in enumerate(np.asarray(images)):
            axes = row[number]
            if image.ndim == 2:
                axes.plot(image, linewidth=1.2)
                axes.set_ylim(min(image.min(), 0), max(image.max(), 1))
            else:
                show_image(axes, image[len(image) // 2] if image.ndim == 4 else image)
            if layer in given:
                axes.set_title(given[layer][number], fontsize=8, loc="center", parse_math=False)
        row[0].text(
            -0.06, 0.5, layer, transform=row[0].transAxes, rotation=90, ha="right", va="center",
            fontsize=9, parse_math=False,
        )  # fmt: skip
    return figure


def _height_of(images: np.ndarray) -> float:
    """Return the height of a cell of width 1."""
    return 0.6 if images.ndim == 3 else images.shape[-3] / images.shape[-2]


@styled
def receptive_field_map(field: MeasuredField, image: Any = None) -> Drawing:
    """Draw the measured receptive field of an output, beside the computed one.

    Pictures have the influence of each pixel as colors over the image, and the computed field as a
    rectangle; series a curve and a span; of volumes the middle of the first axis is drawn.

    Args:
      field: As :func:`jaxcnn.insight.measure_receptive_field` returns it.
      image: ``(*spatial, C)``, uint8 or in [0, 1], drawn below.

    Raises:
      ValueError: the image has another size.
    """
    influence = np.asarray(field.influence)
    picture = None if image is None else np.asarray(image)
    if picture is not None and picture.shape[:-1] != influence.shape:
        raise ValueError(
            f"image must be (*spatial, C) of the size {influence.shape} of the field. "
            f"Received: shape {picture.shape}"
        )
    share = influence / max(influence.max(), 1e-30)
    if share.ndim == 1:
        return _draw_span(field, share, picture)
    computed = field.computed
    if share.ndim == 3:
        middle = int(np.argmax(share.max(axis=(1, 2))))
        share, computed = share[middle], computed and computed[1:]
        picture = None if picture is None else picture[middle]
    figure = Drawing(figsize=(6.2, 5.2 * share.shape[0] / share.shape[1] + 0.6))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    if picture is not None:
        gray = picture.mean(axis=-1, keepdims=True)
        show_image(axes, (gray - gray.min()) / max(gray.max() - gray.min(), 1e-12))
    # Few pixels have most of the influence: the square root shows the others.
    alpha = 1.0 if picture is None else np.clip(1.6 * np.sqrt(share), 0, 0.95)
    drawn = axes.imshow(share, cmap=_HEAT, norm=PowerNorm(0.5, 0, 1), alpha=alpha)
    axes.set_axis_off()
    if computed is not None:
        (top, bottom), (left, right) = computed
        axes.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), right - left, bottom - top, fill=False,
                edgecolor=_FIELD_COLOR, linewidth=2, clip_on=True,
            )
        )  # fmt: skip
        height, width = share.shape
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(_title(field), parse_math=False)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.85, label="influence, share of the largest")
    bar.solids.set_alpha(1)  # type: ignore[union-attr]  # an image has them
    return figure


def _title(field: MeasuredField) -> str:
    axes = field.influence.ndim
    effective = "×".join([f"{field.effective_size:.0f}"] * axes)
    text = f"Receptive field of {field.layer}\neffective {effective}"
    if field.computed is None:
        return text
    sizes = "×".join(str(end - first) for first, end in field.computed)
    inside = all(
        first > 0 or end < size
        for (first, end), size in zip(field.computed, field.influence.shape, strict=True)
    )
    where = ("shaded" if axes == 1 else "frame") if inside else "beyond the edges"
    return f"{text}, computed {sizes} ({where})"


def _draw_span(field: MeasuredField, share: np.ndarray, series: np.ndarray | None) -> Drawing:
    figure = Drawing(figsize=(8, 3))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    steps = np.arange(len(share))
    axes.fill_between(steps, share, step="mid", alpha=0.6, label="influence")
    if field.computed is not None:
        first, end = field.computed[0]
        axes.axvspan(
            max(first, 0) - 0.5, min(end, len(share)) - 0.5, color=_FIELD_COLOR, alpha=0.15,
            linewidth=0, label="computed field",
        )  # fmt: skip
    if series is not None:
        low, high = series.min(), series.max()
        scaled = (series - low) / max(high - low, 1e-12)
        axes.plot(scaled, color="black", linewidth=1, label="series, scaled to [0, 1]")
    axes.set(xlabel="time step", ylabel="share of the largest", xlim=(-0.5, len(share) - 0.5))
    axes.set_title(_title(field), parse_math=False)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))  # one line per channel of a series
    axes.legend(unique.values(), unique.keys(), loc="upper right")
    return figure

"""Checks of images: layout, dtype and range."""

from pathlib import PurePath
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import arguments
from jaxcnn.data.array_blocks import blocks

# In memory, mapped from a file, or on the device.
Images: TypeAlias = np.ndarray | jax.Array

# Pixels of 0…255 that were resized are not whole; no usual scaling reaches this value.
_MOST_SCALED = 32
# Only series have padding: steps after their end, of which all channels are NaN.
_SERIES_RULE = ", apart from steps after the end of a series, which are NaN in every channel"
_LAYOUTS = (
    "(N, height, width, channels), or (N, time, channels) for sequences, or "
    "(N, time, height, width, channels) for video"
)


def check_images(images: Images) -> Images:
    """Return images ``(N, *spatial, C)``, uint8 or finite floating point.

    uint8 images of three axes are gray pictures, and get their axis of one channel.

    Raises:
      TypeError: The images have another dtype.
      ValueError: The images have no batch axis, are channels-first, have NaN or infinity, or are
        floating-point pixels of 0…255; or uint8 of three axes are one picture or sequences.
    """
    images = images if isinstance(images, jax.Array) else _stack(images)
    if not 3 <= images.ndim <= 5:
        raise ValueError(f"images must be {_LAYOUTS}. Received: shape {images.shape}")
    if images.ndim > 3 and _channels_first(images):
        raise ValueError(
            f"images must have their channels last. Received: shape {images.shape}, which looks "
            "channels-first: use np.moveaxis(images, 1, -1)."
        )
    if images.dtype == np.uint8:
        return _gray(images) if images.ndim == 3 else images
    if not jnp.issubdtype(images.dtype, jnp.floating):  # bfloat16 too
        raise TypeError(
            f"images must be uint8 pixels or floating point. Received: dtype {images.dtype}. For "
            "whole numbers 0…255 use images.astype(np.uint8)"
        )
    _check_values(images)
    return images


def _stack(images: Any) -> np.ndarray:
    """Return one array of images, which may be a list of arrays or pictures."""
    if isinstance(images, str | PurePath):
        raise TypeError(
            "images must be arrays of pixels; files are read by load(path, image_size=(height, "
            "width)), and predicted by jaxcnn predict. "
            f"Received: the path {arguments.shown(images)}"
        )
    try:
        stacked = np.asarray(images)
    except ValueError:  # an inhomogeneous shape
        stacked = np.empty(0, object)
    if stacked.dtype == object:
        form = {np.shape(image) if hasattr(image, "shape") else type(image) for image in images}
        listed = arguments.shown(sorted(map(str, form)))
        raise ValueError(
            "images must be one array (N, …), and those in a list of one shape. Pictures of "
            "several sizes are resized by load([{'image': …, 'label': …}, …], image_size=(height, "
            f"width)), or from a folder. Received: {listed}"
        )
    return stacked


def _gray(images: Images) -> Images:
    """Return gray pictures ``(N, H, W)`` with an axis of one channel."""
    if images.shape[-1] in (1, 3, 4):
        raise ValueError(
            "uint8 images of three axes are gray pictures (N, height, width). "
            f"Received: shape {images.shape}. If this is one picture, use images[None]; sequences "
            "(N, time, channels) must be floating point, such as images / 255"
        )
    return images[..., None]


def _channels_first(images: Images) -> bool:
    """Return whether images are surely channels-first, because of an implausible last axis."""
    _, first, *_, width, last = images.shape
    square, pixels = width == last, images.dtype == np.uint8
    return first in (1, 3) and last > 4 and (square or (pixels and last >= 16))


def _check_values(images: Images) -> None:
    """Check that floating-point images are finite up to their padding, and not pixels of 0…255."""
    bad: list[int] = []
    lowest, highest, whole = np.inf, -np.inf, True
    for start, block in blocks(images):
        finite = _is_finite(block)
        bad += (start + np.flatnonzero(~finite)).tolist()
        if not bad:
            lowest, highest = min(lowest, block.min()), max(highest, block.max())
            whole = whole and bool((block % 1 == 0).all())
    if bad:
        raise ValueError(
            f"images must be finite{_SERIES_RULE if images.ndim == 3 else ''}. Received: NaN or "
            f"infinity in {len(bad)} images, the first at row {bad[0]}"
        )
    pictures = images.ndim == 4 and images.shape[-1] in (1, 3, 4)  # others may be counts
    if pictures and lowest >= 0 and (highest >= _MOST_SCALED or (whole and highest > 1)):
        top = 255 if highest <= 255 else 65535
        raise ValueError(
            f"floating-point images are not scaled, and these hold pixels of 0…{top}: pass uint8, "
            f"or divide by {top}. Received: largest value {highest}"
        )


def series_lengths(images: Images) -> np.ndarray | None:
    """Return the number of steps of each series before its padding, ``None`` without padding.

    >>> series_lengths(np.array([[[1.0], [2.0]], [[1.0], [np.nan]]]))
    array([2, 1])

    Args:
      images: As :func:`check_images` returns them.
    """
    if images.ndim != 3 or not len(images):
        return None
    lengths = np.concatenate([_lengths(block) for _, block in blocks(images)])
    return lengths if (lengths < images.shape[1]).any() else None


def _is_finite(block: np.ndarray) -> np.ndarray:
    """Return for each image of a block whether it is finite up to its padding."""
    if block.ndim != 3:
        return np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
    lengths = _lengths(block)
    inside = np.arange(block.shape[1]) < lengths[:, None]
    return (lengths > 0) & (np.isfinite(block).all(axis=2) | ~inside).all(axis=1)


def _lengths(block: np.ndarray) -> np.ndarray:
    present = ~np.isnan(block).all(axis=2)
    steps = block.shape[1]
    return np.where(present.any(axis=1), steps - np.argmax(present[:, ::-1], axis=1), 0)

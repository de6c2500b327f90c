"""Resizing of images and labels: one method for every way from a picture to the model."""

import numpy as np
from PIL import Image, ImageOps

from jaxcnn import arguments

# Treatments of pictures whose ratio of width to height is not the one wanted.
ASPECTS = ("squash", "crop", "pad")
# Pillow's bilinear filter widens with the reduction, so that every pixel counts.
_METHOD = Image.Resampling.BILINEAR


def check_aspect(aspect: str) -> str:
    """Return the treatment of pictures of another aspect ratio.

    Raises:
      TypeError: It is not a string.
      ValueError: It is none of ``ASPECTS``; the message names the nearest.
    """
    return arguments.check_choice("aspect", aspect, ASPECTS)


def resize_picture(
    picture: Image.Image, size: tuple[int, int], aspect: str = "squash"
) -> Image.Image:
    """Return a picture of mode L or RGB resized (bilinear) to `size`, ``(height, width)``.

    Args:
      picture: The picture.
      size: ``(height, width)``.
      aspect: ``"squash"`` changes the ratio of width to height, ``"crop"`` takes the largest
        centered part that has the ratio of `size`, and ``"pad"`` adds black on two sides.
    """
    height, width = size
    if picture.size == (width, height):
        return picture
    if aspect == "crop":
        return ImageOps.fit(picture, (width, height), _METHOD)
    if aspect == "pad":
        return ImageOps.pad(picture, (width, height), _METHOD)
    return picture.resize((width, height), _METHOD)


def resize_images(images: np.ndarray, size: tuple[int, int], aspect: str = "squash") -> np.ndarray:
    """Return ``(N, H, W, C)`` uint8 images resized, as :func:`resize_picture` resizes one.

    Raises:
      TypeError: The images are not uint8.
      ValueError: The images are not ``(N, H, W, C)``.
    """
    if images.ndim != 4:
        raise ValueError(
            "only images (N, height, width, channels) can be resized; for gray ones use "
            f"images[..., None]. Received: shape {images.shape}"
        )
    if images.shape[1:3] == size:
        return images
    if images.dtype != np.uint8:
        raise TypeError(f"only uint8 images can be resized. Received: dtype {images.dtype}")
    planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3])
    resized = [np.asarray(resize_picture(Image.fromarray(plane), size, aspect)) for plane in planes]
    channels_first = np.reshape(resized, (len(images), -1, *size))
    return np.ascontiguousarray(np.moveaxis(channels_first, 1, -1))


def resize_labels(labels: np.ndarray, size: tuple[int, int], aspect: str = "squash") -> np.ndarray:
    """Return ``(N, H, W)`` labels resized to `size`, each the one nearest to its center.

    Raises:
      ValueError: `aspect` is ``"pad"``, and the sides that it adds have no label.
    """
    old = labels.shape[1:]
    scales = [stored / new for stored, new in zip(old, size, strict=True)]
    if aspect == "pad" and scales[0] != scales[1]:
        raise ValueError(
            'aspect="pad" adds positions that have no label. Received: labels at positions. Use '
            '"crop" or "squash"'
        )
    if aspect == "crop":
        scales = [min(scales)] * 2
    rows, columns = (
        ((stored - new * scale) / 2 + (np.arange(new) + 0.5) * scale).astype(int)
        for stored, new, scale in zip(old, size, scales, strict=True)
    )
    return labels[:, rows[:, None], columns]

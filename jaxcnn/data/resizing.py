"""Resizing of images and labels: one method for every way from a picture to the model."""

import numpy as np
from PIL import Image

# Pillow's bilinear filter widens with the reduction, so that every pixel counts.
_METHOD = Image.Resampling.BILINEAR


def resize_picture(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture of mode L or RGB resized (bilinear) to `size`, ``(height, width)``."""
    height, width = size
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), _METHOD)


def resize_images(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return ``(N, H, W, C)`` uint8 images resized (bilinear) to `size`, ``(height, width)``.

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
    resized = [np.asarray(resize_picture(Image.fromarray(plane), size)) for plane in planes]
    channels_first = np.reshape(resized, (len(images), -1, *size))
    return np.ascontiguousarray(np.moveaxis(channels_first, 1, -1))


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return ``(N, H, W)`` labels resized to `size`, each the one nearest to its center."""
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(int)
        for new, old in zip(size, labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, None], columns]

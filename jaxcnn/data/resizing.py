"""Resizing of images and labels: one method for every way from a picture to the model."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from jaxcnn import arguments

# Treatments of pictures whose ratio of width to height is not the one wanted.
ASPECTS = ("squash", "crop", "pad")
# Pillow's filters widen with the reduction, so that every pixel counts; but for the nearest.
METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Resizing:
    """The way in which pictures get a size.

    Attributes:
      aspect: ``"squash"`` changes the ratio of width to height, ``"crop"`` takes a centered part
        that has the ratio wanted, and ``"pad"`` adds black on two sides.
      interpolation: One of ``METHODS``.
      crop_share: Share of the shorter side that ``"crop"`` keeps, in (0, 1].
    """

    aspect: str = "squash"
    interpolation: str = "bilinear"
    crop_share: float = 1.0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
          TypeError: One is not of its type.
          ValueError: One is not allowed; the message names the nearest word.
        """
        arguments.check_choice("aspect", self.aspect, ASPECTS)
        arguments.check_choice("interpolation", self.interpolation, METHODS)
        share = arguments.check_number("crop_share", self.crop_share, above=0, maximum=1)
        if share != 1 and self.aspect != "crop":
            raise ValueError(
                'crop_share needs aspect="crop". '
                f"Received: crop_share={self.crop_share}, aspect={self.aspect!r}"
            )

    def covering(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of which `size` is the part that is kept."""
        height, width = (math.floor(side / self.crop_share) for side in size)
        return height, width

    def picture(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Return a picture of mode L or RGB at `size`, ``(height, width)``."""
        height, width = size
        method = METHODS[self.interpolation]
        if picture.size == (width, height) and self.crop_share == 1:
            return picture
        if self.aspect == "pad":
            return ImageOps.pad(picture, (width, height), method)
        if self.aspect == "squash":
            return picture.resize((width, height), method)
        # As timm and torchvision evaluate: the shorter side first, then the center.
        least = self.covering(size)
        scale = max(least[0] / picture.height, least[1] / picture.width)
        scaled_height, scaled_width = (
            max(side, int(old * scale + 1e-9))
            for side, old in zip(least, (picture.height, picture.width), strict=True)
        )
        resized = picture.resize((scaled_width, scaled_height), method)
        top, left = round((scaled_height - height) / 2), round((scaled_width - width) / 2)
        return resized.crop((left, top, left + width, top + height))

    def images(self, images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return ``(N, H, W, C)`` uint8 images at a size.

        Raises:
          TypeError: The images are not uint8.
          ValueError: The images are not ``(N, H, W, C)``.
        """
        if images.ndim != 4:
            raise ValueError(
                "only images (N, height, width, channels) can be resized; for gray ones use "
                f"images[..., None]. Received: shape {images.shape}"
            )
        if images.shape[1:3] == size and self.crop_share == 1:
            return images
        if images.dtype != np.uint8:
            raise TypeError(f"only uint8 images can be resized. Received: dtype {images.dtype}")
        planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3])
        resized = [np.asarray(self.picture(Image.fromarray(plane), size)) for plane in planes]
        channels_first = np.reshape(resized, (len(images), -1, *size))
        return np.ascontiguousarray(np.moveaxis(channels_first, 1, -1))

    def labels(self, labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return ``(N, H, W)`` labels at a size, each the one nearest to its center.

        Raises:
          ValueError: Sides are added, which have no label.
        """
        old = labels.shape[1:]
        scales = [stored / new for stored, new in zip(old, self.covering(size), strict=True)]
        if self.aspect == "pad" and scales[0] != scales[1]:
            raise ValueError(
                'aspect="pad" adds positions that have no label. Received: labels at positions. '
                'Use "crop" or "squash"'
            )
        if self.aspect == "crop":
            scales = [min(scales)] * 2
        rows, columns = (
            ((stored - new * scale) / 2 + (np.arange(new) + 0.5) * scale).astype(int)
            for stored, new, scale in zip(old, size, scales, strict=True)
        )
        return labels[:, rows[:, None], columns]


SQUASH = Resizing()  # the default

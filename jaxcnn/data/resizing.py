"""Resizing of images and labels: one method for every way from a picture to the model."""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from jaxcnn import arguments
from jaxcnn.augment.positions import VOID

# Treatments of pictures whose ratio of width to height is not the one wanted.
ASPECTS = ("squash", "crop", "pad")
# Pillow's filters widen with the reduction, so that every pixel counts; but for the nearest.
METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
# A JPEG is decoded at no less than this multiple of the size that is wanted, so that the resizing
# that follows still averages.
_DRAFT = 2
# Only the middle of a longer strip is resized: 1 × 1,000,000 pixels would take gigabytes.
_LONGEST_STRIP = 64


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
                f"Received: crop_share={share:g}, aspect={self.aspect!r}"
            )
        object.__setattr__(self, "crop_share", share)

    def keeps(self, old: tuple[int, ...], size: tuple[int, int]) -> bool:
        """Return whether pictures of a size, ``(height, width)``, stay as they are for another."""
        return old == size and self.crop_share == 1

    def covering(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of which `size` is the part that is kept."""
        height, width = (math.floor(side / self.crop_share) for side in size)
        return height, width

    def least(self, stored: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width at which a picture may be decoded for a size.

        Args:
          stored: Height and width of the picture.
          size: Height and width that are wanted.
        """
        side = _DRAFT * max(self.covering(size))
        return side, side

    def picture(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Return a picture of mode L or RGB at `size`, ``(height, width)``."""
        height, width = size
        method = METHODS[self.interpolation]
        old: tuple[int, ...] = (picture.height, picture.width)
        if self.keeps(old, size):
            return picture
        if self.aspect == "pad":
            return ImageOps.pad(picture, (width, height), method)
        if self.aspect == "squash":
            return picture.resize((width, height), method)
        # As timm and torchvision evaluate: the shorter side first, then the center.
        least = self.covering(size)
        longest = _LONGEST_STRIP * _reduction(old, least)
        strip = tuple(min(math.ceil(longest * a), b) for a, b in zip(least, old, strict=True))
        if strip != old:
            picture, old = _center(picture, *strip), strip
        scaled_height, scaled_width = _scaled(old, least)
        return _center(picture.resize((scaled_width, scaled_height), method), height, width)

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
        if self.keeps(images.shape[1:3], size):
            return images
        if images.dtype != np.uint8:
            raise TypeError(f"only uint8 images can be resized. Received: dtype {images.dtype}")
        planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3])
        resized = [np.asarray(self.picture(Image.fromarray(plane), size)) for plane in planes]
        channels_first = np.reshape(resized, (len(images), -1, *size))
        return np.ascontiguousarray(np.moveaxis(channels_first, 1, -1))

    def labels(self, labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return ``(N, H, W)`` uint8 or int32 labels at a size, each the one nearest to its center.

        Raises:
          ValueError: Sides are added, which have no label.
        """
        old = labels.shape[1:]
        if self.aspect == "pad" and old[0] * size[1] != old[1] * size[0]:
            raise ValueError(
                'aspect="pad" adds positions that have no label. Received: labels at positions. '
                'Use "crop" or "squash"'
            )
        nearest = replace(self, interpolation="nearest")
        planes = map(Image.fromarray, labels)  # of modes L and I
        return np.array([np.asarray(nearest.picture(plane, size)) for plane in planes])

    def boxes(self, boxes: np.ndarray, old: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return boxes moved with their pictures; a crop cuts them, and drops some.

        A box whose center is cut off becomes a row that only fills up.

        Args:
          boxes: Boxes of any number of pictures of one size, as
            :func:`jaxcnn.data.box_labels` returns them.
          old: Height and width of the pictures.
          size: Height and width of the resized pictures.
        """
        if self.keeps(old, size):
            return boxes
        scale, offset = self._placement(old, size)
        (down, right), (top, left) = scale, offset
        corners = boxes["corners"] * np.array([right, down] * 2) - np.array([left, top] * 2)
        limits = np.array([size[1], size[0]] * 2)
        centers = (corners[..., :2] + corners[..., 2:]) / 2
        kept = ((centers >= 0) & (centers <= limits[:2])).all(axis=-1) & (boxes["label"] >= 0)
        moved = boxes.copy()
        moved["corners"] = np.where(kept[..., None], corners.clip(0, limits), 0)
        moved["label"] = np.where(kept, boxes["label"], -1)
        moved["crowd"] &= kept
        return moved

    def original_boxes(
        self, corners: np.ndarray, old: tuple[int, int], size: tuple[int, int]
    ) -> np.ndarray:
        """Return boxes of a resized picture in the pixels of the picture, cut at its edges.

        >>> boxes = np.array([[0.0, 0.0, 8.0, 4.0]])
        >>> Resizing().original_boxes(boxes, (100, 100), (8, 8)).tolist()
        [[0.0, 0.0, 100.0, 50.0]]

        Args:
          corners: ``(…, 4)``: x1, y1, x2, y2.
          old: Height and width of the picture.
          size: Height and width of the resized picture.
        """
        if self.keeps(old, size):
            return corners
        (down, right), (top, left) = self._placement(old, size)
        placed = (corners + np.array([left, top] * 2)) / np.array([right, down] * 2)
        return placed.clip(0, np.array([old[1], old[0]] * 2))

    def original_labels(self, labels: np.ndarray, old: tuple[int, int]) -> np.ndarray:
        """Return ``(H, W)`` labels of a resized picture at the size of the picture.

        Each position gets the label nearest to it; one that was cropped off is void, 255.

        Args:
          labels: uint8 or int32.
          old: Height and width of the picture.
        """
        height, width = labels.shape
        if self.keeps(old, (height, width)):
            return labels
        (down, right), (top, left) = self._placement(old, (height, width))
        rows, columns = (
            np.floor((np.arange(side) + 0.5) * factor - shift).astype(int)
            for side, factor, shift in ((old[0], down, top), (old[1], right, left))
        )
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        nearest = labels[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
        return np.where(inside, nearest, VOID).astype(labels.dtype)

    def _placement(
        self, old: tuple[int, ...], size: tuple[int, int]
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return factor and shift of each axis: a place times the factor, minus the shift."""
        if self.aspect == "squash":
            return (size[0] / old[0], size[1] / old[1]), (0, 0)
        if self.aspect == "pad":  # as ImageOps.pad rounds
            scaled = list(size)
            if old[1] * size[0] > size[1] * old[0]:
                scaled[0] = round(old[0] / old[1] * size[1])
            elif old[1] * size[0] < size[1] * old[0]:
                scaled[1] = round(old[1] / old[0] * size[0])
            added = [round((wide - inner) * 0.5) for wide, inner in zip(size, scaled, strict=True)]
            return (scaled[0] / old[0], scaled[1] / old[1]), (-added[0], -added[1])
        least = self.covering(size)
        longest = _LONGEST_STRIP * _reduction(old, least)
        strip = tuple(min(math.ceil(longest * a), b) for a, b in zip(least, old, strict=True))
        scaled_strip = _scaled(strip, least)
        factors = [a / b for a, b in zip(scaled_strip, strip, strict=True)]
        shifts = [
            round((stored - part) / 2) * factor + round((scaled_side - side) / 2)
            for stored, part, factor, scaled_side, side in zip(
                old, strip, factors, scaled_strip, size, strict=True
            )
        ]
        return (factors[0], factors[1]), (shifts[0], shifts[1])


def _reduction(old: tuple[int, ...], least: tuple[int, int]) -> float:
    """Return the largest factor by which pictures can shrink and still cover a size."""
    return min(stored / side for stored, side in zip(old, least, strict=True))


def _scaled(old: tuple[int, ...], least: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest size that covers `least` at the ratio of `old`.

    Rounded as by the evaluation transforms of timm: for squares by torchvision's ``Resize``, which
    rounds down, for others by its own ``ResizeKeepRatio``.
    """
    if least[0] == least[1]:
        height, width = (stored * least[0] // min(old) for stored in old)
    else:
        height, width = (round(stored / _reduction(old, least)) for stored in old)
    return height, width


def _center(picture: Image.Image, height: int, width: int) -> Image.Image:
    """Return the center of a picture, rounded as by torchvision's ``CenterCrop``."""
    top, left = round((picture.height - height) / 2), round((picture.width - width) / 2)
    return picture.crop((left, top, left + width, top + height))


SQUASH = Resizing()  # the default

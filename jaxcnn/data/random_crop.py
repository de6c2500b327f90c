"""Random resized crops: a part of a picture of random size and ratio, as for ImageNet."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from jaxcnn import arguments
from jaxcnn.data.resizing import METHODS

# Parts that are tried before the largest centered one is taken, as in torchvision.
_TRIES = 10


@dataclass(frozen=True)
class RandomCrop:
    """A random part of each picture, resized (Szegedy et al., 2015, arXiv 1409.4842).

    The part has a share of the picture's area in `scale` and a ratio of width to height in `ratio`,
    drawn evenly over its logarithm, as in torchvision's ``RandomResizedCrop``. Its edges may lie
    between pixels.

    Attributes:
      scale: Least and largest share of the area, in (0, 1].
      ratio: Least and largest ratio of width to height, above 0.
      interpolation: As for :func:`jaxcnn.data.load`.

    Raises:
      TypeError: An option is not a pair of numbers.
      ValueError: A number is out of range.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Check the options."""
        scale = arguments.check_interval("scale", self.scale, above=0, maximum=1)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "ratio", arguments.check_interval("ratio", self.ratio, above=0))
        arguments.check_choice("interpolation", self.interpolation, METHODS)

    def at(self, seed: int, epoch: int, row: int) -> "Crop":
        """Return the part of a picture by the seed, the epoch and the picture's number alone."""
        # A generator of NumPy takes 60 µs to seed, of 2 ms for a picture.
        random = Random(((seed << 64) + epoch << 64) + row)
        return Crop(self, [[random.random() for _ in range(4)] for _ in range(_TRIES)])


@dataclass(frozen=True, eq=False)
class Crop:
    """The part that is taken of one picture, whatever its size; used as a ``Resizing``.

    Attributes:
      kind: The limits of the part.
      drawn: Of each try four numbers in [0, 1): area, ratio, left and top.
    """

    kind: RandomCrop
    drawn: Sequence[Sequence[float]]

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the part of a picture.

        It is the same part for a picture of twice the size.

        >>> crop = Crop(RandomCrop(scale=(0.25, 0.25), ratio=(1, 1)), [[0, 0, 0.5, 0]])
        >>> crop.box(100, 100), crop.box(200, 200)
        ((25.0, 0.0, 75.0, 50.0), (50.0, 0.0, 150.0, 100.0))
        """
        (least, most), (narrowest, widest) = self.kind.scale, self.kind.ratio
        for area, ratio, x, y in self.drawn:
            area = height * width * (least + area * (most - least))
            ratio = narrowest * (widest / narrowest) ** ratio
            wide, high = math.sqrt(area * ratio), math.sqrt(area / ratio)
            if wide <= width and high <= height:
                left, top = x * (width - wide), y * (height - high)
                break
        else:
            wide, high = min(width, height * widest), min(height, width / narrowest)
            left, top = (width - wide) / 2, (height - high) / 2
        return left, top, min(left + wide, width), min(top + high, height)

    def keeps(self, old: tuple[int, ...], size: tuple[int, int]) -> bool:
        """Return False: no picture stays as it is."""
        return False

    def least(self, stored: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """Return the height and width of a picture at which the part has at least `size`."""
        left, top, right, bottom = self.box(*stored)
        height, width = stored
        return math.ceil(height * size[0] / (bottom - top)), math.ceil(
            width * size[1] / (right - left)
        )

    def picture(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Return the part of a picture of mode L or RGB at `size`, ``(height, width)``."""
        box = self.box(picture.height, picture.width)
        return picture.resize((size[1], size[0]), METHODS[self.kind.interpolation], box)

    def images(self, images: np.ndarray, size: tuple[int, int]) -> Any:
        """Raise an error, because only pictures are cropped.

        Raises:
          TypeError: Always.
        """
        raise TypeError(
            "random_crop needs pictures, uint8 (height, width, 1 or 3). "
            f"Received: {images.dtype} {images.shape[1:]}"
        )

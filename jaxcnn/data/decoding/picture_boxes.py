"""The boxes of a picture as its annotation gives them, before the picture is decoded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from jaxcnn.data.decoding.pictures import UnreadablePicture
from jaxcnn.data.object_boxes import BOX, ROUNDING
from jaxcnn.data.resizing import Resizing


@dataclass(frozen=True)
class PictureBoxes:
    """The boxes of one picture, checked when its size is known.

    Attributes:
      corners: ``(n, 4)``: x1, y1, x2, y2 in pixels, or in shares of width and height.
      labels: ``(n,)`` class numbers.
      crowd: ``(n,)`` bool.
      most: Number of rows in the result, at least n.
      shares: Whether corners are shares of width and height, in [0, 1].
      places: The place of each box in its annotation, for errors.
      hint: The rule of the format, for errors.
    """

    corners: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    most: int
    shares: bool = False
    places: tuple[str, ...] = ()
    hint: str = ""

    def check(self, old: tuple[int, int]) -> np.ndarray:
        """Return the boxes in pixels of a picture, ``(most,)`` of ``BOX``, cut at its edges.

        Args:
          old: Height and width of the picture.

        Raises:
          UnreadablePicture: a box is beyond the picture by more than a pixel, or has no area.
        """
        size = np.array([old[1], old[0]] * 2, np.float64)
        corners = np.asarray(self.corners, np.float64).reshape(-1, 4)
        corners = corners * size if self.shares else corners
        outside = np.any((corners < -ROUNDING) | (corners > size + ROUNDING), axis=1)
        outside |= ~np.isfinite(corners).all(axis=1)
        self._refuse(corners, outside, f"lie within its picture of {old[1]}×{old[0]} pixels")
        corners = corners.clip(0, size)
        self._refuse(corners, np.any(corners[:, 2:] <= corners[:, :2], axis=1), "have an area")
        boxes = np.zeros(self.most, BOX)
        boxes["label"] = -1
        count = len(corners)
        boxes["corners"][:count], boxes["label"][:count] = corners, self.labels
        boxes["crowd"][:count] = self.crowd
        return boxes

    def placed(
        self,
        picture: Image.Image | np.ndarray,
        size: tuple[int, int] | None,
        resizing: Resizing,
        name: str,
    ) -> np.ndarray:
        """Return the boxes in pixels of the resized picture, as :meth:`check` does.

        Args:
          picture: The picture before it is resized.
          size: Height and width of the result; ``None`` keeps them.
          resizing: The way in which the picture gets that size.
          name: Name of the picture in errors.

        Raises:
          UnreadablePicture: as for :meth:`check`.
        """
        shape = picture.size[::-1] if isinstance(picture, Image.Image) else picture.shape
        height, width = shape[:2]
        old = height, width
        try:
            boxes = self.check(old)
        except UnreadablePicture as error:
            raise UnreadablePicture(f"the boxes of {name} cannot be used: {error}") from None
        return boxes if size is None else resizing.boxes(boxes, old, size)

    def _refuse(self, corners: np.ndarray, bad: np.ndarray, rule: str) -> None:
        wrong = np.flatnonzero(bad)
        if len(wrong):
            row = int(wrong[0])
            numbers = ", ".join(f"{value:g}" for value in corners[row])
            place = f" of {self.places[row]}" if self.places else ""
            more = f", and {len(wrong) - 1} more boxes" * (len(wrong) > 1)
            raise UnreadablePicture(
                f"every box must {rule}{self.hint}. "
                f"Received: x1, y1, x2, y2 = {numbers}{place}{more}"
            )


def as_picture_boxes(label: Any) -> PictureBoxes | None:
    """Return the boxes of a record's label, or ``None`` where it is no array of boxes."""
    if isinstance(label, PictureBoxes):
        return label
    if not isinstance(label, np.ndarray) or label.dtype != BOX or label.ndim != 1:
        return None
    real = label["label"] >= 0
    corners, labels, crowd = (label[name][real] for name in ("corners", "label", "crowd"))
    return PictureBoxes(corners, labels, crowd, len(label))

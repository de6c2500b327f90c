"""Marks on images that move with the pixels: labels at positions, boxes and points.

Coordinates are pixels from the left and upper edge of the image: an image of width W spans [0, W],
and the center of its first pixel is 0.5. A box is x1, y1, x2, y2; if there are more columns, the
fifth is its class, and class −1 marks a row that only fills up. Points are x, y. Further columns of
both are kept.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxcnn import checks
from jaxcnn.augment.positions import check_alignment, with_channels

# A box of which less than this share of its area stays in the image is dropped: what is left of
# its object can hardly be recognized. Albumentations and YOLOv5 leave this to the user, with
# defaults of 0 and 0.1; 0.3 is the smallest crop of SSD (Liu et al., 2015) but one.
LEAST_SHARE = 0.3


class Move(NamedTuple):
    """An affine map of coordinates, (x, y) in the image to (x, y) in the result.

    Attributes:
      matrix: ``(2, 2)``.
      offset: ``(2,)`` pixels, added after the product.
    """

    matrix: jax.Array
    offset: jax.Array

    @classmethod
    def of_shift(cls, shift: jax.Array) -> "Move":
        """Return the shift by ``(2,)`` pixels down and to the right."""
        return cls(jnp.eye(2, dtype=jnp.float32), shift[::-1].astype(jnp.float32))

    @classmethod
    def of_crop(cls, corner: jax.Array, sides: jax.Array, size: tuple[int, ...]) -> "Move":
        """Return the map of a part of the image to the whole size, all (row, column)."""
        factor = jnp.array(size, sides.dtype) / sides
        return cls(jnp.diag(factor[::-1]), (-corner * factor)[::-1])

    @classmethod
    def of_inverse(cls, matrix: jax.Array, offset: jax.Array, size: tuple[int, ...]) -> "Move":
        """Return the map of which :func:`warp` takes the inverse, about the center of the image."""
        (a, b), (c, d) = matrix
        # Of (column, row), so that the axes of the inverse are exchanged as well.
        forward = jnp.stack([a, -c, -b, d]).reshape(2, 2) / (a * d - b * c)
        middle = jnp.array(size[::-1], matrix.dtype) / 2
        start = middle + offset[::-1]
        return cls(forward, middle - jnp.sum(forward * start[None], axis=1))

    def __call__(self, places: jax.Array) -> jax.Array:
        """Return the places, ``(…, 2)``, in the result."""
        matrix, offset = (x.astype(places.dtype) for x in self)
        x, y = places[..., 0], places[..., 1]
        moved = [matrix[n, 0] * x + matrix[n, 1] * y + offset[n] for n in (0, 1)]
        return jnp.stack(moved, axis=-1)


class Marks(NamedTuple):
    """The marks on images, or on one image without the batch axis.

    Attributes:
      labels: ``(batch, *spatial)`` labels at positions, with or without channels, or ``None``.
      boxes: ``(batch, M, 4 or more)``, floating point, or ``None``.
      points: ``(batch, M, 2 or more)``, floating point, or ``None``.
    """

    labels: Any = None
    boxes: Any = None
    points: Any = None

    def check(self, images: jax.Array) -> "Marks":
        """Return the marks, which must fit to the images.

        Raises:
          TypeError: One is not an array, or boxes or points are not floating point.
          ValueError: The shapes do not fit.
        """
        labels, boxes, points = (
            marks if marks is None else checks.array(name, marks)
            for name, marks in self._asdict().items()
        )
        if labels is not None:
            check_alignment(labels, images)
        for name, marks, columns in (("boxes", boxes, 4), ("points", points, 2)):
            if marks is None:
                continue
            checks.floating(name, marks)
            if images.ndim != 4:
                raise ValueError(
                    f"{name} move with images (batch, height, width, channels) only. "
                    f"Received: images {images.shape}"
                )
            if marks.ndim != 3 or len(marks) != len(images) or marks.shape[2] < columns:
                raise ValueError(
                    f"{name} must be (batch, number, {columns} or more), one row of the batch per "
                    f"image. Received: {name} {marks.shape} for images {images.shape}"
                )
        return Marks(labels, boxes, points)

    def beside(self, images: jax.Array) -> Any:
        """Return the images alone, or a tuple of them and the marks that there are."""
        given = [marks for marks in self if marks is not None]
        return (images, *given) if given else images

    def moved(
        self, labels: Callable[[jax.Array], jax.Array], move: Move, size: tuple[int, ...]
    ) -> "Marks":
        """Return the marks of one image after the move of its pixels.

        Args:
          labels: Moves labels ``(*spatial, channels)``.
          move: Moves boxes and points.
          size: The spatial axes of the image.
        """
        return Marks(
            None if self.labels is None else with_channels(labels, self.labels, len(size) + 1),
            None if self.boxes is None else move_boxes(self.boxes, move, size),
            None if self.points is None else move_points(self.points, move),
        )


def move_points(points: jax.Array, move: Move) -> jax.Array:
    """Return points ``(M, 2 or more)`` in the result; they may lie outside of it."""
    return points.at[:, :2].set(move(points[:, :2]))


def move_boxes(
    boxes: jax.Array,
    move: Move,
    size: tuple[int, ...],
    window: tuple[jax.Array, jax.Array] | None = None,
) -> jax.Array:
    """Return boxes in the result: the bounding boxes of their corners, clipped to the image.

    Rows of class −1, and boxes that keep less than :data:`LEAST_SHARE` of their area, become rows
    that only fill up: zeros, with class −1 in the fifth column.

    Args:
      boxes: ``(M, 4 or more)``.
      move: The map of coordinates.
      size: Height and width of the result.
      window: The corners (x, y) of the part of the result in which the image is shown; by default
        the whole.
    """
    corners = move(boxes[:, jnp.array([[0, 1], [2, 1], [0, 3], [2, 3]])])
    low, high = corners.min(axis=1), corners.max(axis=1)
    if window is None:
        window = jnp.zeros(2), jnp.array(size[::-1], jnp.float32)
    first, last = (edge.astype(boxes.dtype)[None] for edge in window)
    kept_low, kept_high = jnp.clip(low, first, last), jnp.clip(high, first, last)
    area = jnp.prod(high - low, axis=1)
    kept = jnp.prod(kept_high - kept_low, axis=1)
    valid = (kept >= LEAST_SHARE * area) & (kept > 0)
    filler = jnp.zeros_like(boxes[0])
    if boxes.shape[1] > 4:
        valid &= boxes[:, 4] >= 0
        filler = filler.at[4].set(-1)
    moved = jnp.concatenate([kept_low, kept_high, boxes[:, 4:]], axis=1)
    return jnp.where(valid[:, None], moved, filler[None])

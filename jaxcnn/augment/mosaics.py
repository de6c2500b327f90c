"""Mosaics: one image of the parts of four images of the batch, with the marks on them."""

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented
from jaxcnn.augment.geometry import resized_crop
from jaxcnn.augment.marks import Marks, Move, move_boxes
from jaxcnn.augment.positions import with_channels
from jaxcnn.other_names import explained

# The center of a mosaic is in the middle half of each axis.
_NEAREST, _FARTHEST = 0.25, 0.75


@explained
def mosaic(
    key: jax.Array,
    images: jax.Array,
    *,
    scale: float = 0.75,
    rate: float = 1.0,
    most: int | None = None,
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
) -> Augmented:
    """Replace each image by a mosaic of parts of four images of the batch (YOLOv4).

    The four parts meet at a random place in the middle half of the image (Bochkovskiy et al., 2020,
    arXiv 2004.10934). Each shows a random part of its image, made smaller by a factor between
    `scale` and 1, with its sides in proportion. The first part is of the image itself, the others
    are of the other rows of three random permutations of the batch.

    >>> images = jnp.ones((4, 16, 16, 3))
    >>> boxes = jnp.tile(jnp.array([2.0, 2, 9, 9, 1]), (4, 1, 1))
    >>> mixed, moved = mosaic(jax.random.key(0), images, boxes=boxes)
    >>> mixed.shape, moved.shape
    ((4, 16, 16, 3), (4, 4, 5))

    Args:
      key: A PRNG key; the same key gives the same mosaics.
      images: ``(batch, height, width, channels)``, floating point.
      scale: The smallest factor, in [0.75, 1].
      rate: Probability that an image is replaced, in [0, 1].
      most: Number of boxes of each result, the largest; by default all: four times as many as an
        image has.
      labels: Labels at positions, ``(batch, height, width)`` or with channels.
      boxes: ``(batch, M, 4 or more)`` as for :func:`random_crop`. A box that keeps less than 0.3 of
        its area in its part becomes a row that only fills up. These rows are the last.

    Returns:
      Shape and dtype of ``images``; with ``labels`` or ``boxes`` a tuple of the images and of those
      that are given, in this order; boxes ``(batch, most, …)``.

    Raises:
      TypeError: An option is not a number, or the images or boxes are not floating point.
      ValueError: An option is outside the range above, or the shapes do not fit.
    """
    checks.rank("images", images, 4)
    checks.floating("images", images)
    images = jnp.asarray(images)
    marks = Marks(labels, boxes).check(images)
    labels, boxes, _ = marks
    scale = arguments.check_number("scale", scale, minimum=_FARTHEST, maximum=1)
    rate = arguments.check_number("rate", rate, minimum=0, maximum=1)
    if most is not None:
        arguments.check_integer("most", most, minimum=1)
    order_key, *keys = jax.random.split(key, 5)
    rows = jnp.arange(len(images))
    orders = [jax.random.permutation(each, rows) for each in jax.random.split(order_key, 3)]
    sources = jnp.stack([rows, *orders], axis=1)
    size = images.shape[1:3]

    def one(
        keys: tuple[jax.Array, ...], sources: jax.Array, image: jax.Array, own: Marks
    ) -> tuple[jax.Array, Marks]:
        center_key, scale_key, place_key, choice_key = keys
        sides = jnp.array(size, jnp.float32)
        share = jax.random.uniform(center_key, (2,), minval=_NEAREST, maxval=_FARTHEST)
        center = jnp.round(share * sides)
        factors = jax.random.uniform(scale_key, (4,), minval=scale, maxval=1)
        places = jax.random.uniform(place_key, (4, 2))
        shown, label, found = image, own.labels, []
        for part in range(4):
            after = jnp.array([part // 2, part % 2]) == 1
            start = jnp.where(after, center, 0.0)
            stop = jnp.where(after, sides, center)
            # The part of the source, and where its origin lies in the result.
            window = (stop - start) / factors[part]
            corner = places[part] * (sides - window) - start / factors[part]
            inside = _inside(start, stop, size)
            row = sources[part]

            def read(x: jax.Array, corner: jax.Array = corner, part: int = part) -> jax.Array:
                moved = resized_crop(x, corner, sides / factors[part])
                return moved.astype(x.dtype)

            shown = jnp.where(inside[..., None], read(images[row]), shown)
            if labels is not None:
                moved = with_channels(read, labels[row], 3)
                mask = inside if moved.ndim == 2 else inside[..., None]
                label = jnp.where(mask, moved, label)
            if boxes is not None:
                move = Move.of_crop(corner, sides / factors[part], size)
                found.append(move_boxes(boxes[row], move, size, (start[::-1], stop[::-1])))
        chosen = jax.random.bernoulli(choice_key, rate)
        result = Marks(
            None if labels is None else jnp.where(chosen, label, own.labels),
            None if boxes is None else _largest(jnp.concatenate(found), own.boxes, chosen, most),
        )
        return jnp.where(chosen, shown, image), result

    each = tuple(jax.random.split(key, len(images)) for key in keys)
    moved, marks = jax.vmap(one)(each, sources, images, marks)
    return marks.beside(moved)


def _inside(start: jax.Array, stop: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Return which positions, ``(height, width)``, are from `start` up to `stop`."""
    rows, columns = (
        (jnp.arange(side, dtype=start.dtype) >= start[axis])
        & (jnp.arange(side, dtype=start.dtype) < stop[axis])
        for axis, side in enumerate(size)
    )
    return rows[:, None] & columns[None]


def _largest(boxes: jax.Array, own: jax.Array, chosen: jax.Array, most: int | None) -> jax.Array:
    """Return the `most` largest boxes of a mosaic, or the image's own where it has none."""
    filler = jnp.zeros_like(own[:1])
    if own.shape[1] > 4:
        filler = filler.at[:, 4].set(-1)
    fill = jnp.tile(filler, (len(boxes) - len(own), 1))
    boxes = jnp.where(chosen, boxes, jnp.concatenate([own, fill]))
    area = jnp.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    if boxes.shape[1] > 4:
        area = jnp.where(boxes[:, 4] >= 0, area, -1.0)
    return boxes[jnp.argsort(-area)[: most or len(boxes)]]

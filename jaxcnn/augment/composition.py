"""Composition of augmentations, and their application to each image with a separate key."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.augment.marks import Marks
from jaxcnn.augment.positions import leaves_in_place

# Images; or a tuple of images and of the labels, boxes and points that are passed.
Augmented: TypeAlias = Any
Augment: TypeAlias = Callable[..., Augmented]


def compose(*augmentations: Augment) -> Augment:
    """Return the augmentation that applies several in sequence, each with a separate key.

    >>> from functools import partial
    >>> from jaxcnn.augment import random_crop, random_flip
    >>> augment = compose(random_flip, partial(random_crop, padding=4))
    >>> augment(jax.random.key(0), jnp.ones((8, 32, 32, 3))).shape
    (8, 32, 32, 3)

    Args:
      *augmentations: Functions ``(key, images) -> images``; one with a parameter ``epoch`` that
        has no value yet is called with the number of the epoch. Without any, images do not change.

    Returns:
      A function ``(key, images, *, epoch=None, labels=None, boxes=None, points=None) -> images``,
      or a tuple of the images and of those of labels at positions, boxes and points that are
      passed; see :func:`in_place`.

    Raises:
      TypeError: An argument is not a function.
    """
    for augment in augmentations:
        check_augmentation("an augmentation", augment)

    def composed(
        key: jax.Array,
        images: jax.Array,
        *,
        epoch: jax.Array | int | None = None,
        labels: jax.Array | None = None,
        boxes: jax.Array | None = None,
        points: jax.Array | None = None,
    ) -> Augmented:
        marks = _given(labels=labels, boxes=boxes, points=points)
        for number, augment in enumerate(augmentations):
            step_key = jax.random.fold_in(key, number)
            result = apply(augment, step_key, images, epoch=epoch, **marks)
            if marks:
                images, *moved = result
                marks = dict(zip(marks, moved, strict=True))
            else:
                images = result
        return Marks(**marks).beside(images)

    return composed


def check_augmentation(name: str, augment: Any) -> Augment:
    """Return `augment`, which must be a function.

    Args:
      name: Name of the argument, for the error.
      augment: A function ``(key, images) -> images``.

    Raises:
      TypeError: It is anything else.
    """
    if not callable(augment) or isinstance(augment, type):
        raise TypeError(
            f"{name} must be a function (key, images) -> images, such as cnn.augment.random_flip "
            "or functools.partial(cnn.augment.random_crop, padding=4). "
            f"Received: {arguments.shown(augment)}"
        )
    return augment


def apply(
    augment: Augment,
    key: jax.Array,
    images: jax.Array,
    *,
    epoch: jax.Array | int | None = None,
    labels: jax.Array | None = None,
    boxes: jax.Array | None = None,
    points: jax.Array | None = None,
) -> Augmented:
    """Call `augment`, with the number of the epoch and the marks if its signature has them.

    Returns:
      The images; with labels at positions, boxes or points a tuple of the images and of those that
      are given, in this order, moved as the images are.

    Raises:
      ValueError: `augment` requires the epoch, and `epoch` is ``None``; or it gets labels, boxes or
        points and does not declare whether it moves pixels.
    """
    parameters = inspect.signature(augment).parameters
    marks = _given(labels=labels, boxes=boxes, points=points)
    unknown = [name for name in marks if name not in parameters]
    if unknown and leaves_in_place(augment):
        return Marks(**marks).beside(apply(augment, key, images, epoch=epoch))
    if unknown:
        what = "labels at positions" if unknown[0] == "labels" else unknown[0]
        raise ValueError(
            f"{what} must be moved with the pixels, and this augmentation does not "
            "declare whether it moves them: if not, pass cnn.augment.in_place(augment); if so, "
            f"it needs a parameter {unknown[0]}. Received: {arguments.shown(augment)}"
        )
    if marks:
        augment = functools.partial(augment, **marks)
    option = parameters.get("epoch")
    if option is None or option.default not in (None, option.empty):
        return augment(key, images)
    if epoch is None and option.default is option.empty:
        raise ValueError(
            "this augmentation differs from epoch to epoch: give make_training its "
            f"steps_per_epoch. Received: epoch=None for {arguments.shown(augment)}"
        )
    return augment(key, images, epoch=epoch)


def each_image(
    augment: Callable[..., Any],
    key: jax.Array,
    images: jax.Array,
    marks: Marks | None = None,
    *,
    by_frame: bool = True,
) -> Augmented:
    """Apply a function of one image, in at least float32, to every image with its own key.

    The key of an image is a function of `key` and its row, so that other rows do not affect it. All
    frames of a video have one key, so that they are changed by the same draws.

    Args:
      augment: Map a key and one image to an image of the same shape; with `marks`, a key, an
        image and its marks to an image and its marks.
      key: A PRNG key.
      images: ``(batch, …)``, floating point.
      marks: For an augmentation that moves pixels.
      by_frame: Whether the function takes one frame of a video, or else all frames at once.

    Returns:
      Shape and dtype of ``images``; a tuple with the marks that there are.

    Raises:
      TypeError: The images are not floating point.
      ValueError: The marks do not fit to the images.
    """
    checks.floating("images", images)
    # float16 is too imprecise for the coordinates and sums of an image.
    precise = images.astype(jnp.float32) if images.dtype.itemsize < 4 else images
    keys = jax.random.split(key, len(images))
    marks = None if marks is None else marks.check(images)
    if images.ndim == 5 and by_frame:
        # The frames are the second axis of images and labels, and share a key.
        augment = jax.vmap(augment, in_axes=(None, 0) if marks is None else (None, 0, 0))
    if marks is None:
        return jax.vmap(augment)(keys, precise).astype(images.dtype)
    moved, marks = jax.vmap(augment)(keys, precise, marks)
    return marks.beside(moved.astype(images.dtype))


def _given(**marks: jax.Array | None) -> dict[str, Any]:
    return {name: value for name, value in marks.items() if value is not None}


def uniform(key: jax.Array, interval: tuple[float, float], like: jax.Array, *shape: int) -> Any:
    """Draw uniformly from ``[low, high]``, in the dtype of `like`."""
    low, high = interval
    return jax.random.uniform(key, shape, like.dtype, low, high)

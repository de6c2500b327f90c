"""The data set: labeled images in memory, mapped from a file, or on the device."""

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxcnn import arguments, shapes
from jaxcnn.data.array_blocks import blocks
from jaxcnn.data.drawing import Batch, Draw, Drawn
from jaxcnn.data.images import Images, check_images, series_lengths
from jaxcnn.data.labels import TASKS, LabelKind, LabelTask, check_labels, label_kind
from jaxcnn.data.object_boxes import BOX, to_rows
from jaxcnn.data.resizing import SQUASH, Resizing
from jaxcnn.other_names import Explained

# The text of a set names at most this many classes.
_SHOWN_NAMES = 10
# A fingerprint reads at most this many bytes of images.
_FINGERPRINT_BYTES = 1 << 28


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Explained):
    """A set of labeled images, checked when it is created.

    Arrays are not copied: images may be mapped from a file larger than memory, as
    ``np.load(path, mmap_mode="r")`` does, or be on the device. Labels and floating-point images are
    read once, to check their range and that they are finite.

    >>> data = Dataset(np.zeros((6, 28, 28, 1), np.uint8), np.arange(6) % 3)
    >>> len(data), data.image_shape, data.class_names
    (6, (28, 28, 1), ('0', '1', '2'))

    Labels are of one of five kinds, distinguished by dtype and rank alone:

    - ``"class"``: integers ``(N,)`` from 0, stored as int32, or class names. One class per image.
    - ``"positions"``: integers ``(N, *spatial)``, with the axes of the images without their
      channels, stored as uint8 or int32. A class at each position, as in segmentation; 255 is
      void, that is no class, unless there are more than 255 classes.
    - ``"several"``: bool ``(N, classes)``. True for each class that an image has; any number.
    - ``"numbers"``: floating point ``(N, …)``, stored as float32. The targets of a regression, or
      shares of the classes. One number per image is ``(N, 1)``.
    - ``"boxes"``: boxes ``(N, M)`` of :func:`jaxcnn.data.box_labels`. The objects of an image, as
      in detection.

    Augmentations that move pixels move labels at positions and boxes too; other labels stay.

    Attributes:
      images: ``(N, H, W, C)``, or ``(N, T, C)`` for sequences, or ``(N, T, H, W, C)`` for video:
        uint8 pixels 0…255, which the training step divides by 255, or floating-point values,
        which it does not scale. uint8 of three axes are gray pictures ``(N, H, W)`` and become
        ``(N, H, W, 1)``; sequences are floating point. Sequences of several lengths are padded at
        the end by steps that are NaN in every channel, for a network that is
        :func:`jaxcnn.masked`.
      labels: Labels of one of the kinds above.
      class_names: One name per class; by default the sorted names among the labels, or the
        numbers from 0 to the largest label or the last class. For ``"numbers"`` labels, one name
        per element of the last axis, or none.
      resizing: The method by which the images got their size; ``jaxcnn predict`` applies it to
        pictures for a run of :func:`jaxcnn.fit`.

    Raises:
      TypeError: Images or labels have an unsupported dtype.
      ValueError: A shape does not fit, the set is empty, a label is out of range or not finite,
        or an image has NaN other than padding, infinity or floating-point pixels of 0…255.
    """

    images: Images
    labels: np.ndarray
    class_names: tuple[str, ...] = ()
    resizing: Resizing = SQUASH

    def __post_init__(self) -> None:
        """Check the arrays and convert them to their dtypes."""
        images = check_images(self.images)
        if len(images) == 0:
            raise ValueError(f"a data set needs at least one image. Received: {images.shape}")
        labels, names = check_labels(np.asarray(self.labels), images.shape, self.class_names)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __repr__(self) -> str:
        """Return what the set holds, rather than its arrays."""
        what = f"{len(self):,} images {self.image_shape} {self.images.dtype.name}"
        if not self.class_names:
            return f"Dataset({what}, labels {self.labels.shape[1:]} {self.labels.dtype.name})"
        names = ", ".join(self.class_names[:_SHOWN_NAMES])
        more = ", …" if len(self.class_names) > _SHOWN_NAMES else ""
        return f"Dataset({what}, {len(self.class_names)} classes: {names}{more})"

    @property
    def image_shape(self) -> shapes.Shape:
        """The shape of one image, such as ``(H, W, C)``."""
        return self.images.shape[1:]

    @property
    def kind(self) -> LabelKind:
        """The kind of labels, one of the five words above."""
        return label_kind(self.labels)

    @property
    def task(self) -> LabelTask:
        """The task of the labels, one of ``classify``, ``segment``, ``regress`` and ``detect``."""
        return TASKS[self.kind]

    @functools.cached_property
    def lengths(self) -> np.ndarray | None:
        """The number of steps of each sequence before its padding, ``(N,)``; ``None`` without any.

        >>> series = np.array([[[1.0], [2.0]], [[1.0], [np.nan]]])
        >>> Dataset(series, np.array([0, 1])).lengths
        array([2, 1])
        """
        return series_lengths(self.images)

    @property
    def sample(self) -> "Dataset":
        """The set itself; of a stream, some of its images."""
        return self

    @property
    def fixed_batch_size(self) -> None:
        """``None``: batches have any size."""

    @property
    def num_examples(self) -> int:
        """Number of images, as ``len``."""
        return len(self)

    def draw(self, draw: Draw) -> Drawn:
        """Return batches, as :func:`jaxcnn.data.batches` does.

        Raises:
          ValueError: There are fewer batches than the number of the first.
        """
        rows, masks = draw.rows(len(self), self.labels)
        take = _take_on_device if isinstance(self.images, jax.Array) else np.take
        return Drawn(
            Batch(take(self.images, row, axis=0), _labels_of_batch(self.labels[row]), mask)
            for row, mask in zip(rows, masks, strict=True)
        )

    def fingerprint(self) -> str:
        """Return a short hash of the contents that is stable across processes.

        Of images of more than 256 MB in all, every n-th is read.

        >>> Dataset(np.zeros((6, 8, 8, 1), np.uint8), np.arange(6) % 3).fingerprint()[:8]
        '6 images'
        """
        form = self.images.dtype.name, self.labels.dtype.name, self.labels.shape, self.class_names
        digest = hashlib.sha256(repr(form).encode())
        apart = max(-(-self.images.nbytes // _FINGERPRINT_BYTES), 1)
        for array in (self.labels, self.images[::apart]):
            for _, block in blocks(array):
                digest.update(np.ascontiguousarray(block).view(np.uint8).data)
        return f"{len(self):,} images {self.image_shape} {digest.hexdigest()[:16]}"

    def __getitem__(self, rows: Any) -> Any:
        """Return ``(image, label)`` of a row, or the data set of a slice or of several rows.

        >>> data = Dataset(np.zeros((6, 28, 28, 1), np.uint8), np.arange(6) % 3)
        >>> len(data[:4]), len(data[data.labels == 1]), data[-1][1]
        (4, 2, np.int32(2))

        Raises:
          IndexError: There is no such row.
          ValueError: No row is chosen.
        """
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            return self.images[rows], self.labels[rows]
        return self.take(rows if isinstance(rows, slice) else np.asarray(rows))

    def take(self, rows: np.ndarray | slice) -> "Dataset":
        """Return the images and labels of these rows, with the same classes; a slice is a view."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])

    def on_device(self, sharding: jax.sharding.Sharding | None = None) -> "Dataset":
        """Return the set with its images on the device, where batches are gathered.

        This avoids the transfer of each batch to an accelerator. The set takes ``images.nbytes``
        of device memory, such as 47 MB for MNIST and 154 MB for CIFAR-10. On CPU there is no gain.

        >>> data = Dataset(np.zeros((6, 28, 28, 1), np.uint8), np.arange(6) % 3).on_device()
        >>> isinstance(data.images, jax.Array)
        True

        Args:
          sharding: Sharding of the images; ``None`` means the default device.
        """
        return replace(self, images=jax.device_put(self.images, sharding))

    def resize(
        self,
        image_size: int | Sequence[int],
        *,
        aspect: str = "squash",
        interpolation: str = "bilinear",
        crop_share: float = 1.0,
    ) -> "Dataset":
        """Return the set with every image resized to ``(H, W)``, or to a square.

        The options are those of :func:`jaxcnn.data.load`. Labels at positions are resized too
        (nearest neighbor), unless their size differs from that of the images. Boxes move with the
        images; a crop cuts them, and drops those whose center it cuts off.

        >>> data = Dataset(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1]))
        >>> data.resize(28).image_shape
        (28, 28, 1)

        Raises:
          TypeError: The size is not an integer or a pair, or the images are not uint8.
          ValueError: The size is below 1, the images are not ``(N, H, W, C)``, an option is not
            allowed, or padding would have no labels.
        """
        height, width = shapes.per_axis("image_size", image_size, 2)
        resizing = Resizing(aspect, interpolation, crop_share)
        images = resizing.images(np.asarray(self.images), (height, width))
        old_height, old_width, _ = self.image_shape
        if resizing.keeps((old_height, old_width), (height, width)):
            return self
        labels = self.labels
        if self.kind == "positions" and labels.shape == self.images.shape[:-1]:
            labels = resizing.labels(labels, (height, width))
        elif self.kind == "boxes":
            labels = resizing.boxes(labels, (old_height, old_width), (height, width))
        if old_height * width == old_width * height and resizing.crop_share == 1:
            # Nothing is cropped, squashed or padded now.
            resizing = replace(self.resizing, interpolation=interpolation)
        return Dataset(images, labels, self.class_names, resizing)


def _labels_of_batch(labels: np.ndarray) -> np.ndarray:
    if labels.dtype == BOX:
        return to_rows(labels)
    return labels.astype(np.int32) if labels.dtype == np.uint8 else labels


_take_on_device = jax.jit(functools.partial(jnp.take, mode="clip"), static_argnames="axis")


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return ``(N, num_classes)`` float32 rows with a 1 at each label.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)

    Args:
      labels: ``(N,)`` class numbers in 0…num_classes − 1.
      num_classes: Number of classes, at least 1.

    Raises:
      TypeError: The labels are not integers.
      ValueError: A label is out of range.
    """
    arguments.check_integer("num_classes", num_classes, minimum=1)
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels must be integers. Received: dtype {labels.dtype}")
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"labels must be in 0…{num_classes - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    return np.eye(num_classes, dtype=np.float32)[labels]


def storage_bytes(shape: Sequence[int], dtype: DTypeLike = np.uint8) -> int:
    """Return the number of bytes of an array of this shape.

    >>> storage_bytes((512, 512, 1)), storage_bytes((512, 512, 3))
    (262144, 786432)

    Args:
      shape: Sizes of all axes, each at least 1.
      dtype: Type of a value.
    """
    return math.prod(shapes.check_shape(shape)) * np.dtype(dtype).itemsize

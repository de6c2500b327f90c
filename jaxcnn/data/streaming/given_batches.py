"""Batches that the user makes: an iterable of them, a function of the epoch, or a generator."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from jaxcnn import arguments
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.drawing import Batch, Draw, Drawn
from jaxcnn.other_names import Explained

# An iterable of batches, or a function from the number of an epoch, from 0, to one.
Batches: TypeAlias = Iterable[Any] | Callable[[int], Iterable[Any]]


class GivenBatches(Explained):
    """A source of given batches, each ``(images, labels)`` or a :class:`jaxcnn.Batch`.

    All have the shapes and dtypes of the first one. An iterable that can be iterated again, such
    as a list or a PyTorch ``DataLoader``, and a function of the number of the epoch begin anew in
    each epoch; a generator goes on. A resumed training drops the batches that were taken before,
    or gives the state to an iterator that has ``get_state`` and ``set_state``, as Grain's do.
    """

    def __init__(self, batches: Batches, class_names: tuple[str, ...] = ()) -> None:
        """Draw the first batch, which tells the form of all.

        Args:
          batches: The batches, or a function from the number of an epoch to them.
          class_names: One per class; by default the numbers from 0 to the largest label of the
            first batch.

        Raises:
          TypeError: The first batch is not images and labels.
          ValueError: There is none, or it does not make a data set.
        """
        self._batches = batches
        # A generator: its batches come once.
        self._generator: Iterator[Any] | None = None
        self._drawn = 0
        iterator = self._begin(0)
        first = next(iterator, None)
        if first is None:
            raise ValueError("batches must give at least one batch. Received: none")
        if iterator is batches:
            self._generator = itertools.chain([first], self._begin(0))
        images, labels, _ = _split(first, "the first batch")
        self._form = _form(images), _form(labels)
        self.sample = Dataset(images, labels, class_names)

    def __repr__(self) -> str:
        """Return the form of the batches."""
        return f"batches of {self.fixed_batch_size} images {self.sample.image_shape}"

    @property
    def fixed_batch_size(self) -> int:
        """Rows of each batch."""
        return len(self.sample)

    @property
    def num_examples(self) -> int | None:
        """Number of images of an epoch, where the batches have a length."""
        batches: Any = self._batches
        return len(batches) * len(self.sample) if hasattr(batches, "__len__") else None

    def name_classes(self, class_names: tuple[str, ...]) -> None:
        """Give the classes their names.

        Raises:
          ValueError: A label of the first batch is of no class.
        """
        self.sample = Dataset(self.sample.images, self.sample.labels, class_names)

    def fingerprint(self) -> str:
        """Return the form of the batches; their contents are not known."""
        (images, dtype), labels = self._form
        return f"batches of {dtype} {images}, labels {labels[1]} {labels[0]}"

    def draw(self, draw: Draw) -> Drawn:
        """Return the batches of an epoch from a number on.

        Raises:
          ValueError: `draw` asks for other rows, or a batch has another form than the first.
        """
        if draw.batch_size != len(self.sample):
            raise ValueError(
                f"batch_size must be that of the given batches, {len(self.sample)}. "
                f"Received: batch_size={draw.batch_size}"
            )
        if self._generator is not None:
            begin = (draw.state or {"drawn": 0})["drawn"]
            self._drop(self._generator, begin - self._drawn)
            self._drawn = begin
            checked = self._checked(self._generator, draw, begin)
            return Drawn(checked, lambda: {"drawn": self._drawn})
        iterator = self._begin(draw.epoch)
        has_state = hasattr(iterator, "get_state") and hasattr(iterator, "set_state")
        if has_state and draw.start and draw.state is not None:
            iterator.set_state(draw.state)
        else:
            self._drop(iterator, draw.start)
        checked = self._checked(iterator, draw, draw.start)
        return Drawn(checked, iterator.get_state) if has_state else Drawn(checked)

    def _begin(self, epoch: int) -> Any:
        batches = self._batches
        return iter(batches(epoch) if callable(batches) else batches)

    def _drop(self, iterator: Iterator[Any], count: int) -> None:
        if count < 0:
            raise ValueError(
                "a generator gives its batches once; to begin again, pass an iterable or a "
                "function of the epoch that returns one"
            )
        for _ in itertools.islice(iterator, count):
            pass

    def _checked(self, iterator: Iterator[Any], draw: Draw, begin: int) -> Iterator[Batch]:
        shape, classes = self.sample.labels.shape, len(self.sample.class_names)
        for number, given in enumerate(iterator, begin + 1):
            self._drawn += 1
            name = f"batch {number}"
            if self._generator is None:
                name += f" of epoch {draw.epoch + 1}"
            images, labels, mask = _split(given, name)
            if (_form(images), _form(labels)) != self._form:
                expected = " and ".join(f"{dtype} {form}" for form, dtype in self._form)
                raise ValueError(
                    f"every batch must have the shapes and dtypes of the first one, {expected}; "
                    "of a PyTorch DataLoader use drop_last=True. "
                    f"Received: {images.dtype} {images.shape} and {labels.dtype} {labels.shape} "
                    f"as {name}"
                )
            labels = labels.astype(self.sample.labels.dtype, copy=False).reshape(shape)
            if self.sample.kind == "class" and not 0 <= labels.min() <= labels.max() < classes:
                raise ValueError(
                    f"labels must be in 0…{classes - 1}, because there are {classes} classes. "
                    f"Received: labels from {labels.min()} to {labels.max()} in {name}"
                )
            yield Batch(images[draw.part], labels[draw.part], mask[draw.part])


def _form(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    return array.shape, array.dtype.name


def _split(given: Any, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, labels and mask of a batch."""
    if isinstance(given, Batch):
        images, labels, mask = map(np.asarray, given)
        return images, labels, mask
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError(
            "a batch must be (images, labels) or a Batch. "
            f"Received: {arguments.shown(type(given).__name__)} as {name}"
        )
    images, labels = map(np.asarray, given)
    return images, labels, np.ones(len(images), bool)

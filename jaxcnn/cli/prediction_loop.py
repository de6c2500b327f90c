"""The loop of ``jaxcnn predict``: files are read while the network computes."""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from jaxcnn.cli.predictions import Batch
from jaxcnn.data.images import check_images
from jaxcnn.recipes.input_stream import Failure, Opener, read_ahead
from jaxcnn.recipes.run_inputs import Input, InputReader, stack_inputs
from jaxcnn.training.out_of_memory import advise_on_memory
from jaxcnn.training.placement import Placement
from jaxcnn.training.prediction import Predictor, check_padding, rows_of_a_step
from jaxcnn.training.run_description import Run

# Batches that the device has while the next one is read.
_AHEAD = 1


class Network:
    """A model that predicts batches of several shapes, each compiled once.

    Attributes:
      placement: The devices that share each batch.
    """

    def __init__(
        self,
        described: Run,
        model: nnx.Module,
        activation: Any,
        placement: Placement,
        *,
        embeds: bool,
    ) -> None:
        """Store the model.

        Args:
          described: Description of its run.
          model: The module.
          activation: As for :func:`jaxcnn.predict`.
          placement: The devices that share each batch.
          embeds: Whether its features are wanted.
        """
        self._described, self._model, self._activation = described, model, activation
        self.placement, self._embeds = placement, embeds
        self._predictors: dict[tuple[int, ...], Predictor] = {}

    def start(self, rows: list[Input], size: int) -> Callable[[], Batch]:
        """Start the computation for inputs, and return what waits for it.

        Args:
          rows: The inputs, at least one.
          size: Rows to which they are filled up.
        """
        images = stack_inputs(self._described, rows)
        if images.dtype != np.uint8:
            check_images(images)
            check_padding(self._model, images)
        shape = (size, *images.shape[1:])
        predictor = self._predictors.get(shape)
        if predictor is None:
            predictor = Predictor(
                self._model,
                shape,
                images.dtype,
                activation=self._activation,
                placement=self.placement,
            )
            self._predictors[shape] = predictor
        predicted = predictor(images)

        def wait() -> Batch:
            kept = np.asarray(predicted)[: len(rows)]
            features = self._features(images, size) if self._embeds else None
            return Batch(rows, images, kept, predictor.activation, features)

        return wait

    def _features(self, images: np.ndarray, size: int) -> np.ndarray:
        from jaxcnn.insight import embed

        filled = np.resize(images, (size, *images.shape[1:]))
        return embed(self._model, filled, batch_size=size)[: len(images)]


def predict_files(
    network: Network,
    paths: Iterable[Path],
    open_path: Opener,
    read: InputReader,
    *,
    rows: int,
    report: Callable[[Failure], None],
) -> Iterator[Batch]:
    """Yield the predictions for files, batch after batch in their order.

    Args:
      network: The model.
      paths: The files.
      open_path: As for :func:`jaxcnn.recipes.input_stream.read_ahead`.
      read: As for :func:`jaxcnn.recipes.input_stream.read_ahead`.
      rows: Inputs of a batch. A last batch of fewer is filled up, so that it needs no program of
        its own; where it is the only one, to the next power of two.
      report: Called for each file that cannot be read.
    """
    waiting: deque[Callable[[], Batch]] = deque()
    size = None
    with advise_on_memory(rows, trains=False):
        for batch in _batches(read_ahead(paths, open_path, read, rows=rows), rows, report):
            size = size or rows_of_a_step(len(batch), rows, network.placement.num_devices)
            waiting.append(network.start(batch, size))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()


def _batches(
    results: Iterator[Input | Failure], rows: int, report: Callable[[Failure], None]
) -> Iterator[list[Input]]:
    batch: list[Input] = []
    for result in results:
        if isinstance(result, Failure):
            report(result)
            continue
        batch.append(result)
        if len(batch) == rows:
            yield batch
            batch = []
    if batch:
        yield batch


class ProgressBar:
    """A bar on the standard error, where that is a terminal and no answers are printed there."""

    def __init__(self, *, printed: bool) -> None:
        """Prepare the bar.

        Args:
          printed: Whether answers are printed on the standard output.
        """
        self.shown = sys.stderr.isatty() and not (printed and sys.stdout.isatty())
        self._bar: Any = None

    @contextlib.contextmanager
    def running(self, total: Callable[[], int | None] | None) -> Iterator[None]:
        """Show the bar.

        Args:
          total: Counts the files; ``None`` where they cannot be counted before.
        """
        if not self.shown:
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        with Progress(*columns, console=console, transient=True) as self._bar:
            self._task = self._bar.add_task("", total=None if total is None else total())
            yield
        self._bar = None

    def advance(self, count: int) -> None:
        """Count inputs that are done."""
        if self._bar is not None:
            self._bar.advance(self._task, count)

    def print(self, line: str) -> None:
        """Print a line on the standard error, above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False)
        else:
            print(line, file=sys.stderr)

"""Batches of the pictures that wait, whichever requests they came with, for one thread."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Waiting:
    image: np.ndarray
    answer: "asyncio.Future[np.ndarray]"
    since: float = field(default_factory=time.monotonic)


class RequestBatches:
    """A queue of pictures, and the thread that computes them in batches.

    A batch is what waits when the thread is free, at most `max_batch`. Where fewer wait, the thread
    waits for more until the first of them is `max_wait_ms` old: no picture waits longer than that
    for others.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        *,
        max_batch: int,
        max_wait_ms: float,
        observe: Callable[[int], Any],
    ) -> None:
        """Store the options; the thread starts with :meth:`start`.

        Args:
          predict: Maps images ``(N, H, W, C)`` to one prediction for each; called in the thread.
          max_batch: The most images of a batch.
          max_wait_ms: See above.
          observe: Called with the size of each batch.
        """
        self._predict, self._max_batch, self._max_wait = predict, max_batch, max_wait_ms / 1000
        self._observe = observe
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Return the number of pictures that wait."""
        return self._queue.qsize()

    def start(self) -> None:
        """Start the thread, for the event loop of the caller."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, args=(loop,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the pictures that wait."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, image: np.ndarray) -> "asyncio.Future[np.ndarray]":
        """Return the prediction for an image once it is computed."""
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.put(_Waiting(image, answer))
        return answer

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (batch := self._next_batch()) is not None:
            batch = [each for each in batch if not each.answer.cancelled()]  # too late for them
            if not batch:
                continue
            self._observe(len(batch))
            try:
                rows = self._predict(np.stack([each.image for each in batch]))
                loop.call_soon_threadsafe(_answer, batch, rows)
            except Exception as error:  # one batch; the next one may be computed
                loop.call_soon_threadsafe(_fail, batch, error)

    def _next_batch(self) -> list[_Waiting] | None:
        """Return the next pictures, or ``None`` at the end."""
        first = self._queue.get()
        if first is None:
            return None
        batch, until = [first], first.since + self._max_wait
        while len(batch) < self._max_batch:
            left = until - time.monotonic()
            try:
                each = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if each is None:
                self._queue.put(None)  # after this batch
                break
            batch.append(each)
        return batch


def _answer(batch: list[_Waiting], rows: np.ndarray) -> None:
    for each, row in zip(batch, rows, strict=True):
        if not each.answer.done():
            each.answer.set_result(row)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for each in batch:
        if not each.answer.done():
            each.answer.set_exception(error)

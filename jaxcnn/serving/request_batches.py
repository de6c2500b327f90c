"""Batches of the pictures that wait, whichever requests they came with, for one thread."""

import asyncio
import contextlib
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

    A batch is what waits when the thread is free, at most `max_batch`. Where fewer wait than
    requests are in progress, the thread waits for more until the first of them is `max_wait_ms`
    old: no picture waits longer than that for others, and one alone does not wait.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        *,
        max_batch: int,
        max_wait_ms: float,
        in_progress: Callable[[], int],
        observe: Callable[[int], Any],
    ) -> None:
        """Store the options; the thread starts with :meth:`start`.

        Args:
          predict: Maps images ``(N, H, W, C)`` to one prediction for each; called in the thread.
          max_batch: The most images of a batch.
          max_wait_ms: See above.
          in_progress: Returns the number of requests that have pictures, or will.
          observe: Called with the size of each batch.
        """
        self._predict, self._max_batch, self._max_wait = predict, max_batch, max_wait_ms / 1000
        self._in_progress, self._observe = in_progress, observe
        self._submitted: list[_Waiting] = []  # in this turn of the event loop
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._rest: list[_Waiting] = []  # more than one batch
        self._count = 0
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Return the number of pictures that wait or are computed."""
        return self._count

    def start(self) -> None:
        """Start the thread, for the event loop of the caller."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, args=(loop,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the pictures that wait."""
        if self._thread is not None:
            self._hand_over()
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, image: np.ndarray) -> "asyncio.Future[np.ndarray]":
        """Return the prediction for an image once it is computed."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[np.ndarray] = loop.create_future()
        if not self._submitted:
            # After the other requests that have arrived: the thread is woken once for all of them.
            loop.call_soon(self._hand_over)
        self._submitted.append(_Waiting(image, answer))
        self._count += 1
        return answer

    def _hand_over(self) -> None:
        if self._submitted:
            self._queue.put(self._submitted)
            self._submitted = []

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while batch := self._next_batch():
            wanted = [each for each in batch if not each.answer.cancelled()]  # others were too late
            rows: np.ndarray | Exception = np.zeros(0)
            try:
                if wanted:
                    self._observe(len(wanted))
                    rows = self._predict(np.stack([each.image for each in wanted]))
            except Exception as error:  # of one batch; the next one may be computed
                rows = error
            with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits
                loop.call_soon_threadsafe(self._answer, wanted, rows, len(batch))

    def _next_batch(self) -> list[_Waiting]:
        """Return the next pictures; none at the end."""
        batch, most = self._rest or self._queue.get() or [], self._max_batch
        until = batch[0].since + self._max_wait if batch else 0.0
        while batch and len(batch) < most:
            left = until - time.monotonic() if self._in_progress() > len(batch) else 0.0
            try:
                more = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._queue.put(None)  # after this batch
                break
            batch = batch + more
        self._rest = batch[most:]
        return batch[:most]

    def _answer(self, batch: list[_Waiting], rows: np.ndarray | Exception, count: int) -> None:
        self._count -= count
        for number, each in enumerate(batch):
            if each.answer.done():
                continue
            if isinstance(rows, Exception):
                each.answer.set_exception(rows)
            else:
                each.answer.set_result(rows[number])

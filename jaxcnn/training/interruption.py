"""Ctrl-C, SIGTERM and SIGHUP: a saved training ends after its current step, not within it."""

import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax

from jaxcnn.training.placement import Placement

# Windows has no SIGHUP, which a terminal sends when it is closed.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interruption:
    """A record of the first signal that asked the process to end.

    Attributes:
      received: That signal, or ``None``.
    """

    def __init__(self) -> None:
        """Start without a signal."""
        self.received: signal.Signals | None = None
        self._asked: deque[jax.Array] = deque()

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Record the first signal until the context ends; a second one ends the process at once.

        Outside of the main thread, which alone receives signals, nothing is recorded, and a signal
        that the process ignores, as ``nohup`` lets it, stays ignored. Earlier handlers are restored
        at the end. A signal that came after the last step ends the program.

        Raises:
          KeyboardInterrupt: Ctrl-C was received after the last step.
          SystemExit: SIGTERM or SIGHUP was received after the last step.
        """
        is_main = threading.current_thread() is threading.main_thread()
        before = {
            number: signal.signal(number, self._record)
            for number in (_SIGNALS if is_main else ())
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received is not None:
            self.end("the training has ended, and is saved")

    def is_agreed(self, placement: Placement, *, ahead: int = 0) -> bool:
        """Return whether the training is to be saved and ended, as all its processes agree.

        Each of several calls it after the same steps, and all learn of a signal that any received.

        Args:
          placement: Where the training's states live.
          ahead: Number of the last calls whose answers are not waited for.
        """
        if placement.processes == 1:
            return self.received is not None
        self._asked.append(placement.largest(self.received or 0))
        agreed = 0
        while len(self._asked) > ahead:
            agreed = max(agreed, int(self._asked.popleft()))
        if agreed:
            self.received = signal.Signals(agreed)
        return agreed > 0

    def end(self, message: str) -> None:
        """End the program as the signal asks, with exit code 130, 143 or 129.

        Raises:
          KeyboardInterrupt: Ctrl-C was received.
          SystemExit: SIGTERM or SIGHUP was received.
        """
        assert self.received is not None
        if self.received is signal.SIGINT:
            raise KeyboardInterrupt(message)
        raise SystemExit(128 + self.received)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for other in _SIGNALS:
            if signal.getsignal(other) == self._record:
                signal.signal(other, signal.SIG_DFL)

"""Ctrl-C and SIGTERM: a training that is saved ends after its current step, not within it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A record of the first signal that asked the process to end.

    Attributes:
      received: That signal, or ``None``.
    """

    def __init__(self) -> None:
        """Start without a signal."""
        self.received: signal.Signals | None = None

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Record the first signal until the context ends; a second one ends the process at once.

        Outside of the main thread, which alone receives signals, nothing is recorded. Earlier
        handlers are restored at the end. A signal that came after the last step ends the program.

        Raises:
          KeyboardInterrupt: Ctrl-C was received after the last step.
          SystemExit: SIGTERM was received after the last step.
        """
        is_main = threading.current_thread() is threading.main_thread()
        before = {
            number: signal.signal(number, self._record) for number in (_SIGNALS if is_main else ())
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received is not None:
            self.end("the training has ended, and is saved")

    def end(self, message: str) -> None:
        """End the program as the signal asks, with exit code 130 or 143.

        Raises:
          KeyboardInterrupt: Ctrl-C was received.
          SystemExit: SIGTERM was received.
        """
        if self.received is signal.SIGINT:
            raise KeyboardInterrupt(message)
        raise SystemExit(128 + signal.SIGTERM)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_DFL)

"""Ctrl-C and SIGTERM: a training that is saved ends after its step, not amid it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first signal to end; the second one ends the process at once.

    In a thread that is not the main one, which gets no signals, it notes nothing.
    """

    def __init__(self) -> None:
        """Prepares to listen; nothing has been received."""
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the signals back to who had them before; one that came too late ends the program.

        Raises:
          KeyboardInterrupt: Ctrl-C was received after the last step.
          SystemExit: SIGTERM was.
        """
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error is None and self.received is not None:
            self.end("the training has ended, and is saved")

    def end(self, message: str) -> None:
        """Ends the program as the signal asks for, with exit code 130 or 143.

        Raises:
          KeyboardInterrupt: Ctrl-C was received.
          SystemExit: SIGTERM was.
        """
        if self.received is signal.SIGINT:
            raise KeyboardInterrupt(message)
        raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_DFL)

"""Ctrl-C at any time of a command, its imports included."""

import gc
import os
import signal
import sys
import threading
from types import FrameType

# The exit code after Ctrl-C, of all programs.
_INTERRUPTED = 128 + signal.SIGINT
# Extension modules print an exception in their import, or make another of it.
_IMPORT = "<frozen importlib._bootstrap>"
# Python prints an exception in these and goes on, so that a Ctrl-C there would be lost.
_LOSE_EXCEPTIONS = ("__del__", "_xla_gc_callback")
_AGAIN_AFTER = 0.01  # seconds
# New objects between two collections of garbage, of which imports make much and leave none:
# `jaxcnn summary resnet50` took 2.08 s under Python's 700 and 1.88 s without any (means of four).
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Run the command line; Ctrl-C ends it with exit code 130 at any time, imports included."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    received = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        while frame is not None:
            if frame.f_code.co_filename == _IMPORT:
                os._exit(_INTERRUPTED)  # an import has nothing to save
            if frame.f_code.co_name in _LOSE_EXCEPTIONS:
                threading.Timer(_AGAIN_AFTER, signal.raise_signal, (signal.SIGINT,)).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    try:
        from jaxcnn.cli import app

        app.main()
    except BaseException as error:
        if received and not isinstance(error, SystemExit):
            sys.exit(_INTERRUPTED)
        raise
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

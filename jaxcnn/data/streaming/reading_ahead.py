"""Reading ahead of the steps, in a thread that ends before the interpreter does."""

import atexit
import weakref
from collections.abc import Iterator
from typing import Any


def import_grain() -> Any:
    """Return the package Grain.

    Raises:
      ImportError: It is not installed; the message gives the fix.
    """
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            f"streams are read by the package grain: pip install 'jaxcnn[stream]' ({error})"
        ) from error
    return grain


class ReadAhead(Iterator[Any]):
    """The elements of a ``grain.IterDataset``, which a thread prepares before they are needed."""

    def __init__(self, elements: Any, *, ahead: int) -> None:
        """Begin to read.

        Args:
          elements: The data set.
          ahead: Number of elements that are ready beyond the one in use.
        """
        threaded = import_grain().experimental.ThreadPrefetchIterDataset
        read = threaded(elements, prefetch_buffer_size=ahead)
        self._iterator: Any = iter(read)
        _open.add(self)

    def __next__(self) -> Any:
        """Return the next element."""
        return next(self._iterator)

    def get_state(self) -> Any:
        """Return the position after the last element, as JSON can hold it."""
        return self._iterator.get_state()

    def set_state(self, state: Any) -> None:
        """Go to a position."""
        self._iterator.set_state(state)

    def close(self) -> None:
        """End the thread."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None


_open: "weakref.WeakSet[ReadAhead]" = weakref.WeakSet()


@atexit.register
def _close() -> None:
    """End the threads: one that outlives the interpreter can abort the process."""
    for iterator in list(_open):
        iterator.close()

"""Advice for a computation that does not fit into memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory was not enough, on the host or on a device.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    # CUDA's libraries report it in words of their own.
    words = ("resource_exhausted", "out of memory", "alloc_failed")
    text = str(error).lower()
    return isinstance(error, jax.errors.JaxRuntimeError) and any(word in text for word in words)


@contextmanager
def advise_on_memory(batch_size: int, *, trains: bool) -> Iterator[None]:
    """Add a note to an error of memory that says what takes less.

    Args:
      batch_size: Images per step.
      trains: Whether the step is one of training, which keeps the results of every layer.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error) and not getattr(error, "__notes__", None):
            advice = f"batch_size={batch_size} takes more memory than there is: give a smaller one"
            if trains:
                advice += (
                    ", send it through the model in parts (accumulate=2 or more), compute in "
                    'precision="bfloat16", or put cnn.remat(…) around blocks of the network'
                )
            error.add_note(advice)
        raise

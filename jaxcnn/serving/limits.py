"""The limits of a server, checked in one place."""

from dataclasses import dataclass

from jaxcnn import arguments


@dataclass(frozen=True)
class Limits:
    """The limits of a server; see :func:`jaxcnn.serving.create_app`.

    Raises:
      TypeError: a limit is not a number.
      ValueError: a limit is out of range.
    """

    max_batch: int = 64
    max_wait_ms: float = 5.0
    max_body_mb: float = 10.0
    max_pixels: int = 50_000_000
    max_concurrency: int = 256
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the limits."""
        for name in ("max_batch", "max_pixels", "max_concurrency"):
            arguments.check_integer(name, getattr(self, name), minimum=1)
        arguments.check_number("max_wait_ms", self.max_wait_ms, minimum=0, maximum=10_000)
        for name in ("max_body_mb", "timeout_s"):
            arguments.check_number(name, getattr(self, name), above=0)

    @property
    def body_bytes(self) -> int:
        """The largest body in bytes."""
        return int(self.max_body_mb * 1_000_000)

"""The reason why a request is not answered, which its answer states in one line."""

from collections.abc import Mapping


class Refusal(Exception):  # it is no error of the server
    """A request that is not answered.

    Attributes:
      status: The HTTP status.
      headers: Further headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Store the status, a message of one line, and headers."""
        super().__init__(" ".join(message.split()))
        self.status, self.headers = status, dict(headers or {})

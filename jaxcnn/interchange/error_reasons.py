"""Errors of other libraries, as a part of a message of one line."""


def first_line(error: Exception) -> str:
    r"""Return the first line of an error's message, or its type where it has none.

    >>> first_line(ValueError("no such file\nat line 3")), first_line(KeyError())
    ('no such file', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Renamed arguments and names, whose old spelling works with a warning until a stated version.

Standard library only.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

_F = TypeVar("_F", bound=Callable[..., Any])


def renamed_arguments(removal: str, /, **names: str) -> Callable[[_F], _F]:
    """Return a decorator of a function that also takes its arguments under their old names.

    >>> @renamed_arguments("9.0", stride="strides")
    ... def pool(x, *, strides=1):
    ...     return strides
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     pool(3, stride=2)
    2
    >>> print(caught[0].message)
    The argument 'stride' of pool is now 'strides'; jaxcnn 9.0 no longer takes the old name.

    Args:
      removal: The version without the old names.
      **names: The new name of each old one.
    """

    def decorate(function: _F) -> _F:
        @functools.wraps(function)
        def called(*positional: Any, **options: Any) -> Any:
            for old in options.keys() & names.keys():
                new = names[old]
                if new in options:
                    raise TypeError(
                        f"{function.__name__} takes {new!r} once; {old!r} is its old name"
                    )
                _warn(
                    f"The argument {old!r} of {function.__name__} is now {new!r}; "
                    f"jaxcnn {removal} no longer takes the old name."
                )
                options[new] = options.pop(old)
            return function(*positional, **options)

        return cast(_F, called)

    return decorate


def renamed_names(
    package: str, find: Callable[[str], Any], removal: str, /, **names: str
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that also has functions under their old names.

    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     renamed_names("cnn", {"pool": 3}.__getitem__, "9.0", pooling="pool")("pooling")
    3
    >>> print(caught[0].message)
    cnn.pooling is now cnn.pool; jaxcnn 9.0 no longer has the old name.

    Args:
      package: Name of the package.
      find: Its ``__getattr__`` for the names of today.
      removal: The version without the old names.
      **names: The new name of each old one.
    """

    def found(name: str) -> Any:
        if (new := names.get(name)) is None:
            return find(name)
        value = find(new)  # first, as imports may make Python forget what it has shown
        _warn(
            f"{package}.{name} is now {package}.{new}; jaxcnn {removal} no longer has the old name."
        )
        return value

    return found


def _warn(message: str) -> None:
    """Warn at the line of the caller, where Python shows each warning once."""
    warnings.warn(message, DeprecationWarning, stacklevel=3)

"""Tests of compiled kernels, on a library that `make test-native` has built."""

import pytest

from jaxcnn import runtime
from jaxcnn.ops.native import kernel_library


@pytest.fixture(scope="session", autouse=True)
def library():
    """The library is in use: none of these tests may pass without it."""
    assert runtime.native_is_on()
    assert kernel_library.problem() == ""
    return kernel_library.folder() / kernel_library.LIBRARY


@pytest.fixture
def without():
    """Compute a function without compiled kernels."""

    def run(function, *arguments):
        runtime.native(False)
        try:
            return function(*arguments)
        finally:
            runtime.native(True)

    return run

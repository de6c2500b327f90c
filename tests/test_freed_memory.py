"""Freed memory is kept: the kernel maps the pages of a block once, not for each that asks."""

import subprocess
import sys

import pytest

# As XLA does for a run of a program: one aligned block, written and freed. Of 64 MB, because glibc
# learns by itself to keep blocks of up to 32.
SCRIPT = """
import ctypes
import resource
import sys
import jaxcnn as cnn
if sys.argv[1] == "keep":
    assert cnn.runtime.keep_freed_memory() and cnn.runtime.keep_freed_memory()
c = ctypes.CDLL(None)
c.aligned_alloc.restype = ctypes.c_void_p
for run in range(9):
    if run == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(c.aligned_alloc(ctypes.c_size_t(64), ctypes.c_size_t(2**26)))
    ctypes.memset(block, 1, 2**26)
    c.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's C library is told")
def test_page_faults():
    keep, plain = (
        int(subprocess.run(
            [sys.executable, "-c", SCRIPT, mode], check=True, capture_output=True, text=True
        ).stdout)
        for mode in ("keep", "plain")
    )  # fmt: skip
    assert keep < plain / 8


def test_elsewhere_nothing_is_done(monkeypatch):
    import jaxcnn

    monkeypatch.setattr(sys, "platform", "darwin")
    assert jaxcnn.runtime.keep_freed_memory() is False

"""Freed memory is kept: the kernel maps pages for the first run of a program, not for each."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import jaxcnn as cnn
if sys.argv[1] == "keep":
    assert cnn.keep_freed_memory() and cnn.keep_freed_memory()
import resource
import jax
import jax.numpy as jnp
step = jax.jit(lambda x: (x @ x) @ (x @ x.T))  # 64 MB of products in between
x = jnp.ones((2896, 2896))
step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's C library is told")
def test_page_faults():
    keep, plain = (
        int(subprocess.run(
            [sys.executable, "-c", SCRIPT, mode], check=True, capture_output=True, text=True
        ).stdout)
        for mode in ("keep", "plain")
    )  # fmt: skip
    assert keep < plain / 2


def test_elsewhere_nothing_is_done(monkeypatch):
    import jaxcnn

    monkeypatch.setattr(sys, "platform", "darwin")
    assert jaxcnn.keep_freed_memory() is False

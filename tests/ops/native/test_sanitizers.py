"""The search under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcnn.ops.native import kernel_build

# JAX and Python are not instrumented: their own leaks and races are not looked for.
SANITIZERS = {
    "address,undefined": ("libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}),
    "thread": (
        "libtsan.so",
        {"TSAN_OPTIONS": "ignore_noninstrumented_modules=1 suppressions=suppressions.txt"},
    ),
}
# A thread receives the pointer to its work through XLA's queue, whose locks are not seen.
SUPPRESSIONS = "race:shared_ptr_base.h\n"


def library_of(compiler, name):
    path = subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True
    ).stdout.strip()
    return path if os.path.isabs(path) else None


@pytest.mark.long
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_nothing_is_found(tmp_path, sanitizer):
    name, options = SANITIZERS[sanitizer]
    compiler = kernel_build.find_compiler()
    runtime = library_of(compiler, name)
    if runtime is None:
        pytest.skip(f"{compiler} has no {name}")
    library = tmp_path / "kernels.so"
    flags = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-g", "-O1")
    assert list(kernel_build.compile_library(compiler, library, flags))
    # Without the C++ library beside it, a sanitizer does not find what throws exceptions.
    preload = f"{runtime} {library_of(compiler, 'libstdc++.so')}"
    (tmp_path / "suppressions.txt").write_text(SUPPRESSIONS)
    environment = os.environ | options | {"LD_PRELOAD": preload}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("sanitized.py"), str(library), "400"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("searched\n", 0), done.stderr[:3000]
    assert "Sanitizer" not in done.stderr

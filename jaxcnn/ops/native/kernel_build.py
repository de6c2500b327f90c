"""Compiles the library with the C++ compiler of the machine, and tries it before it is used."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import jax

from jaxcnn.ops.native import kernel_library

_COMPILERS = ("c++", "g++", "clang++")
_FLAGS = (
    "-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-Wall", "-Wno-psabi",
)  # fmt: skip
# Bytes of a vector, and flags, of each instruction set that the loops are compiled for.
_SETS: dict[str, tuple[int, tuple[str, ...]]] = {"baseline": (16, ())}
if platform.machine() in ("x86_64", "AMD64"):
    _SETS |= {
        "avx2": (32, ("-mavx2", "-mfma")),
        "avx512": (
            64,
            ("-mavx512f", "-mavx512vl", "-mavx2", "-mfma", "-mprefer-vector-width=512"),
        ),
    }


def find_compiler(name: str | None = None) -> str:
    """Return the path of a C++ compiler.

    Args:
      name: Its name or path; ``None`` means ``$CXX``, or the first of c++, g++ and clang++.

    Raises:
      ValueError: There is none.
    """
    names = [name] if name else list(filter(None, [os.environ.get("CXX")])) or list(_COMPILERS)
    for candidate in names:
        if found := shutil.which(candidate):
            return found
    raise ValueError(
        f"a C++ compiler is needed, {' or '.join(names)}, and none is there. Install one, such as "
        "Debian's package g++ or Apple's command line tools, or name it with --compiler"
    )


def compile_library(compiler: str, library: Path, extra: Sequence[str] = ()) -> Iterator[int]:
    """Compile the sources into a shared library; yield the parts done so far, of `count_parts`.

    Args:
      compiler: Path of a C++ compiler.
      library: The file to write.
      extra: More flags, such as those of a sanitizer.

    Raises:
      RuntimeError: The compiler fails; the message ends with what it said.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        running, objects = [], []
        for source, name, flags in _parts():
            objects.append(f"{folder}/{source.stem}_{name}.o")
            command = [compiler, *_FLAGS, *flags, *extra, "-c", str(source), "-o", objects[-1]]
            running.append(pool.submit(_run, command))
        for number, done in enumerate(as_completed(running), 1):
            done.result()
            yield number
        if sys.platform == "darwin":
            link = ["-dynamiclib", "-undefined", "dynamic_lookup"]
        else:
            # Its copy of the C++ library is for itself alone.
            link = ["-shared", "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL"]
        _run([compiler, *link, *extra, *objects, "-o", str(library)])


def count_parts() -> int:
    """Return the number of files to compile."""
    return len(_parts())


def build(compiler: str | None = None) -> Iterator[int]:
    """Compile, try and install the library for this machine; yield the parts done so far.

    It is tried in a process of its own, so that one that fails stops nothing, and installed as a
    whole or not at all. Those of other versions stay: another environment may use them.

    Args:
      compiler: As for :func:`find_compiler`.

    Raises:
      ValueError: There is no compiler, or this system is not supported.
      RuntimeError: The compiler fails, or the library computes what it should not.
    """
    if sys.platform not in ("linux", "darwin"):
        raise ValueError(f"compiled kernels are for Linux and macOS. Received: {sys.platform}")
    found = find_compiler(compiler)
    target = kernel_library.folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder:
        made = Path(folder) / target.name
        made.mkdir()
        library = made / kernel_library.LIBRARY
        yield from compile_library(found, library)
        trial = subprocess.run(
            [sys.executable, "-m", "jaxcnn.ops.native.kernel_trial", str(library)],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "JAXCNN_NATIVE": "0"},
            capture_output=True, text=True,
        )  # fmt: skip
        if trial.returncode:
            said = (trial.stderr or trial.stdout).strip()[-1000:]
            raise RuntimeError(
                f"the compiled library does not work, and is not installed: {found} built it, and "
                f"its trial ended with code {trial.returncode}: {said}"
            )
        manifest = {
            "compiler": _version(found),
            "interface": kernel_library.interface(),
            "sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
        }
        text = json.dumps(manifest, indent=2)
        (made / kernel_library.MANIFEST).write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    kernel_library.problem.cache_clear()


def _parts() -> list[tuple[Path, str, list[str]]]:
    """Return each source, the name of its form, and the flags of that form."""
    parts = []
    headers = f"-isystem{jax.ffi.include_dir()}"
    for source in kernel_library.sources():
        if source.suffix == ".h":
            continue
        if source.stem.startswith("loops"):
            for name, (width, flags) in _SETS.items():
                parts.append((source, name, [f"-DNAME={name}", f"-DBYTES={width}", *flags]))
        else:
            parts.append((source, "calls", [headers]))
    return parts


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(
            f"the compiler failed with code {result.returncode}: {result.stderr.strip()[-1000:]}"
        )


def _version(compiler: str) -> str:
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    return next(iter(said.splitlines()), compiler)

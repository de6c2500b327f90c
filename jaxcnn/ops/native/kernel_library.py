"""The compiled library: where it lies, whether it may be used, and its registration with XLA."""

import ctypes
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from jaxcnn import arguments, runtime

SOURCE = Path(__file__).parent / "source"
# The functions of the library that XLA calls.
NAMES = ("conv", "conv_input_gradient", "conv_kernel_gradient")
# The manifest is written last: a folder without one was not finished.
LIBRARY, MANIFEST = "kernels.so", "kernels.json"
BUILD = "jaxcnn native build"


def interface() -> str:
    """Return the version of the interface between jaxlib and compiled calls, such as ``"0.3"``.

    A library for a newer one than jaxlib's stops the whole CPU platform of JAX.

    Raises:
      FileNotFoundError: This jaxlib has no headers.
    """
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    text = header.read_text(encoding="utf-8")
    return ".".join(re.findall(r"#define XLA_FFI_API_(?:MAJOR|MINOR) (\d+)", text))


def all_folders() -> Path:
    """Return the folder of the libraries of all versions."""
    return runtime.cache_folder() / "native"


def sources() -> list[Path]:
    """Return the files that a library is made of."""
    return sorted(path for path in SOURCE.iterdir() if path.suffix in (".cc", ".h"))


@functools.cache
def key() -> str:
    """Return a short hash of the sources, the interface and the kind of machine."""
    digest = hashlib.sha256(f"{interface()} {sys.platform} {platform.machine()}".encode())
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Return the folder of the library for this version, whether it is there or not."""
    return all_folders() / key()


def read_manifest(made: Path) -> dict[str, Any]:
    """Return what is known of the library in a folder.

    Raises:
      OSError: A file is missing.
      ValueError: The library is not the one that the manifest was written for.
    """
    manifest = json.loads((made / MANIFEST).read_text(encoding="utf-8"))
    if hashlib.sha256((made / LIBRARY).read_bytes()).hexdigest() != manifest["sha256"]:
        raise ValueError(f"{made / LIBRARY} is damaged")
    return dict(manifest)


def register(library: Path, suffix: str) -> None:
    """Tell XLA where the functions of a library are: ``jaxcnn_`` + name + ``_`` + `suffix`.

    Raises:
      OSError: The library cannot be loaded.
    """
    loaded = ctypes.CDLL(str(library))
    for name in NAMES:
        target = jax.ffi.pycapsule(getattr(loaded, name))
        jax.ffi.register_ffi_target(f"jaxcnn_{name}_{suffix}", target, platform="cpu")


@functools.cache
def problem() -> str:
    """Return why there is no library to use, or ``""`` after it was registered with XLA.

    One that is there and cannot be used is a warning of one line.
    """
    if not any(_finished()):  # first, because the key reads all sources
        return f"no library was built: {BUILD}"
    try:
        made = folder()
    except FileNotFoundError as error:
        return f"this jaxlib has no headers to compile with ({error.filename} is missing)"
    if not (made / MANIFEST).is_file():
        return _warn("the library was built for another version of jaxcnn or jaxlib")
    try:
        read_manifest(made)
        choose_instructions(made / LIBRARY)
        register(made / LIBRARY, key())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return _warn(f"the library cannot be used: {error}")
    return ""


def in_use() -> bool:
    """Return whether programs that are compiled now may call the library."""
    return runtime.native_is_on() and not problem()


def instruction_set() -> str:
    """Return the instruction set of the kernels in use, such as ``"avx2"``, or ``"none"``."""
    return choose_instructions(folder() / LIBRARY) if in_use() else "none"


@functools.cache  # each checkpoint names them
def choose_instructions(library: Path) -> str:
    """Return the instruction set that a library takes on this processor.

    The environment variable ``JAXCNN_NATIVE_SET`` can name a lesser one, for tests.

    Raises:
      ValueError: It names none.
    """
    wanted = os.environ.get("JAXCNN_NATIVE_SET", "avx512")
    arguments.check_choice("JAXCNN_NATIVE_SET", wanted, ("baseline", "avx2", "avx512"))
    function = ctypes.CDLL(str(library)).jaxcnn_native_instruction_set
    function.restype = ctypes.c_char_p
    return str(function().decode())


def describe() -> str:
    """Return a line: what is in use, or why nothing is."""
    if not runtime.native_is_on():
        return "off: switched off by JAXCNN_NATIVE=0 or jaxcnn.runtime.native(False)"
    if problem():
        return f"off: {problem()}"
    made = read_manifest(folder())
    return f"on: {instruction_set()}, compiled by {made['compiler']}, in {folder()}"


def remove() -> list[Path]:
    """Delete the libraries of all versions, and return their folders."""
    removed = [path for path in all_folders().glob("*") if path.is_dir()]
    for path in removed:
        shutil.rmtree(path)
    problem.cache_clear()
    return removed


def _finished() -> Iterator[Path]:
    return all_folders().glob(f"*/{MANIFEST}")


def _warn(reason: str) -> str:
    text = f"{reason}. Convolutions run without compiled kernels; build them again: {BUILD}"
    warnings.warn(text, stacklevel=2)
    return text

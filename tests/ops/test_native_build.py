"""Compiled kernels that are missing, broken, stale or switched off: all computes without them."""

import hashlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxcnn as cnn
from jaxcnn import runtime
from jaxcnn.ops.native import kernel_build, kernel_library


@pytest.fixture(autouse=True)
def native(monkeypatch, tmp_path):
    """Switched on, with nothing in the cache; as before after the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAXCNN_NATIVE", "1")
    monkeypatch.setattr(runtime, "_SETTINGS", {})
    kernel_library.problem.cache_clear()
    yield
    kernel_library.problem.cache_clear()
    jax.clear_caches()


def computes():
    jax.clear_caches()
    y = jax.jit(cnn.ops.conv)(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4)))
    return y.shape == (1, 3, 3, 4) and (y == 18).all()


def put_library(folder, content=b"not a library", **changes):
    """Write files as `build` does."""
    folder.mkdir(parents=True)
    (folder / kernel_library.LIBRARY).write_bytes(content)
    manifest = {"compiler": "c++ 1", "interface": "0.1"}
    manifest |= {"sha256": hashlib.sha256(content).hexdigest()} | changes
    (folder / kernel_library.MANIFEST).write_text(json.dumps(manifest))


def script(path, text):
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


def test_nothing_was_built():
    assert computes()
    assert kernel_library.describe() == "off: no library was built: jaxcnn native build"


def test_a_library_of_another_version():
    put_library(kernel_library.all_folders() / "0123456789abcdef")
    with pytest.warns(UserWarning, match="^the library was built for another version"):
        assert computes()
    assert computes()  # and says it once


def test_another_interface_of_jaxlib_is_another_version(monkeypatch):
    found = kernel_library.key()
    monkeypatch.setattr(kernel_library, "interface", lambda: "0.99")
    kernel_library.key.cache_clear()
    try:
        assert kernel_library.key() != found
    finally:
        kernel_library.key.cache_clear()


def test_the_interface_is_that_of_the_headers():
    major, minor = kernel_library.interface().split(".")
    header = Path(jax.ffi.include_dir(), "xla/ffi/api/c_api.h").read_text()
    assert f"#define XLA_FFI_API_MAJOR {major}\n" in header
    assert f"#define XLA_FFI_API_MINOR {minor}\n" in header


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": "0" * 64}, "is damaged"),
        ({}, r"file too short|invalid ELF header|not a mach-o"),
    ],
)
def test_a_library_that_cannot_be_used(changes, why):
    put_library(kernel_library.folder(), **changes)
    with pytest.warns(UserWarning, match=f"^the library cannot be used: .*({why})"):
        assert computes()


def test_a_build_that_was_not_finished():
    put_library(kernel_library.folder())
    (kernel_library.folder() / kernel_library.MANIFEST).unlink()
    assert computes()


@pytest.mark.parametrize("name", ["nothing-here", None])
def test_no_compiler(monkeypatch, name):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ValueError, match=r"^a C\+\+ compiler is needed, .* and none is there"):
        list(kernel_build.build(name))
    assert computes()


def test_a_broken_compiler(tmp_path):
    compiler = script(tmp_path / "broken", "import sys; sys.exit('cannot compile')")
    with pytest.raises(RuntimeError, match=r"^the compiler failed with code 1: cannot compile"):
        list(kernel_build.build(compiler))
    assert list(kernel_library.all_folders().iterdir()) == []
    assert computes()


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ("import sys; sys.exit('values differ')", "code 1: values differ"),
        ("import os; os.abort()", "code -6"),
    ],
)
def test_a_library_that_fails_its_trial(monkeypatch, tmp_path, trial, said):
    monkeypatch.setattr(
        kernel_build, "compile_library", lambda compiler, path: iter([path.write_bytes(b"")][:0])
    )
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", trial))
    compiler = script(tmp_path / "compiler", "")
    with pytest.raises(RuntimeError, match="does not work, and is not installed") as caught:
        list(kernel_build.build(compiler))
    assert said in str(caught.value)
    assert list(kernel_library.all_folders().iterdir()) == []


def test_another_system(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ValueError, match=r"for Linux and macOS\. Received: win32"):
        list(kernel_build.build())


def test_switched_off(monkeypatch):
    put_library(kernel_library.folder())
    monkeypatch.setenv("JAXCNN_NATIVE", "0")
    assert computes()  # without the warning that the library is damaged
    assert kernel_library.describe().startswith("off: switched off by JAXCNN_NATIVE=0")
    cnn.runtime.native(True)
    with pytest.warns(UserWarning, match="cannot be used"):
        assert computes()
    cnn.runtime.native(False)
    assert not kernel_library.in_use()


def test_a_wrong_setting(monkeypatch):
    monkeypatch.setenv("JAXCNN_NATIVE", "no")
    with pytest.raises(ValueError, match=r"^JAXCNN_NATIVE must be '0' or '1'"):
        kernel_library.in_use()


def test_remove():
    put_library(kernel_library.folder())
    put_library(kernel_library.all_folders() / "0123456789abcdef")
    assert len(kernel_library.remove()) == 2
    assert list(kernel_library.all_folders().iterdir()) == []
    assert kernel_library.remove() == []


def test_commands(call_cli):
    assert call_cli("native", "status").stdout == (
        "off: no library was built: jaxcnn native build\n"
    )
    assert call_cli("native", "remove").stdout == "nothing to remove\n"
    failed = call_cli("native", "build", "--compiler", "nothing-here")
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: a C++ compiler is needed, nothing-here")

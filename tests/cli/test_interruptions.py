"""What ends a command from outside ends it in one line: Ctrl-C, memory, the output's encoding."""

import io
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import cli, recipes
from jaxcnn.cli import app

pytestmark = pytest.mark.implicit_promotion

CTRL_C = """
import os, signal, threading
from jaxcnn.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
threading.Timer({seconds}, os.kill, (os.getpid(), signal.SIGINT)).start()
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself Ctrl-C there")
def test_ctrl_c_in_the_first_second_is_quiet(tmp_path, cache_folder):
    """In the imports, of which extension modules print their own traceback, and after them."""
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                CTRL_C.format(seconds=seconds),
                "train",
                "--out",
                f"run-{seconds}",
            ],
            cwd=tmp_path,
            env=os.environ | {"XDG_CACHE_HOME": str(cache_folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seconds in (0.05, 0.2, 0.5, 1.0)
    ]
    ended = [
        (process.communicate(timeout=60)[1].strip(), process.returncode) for process in started
    ]
    assert ended == [("", 130)] * len(started)


def test_ctrl_c_where_python_loses_exceptions_comes_again(monkeypatch):
    """JAX frees memory in a callback of the garbage collector, which prints errors and goes on."""

    def _xla_gc_callback():
        signal.raise_signal(signal.SIGINT)

    def work():
        _xla_gc_callback()
        while True:
            pass

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(app, "main", work)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130


class Greedy(nnx.Module):
    """A network that asks for four terabytes."""

    def __init__(self):
        self.weight = nnx.Param(jnp.ones(2))

    def __call__(self, x):
        large = jnp.sort(jax.lax.iota(jnp.float32, 1 << 40) * x.sum())[7]
        return jnp.ones((len(x), 1)) * self.weight * large


def test_an_error_of_memory_says_what_takes_less(monkeypatch, capsys):
    data = cnn.Dataset(np.zeros((4, 3, 3, 1), np.uint8), np.arange(4) % 2)
    calls = {
        "fit": lambda: cnn.fit(Greedy(), data, epochs=1, batch_size=2, progress=False),
        "evaluate": lambda: cnn.evaluate(Greedy(), data, batch_size=2),
        "predict": lambda: cnn.predict(Greedy(), data.images, batch_size=2),
    }
    for name, call in calls.items():
        with pytest.raises(Exception, match="Out of memory") as raised:
            call()
        (note,) = raised.value.__notes__
        words = ("accumulate", "precision", "remat") if name == "fit" else ()
        assert all(word in note for word in ("batch_size=2", *words))
    monkeypatch.setattr(app, "_prepare", lambda: None)
    monkeypatch.setattr(app, "app", lambda **_: calls["fit"]())
    with pytest.raises(SystemExit) as ended:
        app.main()
    errors = capsys.readouterr().err
    assert ended.value.code == 1
    assert errors.startswith("Error: out of memory: ")
    assert errors.count("\n") == 1
    assert "accumulate" in errors


def test_too_many_steps_are_refused_with_the_largest_number(call_cli, tmp_path):
    """JAX counts steps in 32 bits; the digits have 23 steps of 64 images."""
    result = call_cli("train", "--model", "tiny_cnn", "--epochs", 1_000_000_000, cwd=tmp_path)
    assert result.returncode == 2
    assert f"epochs must be at most {(2**31 - 1) // 23:,} with 23 steps" in result.stderr
    data = cnn.data.load("digits")
    model = cnn.models.create("tiny_cnn").build(data.image_shape, rngs=nnx.Rngs(0))
    for optimizer in (None, "sgd"):
        with pytest.raises(ValueError, match="epochs must be at most"):
            cnn.fit(model, data, epochs=1_000_000_000, optimizer=optimizer, progress=False)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_characters_that_an_encoding_lacks_end_nothing(encoding, monkeypatch, tmp_path):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["jaxcnn", "summary", "tiny_cnn"])
    monkeypatch.setattr(app, "_prepare", lambda: None)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert not ended.value.code
    stream.flush()
    assert b"????" in stream.buffer.getvalue()
    if encoding != "cp1252":
        return
    # In a script, whose output is not changed.
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    images = np.zeros((8, 12, 12, 1), np.uint8)
    np.savez(tmp_path / "猫.npz", images=images, labels=np.arange(8) % 2)
    changes = [
        "model.name=tiny_cnn", f"data.source={tmp_path / '猫.npz'}", "data.image_size=[12, 12]",
        "training.batch_size=4", "training.epochs=1",
    ]  # fmt: skip
    recipes.train("digits", tmp_path / "run", assignments=changes)
    stream.flush()
    assert f"images of {tmp_path}/?.npz".encode() in stream.buffer.getvalue()

"""Trainings that are killed, stopped, damaged or called with something else, and go on."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
import survivor
from flax import nnx

import jaxcnn as cnn
from jaxcnn.ops.native import kernel_library
from jaxcnn.training import Ended, EpochEnded, Stepped
from jaxcnn.training.interruption import Interruption

pytestmark = pytest.mark.implicit_promotion
SCRIPT = Path(survivor.__file__)
SHORTLY = 4  # epochs


@pytest.fixture(scope="module", autouse=True)
def kept_programs(cache_folder):
    """Compiles each program once for all the trainings, here and in other processes."""
    options = {
        "jax_compilation_cache_dir": str(cache_folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the training comes to if nothing happens."""
    result = survivor.train(tmp_path_factory.mktemp("runs") / "undisturbed")
    return {"digest": survivor.digest(result), "history": survivor.measured(result.history)}


@pytest.fixture(scope="module")
def shortly(tmp_path_factory):
    """What its first epochs come to."""
    result = survivor.train(tmp_path_factory.mktemp("runs") / "shortly", epochs=SHORTLY)
    return {"digest": survivor.digest(result), "history": survivor.measured(result.history)}


@pytest.fixture
def start(cache_folder):
    """Starts the training in a process of its own, which keeps compiled programs."""
    processes = []

    def start(run):
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(cache_folder),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        process = subprocess.Popen(
            [sys.executable, SCRIPT, run],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def outcome(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


def steps_told(process, word):
    """Read the next line, which must be this word and a step; returns the step."""
    line = process.stdout.readline()
    assert line.startswith(word), (line, process.stderr.read())
    return int(line.split()[1])


def partials(run):
    return list((run / "checkpoints").glob("*.partial"))


@pytest.mark.long  # six processes
def test_killed_again_and_again_a_training_ends_the_same(start, undisturbed, tmp_path, exhaustive):
    """SIGKILL at random moments, half of them while a checkpoint is being written."""
    run, draw = tmp_path / "run", random.Random(0)
    kills, amid_writing, begun = 20 if exhaustive else 3, 0, 0
    steps = survivor.EPOCHS * survivor.STEPS
    for number in range(kills):
        process = start(run)
        before, begun = begun, steps_told(process, "started")
        assert begun >= before
        wanted = begun + draw.randint(1, steps // kills)
        while (step := steps_told(process, "step")) < wanted:
            pass
        moment = time.monotonic() + draw.uniform(0, 0.05)
        while time.monotonic() < moment or (number % 2 == 0 and not partials(run)):
            assert process.poll() is None, "the training ended before it was killed"
        process.kill()
        process.wait()
        written = [path.name for path in partials(run)]
        amid_writing += bool(written)
        print(f"kill {number + 1}: begun at step {begun}, killed at {step} or later; {written}")
    assert begun > 0
    assert amid_writing >= kills // 4
    assert outcome(start(run)) == undisturbed
    assert outcome(start(run)) == undisturbed  # a finished one is left as it is


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, None)]
)
@pytest.mark.long  # two processes each
def test_a_signal_saves_and_ends(start, undisturbed, tmp_path, number, code):
    process = start(tmp_path)
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if code is None:
        assert "KeyboardInterrupt: the training is saved in" in errors
    else:
        assert (process.returncode, errors) == (code, "")
    again = start(tmp_path)
    assert int(again.stdout.readline().split()[1]) > 0
    assert outcome(again) == undisturbed


@pytest.mark.long
def test_a_signal_after_the_last_step_ends_the_program_too(tmp_path):
    def terminate(event):
        if isinstance(event, Ended):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        survivor.train(tmp_path, epochs=1, callbacks=[terminate])
    assert ended.value.code == 128 + signal.SIGTERM
    again = survivor.train(tmp_path, epochs=1)
    assert [row.epoch for row in again.history] == [1]


def test_a_second_signal_ends_at_once():
    """The step of a callback that takes a minute is not waited for."""
    code = (
        "import os, signal, sys, time; from jaxcnn.training.interruption import Interruption\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # none in the background
        "noted = Interruption()\n"
        "with noted.listen():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print(noted.received.name, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (-signal.SIGINT, "SIGINT\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_with_its_own_exit_code(number):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored
    try:
        noted = Interruption()
        with pytest.raises(SystemExit) as ended, noted.listen():
            os.kill(os.getpid(), number)
        assert ended.value.code == 128 + number
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored():
    """As ``nohup`` starts a program, which must outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        noted = Interruption()
        with noted.listen():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert noted.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    survivor.train(tmp_path, epochs=1)
    assert before == [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ]


def test_in_a_thread_a_training_is_saved_all_the_same(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(survivor.train(tmp_path, epochs=1)))
    thread.start()
    thread.join()
    assert survivor.digest(survivor.train(tmp_path, epochs=1)) == survivor.digest(results[0])


class Stopped(Exception):
    """Raised by a callback."""


def stop_after(kind, count):
    seen = []

    def stop(event):
        seen.extend([event] * isinstance(event, kind))
        if len(seen) == count:
            raise Stopped

    return stop


def stopped(folder, kind, count, **options):
    with pytest.raises(Stopped):
        survivor.train(folder, epochs=SHORTLY, callbacks=[stop_after(kind, count)], **options)


@pytest.mark.parametrize(
    "count", [1, *(pytest.param(count, marks=pytest.mark.long) for count in (20, 50))]
)
def test_whatever_a_callback_raises_the_training_can_go_on(tmp_path, shortly, count):
    stopped(tmp_path, Stepped, count, checkpoint_every=4)
    result = survivor.train(tmp_path, epochs=SHORTLY, checkpoint_every=7)
    assert survivor.digest(result) == shortly["digest"]
    assert survivor.measured(result.history) == shortly["history"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, shortly):
    stopped(tmp_path, Stepped, 25, checkpoint_every=6)
    newest = max((tmp_path / "checkpoints").iterdir(), key=lambda folder: int(folder.name))
    (newest / "progress.json").write_text("{}")
    began = []
    with pytest.warns(UserWarning, match=f"checkpoint {newest.name} in .* is damaged: progress"):
        result = survivor.train(tmp_path, epochs=SHORTLY, callbacks=[began.append])
    assert 0 < began[0].step < int(newest.name)
    assert survivor.digest(result) == shortly["digest"]


def test_a_damaged_best_checkpoint_does_not_keep_a_run_from_ending(tmp_path):
    optimizer = optax.sgd(lambda count: 0.1 * 4.0 ** (count // 3))
    options = {"epochs": 6, "validation": OTHER, "restore_best": True, "optimizer": optimizer}
    data = cnn.Dataset(
        OTHER.images + np.arange(12, dtype=np.uint8)[:, None, None, None], OTHER.labels
    )
    result = fit(tmp_path, data=data, keep_best=2, **options)
    best, second, *_ = sorted(result.history, key=lambda row: row.validation_loss)
    (tmp_path / "checkpoints" / str(3 * best.epoch) / "progress.json").write_text("{}")
    with pytest.warns(UserWarning, match="is damaged: .*; the next best is used"):
        result = fit(tmp_path, data=data, keep_best=2, **options)
    assert cnn.evaluate(result.model, OTHER).loss == pytest.approx(second.validation_loss, rel=1e-6)


def test_the_history_is_written_after_each_epoch(tmp_path, shortly):
    stopped(tmp_path, EpochEnded, 3)
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert len(lines) == 4
    survivor.train(tmp_path, epochs=SHORTLY)
    header, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert header.endswith("skipped,top-2")
    assert [float(row.split(",")[1]) for row in rows] == [row["loss"] for row in shortly["history"]]


def test_one_process_at_a_time(tmp_path):
    def train_here_too(event):
        if isinstance(event, EpochEnded):
            with pytest.raises(ValueError, match=r"is in use: another process trains in it"):
                survivor.train(tmp_path, epochs=1)
            raise Stopped

    with pytest.raises(Stopped):
        survivor.train(tmp_path, callbacks=[train_here_too])


def fit(folder, *, model=None, data=None, **options):
    layer = cnn.serial(cnn.flatten(), cnn.dense(3))
    model = layer.build((4, 4, 1), rngs=nnx.Rngs(0)) if model is None else model
    if data is None:
        images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), np.uint8)
        data = cnn.Dataset(images, np.arange(12) % 3)
    defaults = {"epochs": 2, "batch_size": 4, "optimizer": optax.sgd(0.1), "progress": False}
    return cnn.fit(model, data, run=folder, **(defaults | options))


OTHER = cnn.Dataset(np.zeros((12, 4, 4, 1), np.uint8), np.arange(12) % 3)
OTHER_LAYERS = cnn.serial(cnn.flatten(), cnn.dropout(0.5), cnn.dense(3))
CHANGED = [
    ({"seed": 1}, "options that it was started with. They differ in seed: 0 in the run, 1 now"),
    ({"batch_size": 6}, "batch_size: 4 in the run, 6 now"),
    ({"precision": "bfloat16"}, "precision: float32 in the run, bfloat16 now"),
    ({"augment": "digits"}, "augment: None in the run, digits now"),
    (
        {"augment": cnn.augment.random_shift, "mix": cnn.augment.mixup},
        "augment: None in the run, random_shift now; mix: None in the run, mixup now",
    ),
    ({"optimizer": None}, r"optimizer: given in the run, Adam(0.003) now"),
    ({"data": OTHER}, r"data: 12 images (4, 4, 1) "),
    ({"validation": OTHER}, r"validation: None in the run, 12 images (4, 4, 1) "),
    (
        {"optimizer": optax.sgd(0.1, momentum=0.9)},
        "model and optimizer that it was started with. They differ in optimizer_state.0.trace.",
    ),
    (
        {"model": cnn.serial(cnn.flatten(), cnn.dense(4)).build((4, 4, 1), rngs=nnx.Rngs(0))},
        "params.dense_1.bias: float32(3,) in the run, float32(4,) now",
    ),
    (
        {"augment": cnn.augment.compose(cnn.augment.random_shift)},
        "augment: None in the run, compose.<locals>.composed[(random_shift)] now",
    ),
    (
        {"model": OTHER_LAYERS.build((4, 4, 1), rngs=nnx.Rngs(0))},
        "model.names: (flatten_1, dense_1) in the run, (flatten_1, dropout_1, dense_1) now",
    ),
    (
        {"monitor": "loss", "better": "larger"},
        "better: smaller in the run, larger now",
    ),
]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("runs") / "begun"
    fit(folder, epochs=1)
    return folder


@pytest.mark.parametrize(("options", "message"), CHANGED, ids=[m for _, m in CHANGED])
def test_a_run_goes_on_only_as_it_was_begun(begun, tmp_path, options, message):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    kept = sorted((tmp_path / "checkpoints").rglob("*"))
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(tmp_path, **options)
    assert sorted((tmp_path / "checkpoints").rglob("*")) == kept
    assert [row.epoch for row in fit(tmp_path).history] == [1, 2]


def test_other_kernels_are_told(begun, tmp_path, monkeypatch):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(kernel_library, "instruction_set", lambda: "avx512")
    with pytest.warns(UserWarning, match="with compiled kernels none, and goes on with avx512: "):
        fit(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["kernels"] == "avx512"


def test_more_epochs_belong_to_ones_own_optimizer_alone(tmp_path):
    """The default learning rate follows the number of epochs."""
    fit(tmp_path / "own", epochs=1)
    longer, once = fit(tmp_path / "own", epochs=3), fit(tmp_path / "once", epochs=3)
    assert survivor.digest(longer) == survivor.digest(once)
    fit(tmp_path / "default", epochs=1, optimizer=None)
    with pytest.raises(ValueError, match="epochs: 1 in the run, 3 now"):
        fit(tmp_path / "default", epochs=3, optimizer=None)


@pytest.mark.parametrize("place", ["file", "/sys/jaxcnn"])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, place):
    (tmp_path / "file").write_text("dear")
    run = tmp_path / place / "run"
    with pytest.raises(OSError, match=re.escape(str(run.parent))):
        fit(run)


def test_a_full_disk_ends_the_training_and_costs_no_checkpoint(tmp_path):
    """A limit on the size of files gives the error that a full disk gives."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = (soft, hard)

    def fill(event):
        nonlocal limit
        if isinstance(event, Stepped) and event.step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    try:
        with pytest.raises(OSError, match=r"checkpoint 2 in .* could not be written; those before"):
            fit(tmp_path, callbacks=[fill], checkpoint_every=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1"]
    began = []
    result = fit(tmp_path, callbacks=[began.append])
    assert began[0].step == 1
    assert survivor.digest(result) == survivor.digest(fit(tmp_path / "other"))


def test_a_training_that_stops_early_stops_after_an_interruption_too(tmp_path):
    options = {"epochs": 30, "validation": OTHER, "patience": 2, "optimizer": optax.sgd(0.3)}
    whole = fit(tmp_path / "whole", **options)
    assert len(whole.history) < 30
    with contextlib.suppress(Stopped):
        fit(tmp_path / "parts", callbacks=[stop_after(EpochEnded, 2)], **options)
    parts = fit(tmp_path / "parts", **options)
    assert survivor.measured(parts.history) == survivor.measured(whole.history)
    again = fit(tmp_path / "parts", **options)
    assert survivor.measured(again.history) == survivor.measured(whole.history)


@pytest.mark.parametrize("saved", [True, False])
def test_the_best_weights_are_given_back(tmp_path, saved):
    """A learning rate that explodes makes later epochs worse."""
    optimizer = optax.sgd(lambda count: 0.1 * 4.0 ** (count // 3))
    options = {"epochs": 6, "validation": OTHER, "restore_best": True, "optimizer": optimizer}
    data = cnn.Dataset(
        OTHER.images + np.arange(12, dtype=np.uint8)[:, None, None, None], OTHER.labels
    )
    result = fit(tmp_path if saved else None, data=data, **options)
    best = min(result.history, key=lambda row: row.validation_loss)
    assert best.epoch < 6
    assert cnn.evaluate(result.model, OTHER).loss == pytest.approx(best.validation_loss, rel=1e-6)
    last = result.state.to_model(result.model)
    expected = result.history[-1].validation_loss
    assert cnn.evaluate(last, OTHER).loss == pytest.approx(expected, rel=1e-6)
    assert not jax.tree.all(
        jax.tree.map(lambda a, b: (a == b).all(), nnx.state(last), nnx.state(result.model))
    )

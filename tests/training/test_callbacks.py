"""What callbacks are told, and what those that the package brings write."""

import csv
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import (
    Ended,
    Epoch,
    EpochEnded,
    Started,
    Stepped,
    confusion,
    history_csv,
    make_optimizer,
    tensorboard,
    top_k,
)
from jaxcnn.training.history_file import write_history

# Reads event files in a process of its own: TensorBoard warns of itself.
READER = """
import json, sys, warnings; warnings.simplefilter("ignore")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({
    tag: [(event.step, event.value) for event in events.Scalars(tag)]
    for tag in events.Tags()["scalars"]
}))
"""


def fit(**options):
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), np.uint8)
    data = cnn.Dataset(images, np.arange(12) % 3)
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((4, 4, 1), rngs=nnx.Rngs(0))
    defaults = {"epochs": 2, "batch_size": 4, "optimizer": optax.sgd(0.1), "progress": False}
    return cnn.fit(model, data, validation=data, **(defaults | options))


def test_events_come_in_their_order():
    events = []
    result = fit(callbacks=[events.append])
    kinds = [type(event) for event in events]
    assert kinds == [Started, *([Stepped] * 3 + [EpochEnded]) * 2, Ended]
    assert events[0] == Started(2, 3, 4, 0, ())
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3, 4, 5, 6]
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert [event.history for event in ended] == [result.history[:1], result.history]
    assert events[-1] == Ended(result.history, None)


def test_steps_add_up_to_the_epoch():
    events = []
    result = fit(callbacks=[events.append], epochs=1)
    losses = [event.metrics.loss_sum for event in events if isinstance(event, Stepped)]
    assert np.sum(losses, dtype=np.float64) / 12 == pytest.approx(result.history[0].loss, rel=1e-7)


def test_the_state_of_an_epoch_can_be_copied():
    states = []

    def keep(event):
        if isinstance(event, EpochEnded):
            states.append(jax.tree.map(np.array, event.state.params))

    result = fit(callbacks=[keep])
    jax.tree.map(np.testing.assert_array_equal, states[-1], result.state.params)


def test_a_callback_that_fails_ends_the_training_and_the_others_hear_of_it():
    events = []

    def fail(event):
        if isinstance(event, EpochEnded):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fit(callbacks=[events.append, fail])
    assert isinstance(events[-1].error, RuntimeError)
    assert len(events[-1].history) == 1


def test_history_csv(tmp_path):
    metrics = {"top-2": top_k(2), "matrix": confusion()}
    result = fit(metrics=metrics, callbacks=[history_csv(tmp_path / "a.csv")])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, told in zip(rows, result.history, strict=True):
        assert float(row["loss"]) == told.loss
        assert float(row["validation_accuracy"]) == told.validation_accuracy
        assert float(row["top-2"]) == told.metrics["top-2"]
        assert row["ema_loss"] == ""
        assert "matrix" not in row
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_metrics_that_came_late_have_a_column(tmp_path):
    history = (Epoch(1, 0.5, 0.5, 1.0, 1.0), Epoch(2, 0.5, 0.5, 1.0, 1.0, metrics={"new": 1.5}))
    write_history(tmp_path / "a.csv", history)
    header, first, second = (tmp_path / "a.csv").read_text().splitlines()
    assert (header[-4:], first[-1], second[-4:]) == (",new", ",", ",1.5")


def read(folder):
    reader = subprocess.run(
        [sys.executable, "-c", READER, folder], capture_output=True, text=True, check=True
    )
    return json.loads(reader.stdout.splitlines()[-1])


def test_tensorboard_reads_what_was_measured(tmp_path):
    """Two epochs of three steps, then a training that went on from the second step."""
    steps = []

    def note(event):
        if isinstance(event, Stepped):
            steps.append(float(event.metrics.loss_sum) / 4)

    sgd = make_optimizer("sgd", learning_rate=0.1, momentum=0.0)
    options = {"metrics": {"top-2": top_k(2)}, "ema": 0.9, "optimizer": sgd}
    result = fit(callbacks=[tensorboard(tmp_path, every=2), note], **options)
    scalars = read(tmp_path)
    assert set(scalars) == {
        "loss/step", "loss/training", "loss/validation", "loss/ema", "accuracy/training",
        "accuracy/validation", "accuracy/ema", "metrics/top-2", "training/skipped",
        "training/seconds", "training/images_per_second", "training/gradient_norm",
        "training/learning_rate", "training/input_seconds",
    }  # fmt: skip
    assert [step for step, _ in scalars["loss/step"]] == [2, 4, 6]
    np.testing.assert_allclose([value for _, value in scalars["loss/step"]], steps[1::2], rtol=1e-6)
    for tag, name in (
        ("loss/training", "loss"),
        ("loss/ema", "ema_loss"),
        ("training/gradient_norm", "gradient_norm"),
        ("training/learning_rate", "learning_rate"),
    ):
        assert [step for step, _ in scalars[tag]] == [3, 6]
        expected = [getattr(row, name) for row in result.history]
        np.testing.assert_allclose([value for _, value in scalars[tag]], expected, rtol=1e-6)


def test_tensorboard_forgets_what_comes_again(tmp_path, monkeypatch):
    """Also where the training goes on within the second after which event files are named."""
    clock = SimpleNamespace(**vars(time) | {"time": lambda: 1.8e9})
    monkeypatch.setattr("tensorboardX.event_file_writer.time", clock)

    class Stopped(Exception):
        pass

    def stop(event):
        if isinstance(event, EpochEnded) and len(event.history) == 2:
            raise Stopped

    options = {"run": tmp_path / "run", "epochs": 3, "checkpoint_every": 2}
    with pytest.raises(Stopped):
        fit(callbacks=[tensorboard(tmp_path / "events", every=1), stop], **options)
    fit(callbacks=[tensorboard(tmp_path / "events", every=1)], **options)
    scalars = read(tmp_path / "events")
    assert [step for step, _ in scalars["loss/step"]] == list(range(1, 10))
    assert [step for step, _ in scalars["loss/training"]] == [3, 6, 9]


def test_tensorboard_errors(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"every must be at least 1\. Received: every=0"):
        tensorboard(tmp_path, every=0)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxcnn\[tensorboard\]'"):
        tensorboard(tmp_path)


def norms_and_rates(**options):
    """Return learning rates and gradient norms of the epochs, each of one step."""
    seen = []
    result = fit(batch_size=12, callbacks=[seen.append], **options)
    steps = [event.metrics for event in seen if isinstance(event, Stepped)]
    history = result.history
    assert [row.gradient_norm for row in history] == [float(m.gradient_norm) for m in steps]
    return [row.learning_rate for row in history], [row.gradient_norm for row in history]


def test_history_has_learning_rate_and_gradient_norm(tmp_path):
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    clipped = make_optimizer("sgd", learning_rate=schedule, momentum=0.0, clip_norm=1e-3)
    rates, norms = norms_and_rates(optimizer=clipped, run=tmp_path)
    assert rates == pytest.approx([0.1, 0.075])

    images = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8).astype(np.float64) / 255
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((4, 4, 1), rngs=nnx.Rngs(0))
    logits = images @ np.asarray(model.dense_1.kernel[...]) + np.asarray(model.dense_1.bias[...])
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    errors = (shares - np.eye(3)[np.arange(12) % 3]) / 12
    expected = np.sqrt(((images.T @ errors) ** 2).sum() + (errors.sum(axis=0) ** 2).sum())
    assert norms[0] == pytest.approx(expected, rel=1e-5)  # before it is clipped

    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(rates)
    assert [float(row["gradient_norm"]) for row in rows] == pytest.approx(norms)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (optax.inject_hyperparams(optax.adam)(optax.linear_schedule(0.1, 0.0, 4)), [0.1, 0.075]),
        (optax.chain(optax.clip(1.0), make_optimizer("adam", learning_rate=0.2)), [None, None]),
        (make_optimizer("adam", learning_rate=0.2), [0.2, 0.2]),
        (optax.sgd(0.1), [None, None]),
    ],
)
def test_learning_rates_that_are_known(optimizer, expected):
    rates, _ = norms_and_rates(optimizer=optimizer)
    assert rates == [rate and pytest.approx(rate) for rate in expected]


@pytest.mark.implicit_promotion
def test_a_default_learning_rate_rises_and_falls():
    rates, _ = norms_and_rates(optimizer=None, epochs=4, learning_rate=0.5)
    schedule = optax.cosine_onecycle_schedule(4, 0.5)
    assert rates == pytest.approx([float(schedule(step)) for step in range(4)])

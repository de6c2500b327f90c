"""``evaluate`` and ``compare`` tell the numbers of the run: its loss, its metrics, its epoch."""

import re

import numpy as np
import optax
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import recipes
from jaxcnn.training import run_folder
from jaxcnn.training.history_file import read_history

pytestmark = pytest.mark.implicit_promotion


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three classes of noise, one of them rare."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(60) % 3 % (1 + np.arange(60) % 4)
    images[labels == 1] //= 2
    np.savez(path, images=images, labels=labels, class_names=["a", "b", "c"])
    return path


def table(text):
    """Return the cells of each row by its first cell."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize(
    "loss",
    [
        ["loss.label_smoothing=0.3", "loss.balance=true"],
        ["loss.name=focal", "loss.gamma=1.5"],
        ["loss.class_weights=[1, 2, 5]"],
    ],
)
def test_evaluate_repeats_loss_and_metrics_of_the_run(loss, archive, tmp_path, call_cli):
    options = [
        "model.name=tiny_cnn", f"data.source={archive}", "training.batch_size=16",
        "data.image_size=[8, 8]", "data.augment=none", "training.epochs=2",
        'training.metrics=["f1", "top-2", "confusion"]', *loss,
    ]  # fmt: skip
    run = recipes.train("digits", tmp_path / "run", assignments=options, progress=False)
    result = call_cli("evaluate", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    printed = table(result.stdout)
    metrics = run_folder.read_run(tmp_path / "run").metrics
    assert printed["loss"] == [f"{metrics['loss']:.4f}"]
    assert printed["accuracy"] == [f"{metrics['accuracy']:.2%}"]
    for name in ("f1", "top-2"):
        assert float(printed[name][0]) == pytest.approx(metrics["metrics"][name], rel=1e-5)
    default = cnn.evaluate(run.model, cnn.data.load(archive, image_size=8)).loss
    assert abs(metrics["loss"] - default) > 0.01


def by_fit(folder, data, rate, **options):
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((8, 8, 1), rngs=nnx.Rngs(0))
    return cnn.fit(
        model, data, validation=data, run=folder, batch_size=len(data), progress=False,
        optimizer=optax.sgd(lambda step: 0.01 * rate**step), **options,
    )  # fmt: skip


def test_compare_shows_the_epoch_that_was_kept(archive, tmp_path, call_cli):
    data = cnn.data.load(archive, image_size=8)
    folder, other = tmp_path / "worse", tmp_path / "better"
    # A rate that grows a hundredfold: the loss falls once, and rises.
    result = by_fit(folder, data, 100.0, epochs=3, restore_best=True)
    by_fit(other, data, 1.0, epochs=3)
    assert result.epoch == 1
    losses = [row.validation_loss for row in result.history]
    assert losses[0] < min(losses[1:])
    assert cnn.evaluate(cnn.load(folder), data).loss == pytest.approx(losses[0], rel=1e-5)

    compared = call_cli("compare", folder, other, "--plot", tmp_path / "plot.png")
    assert compared.returncode == 0, compared.stderr
    printed = table(compared.stdout)
    assert printed["epoch"] == ["1", "3"]
    assert float(printed["validation_loss"][0]) == pytest.approx(losses[0], rel=1e-5)
    seconds = sum(row.seconds for row in read_history(folder))
    assert float(printed["seconds"][0]) == pytest.approx(seconds, rel=1e-4)
    listed = table(call_cli("runs", tmp_path).stdout)
    assert f"{losses[0]:.4f}" in listed["worse"]
    stored = run_folder.read_run(folder).metrics
    assert stored["validation_loss"] == pytest.approx(losses[0])
    assert stored["seconds"] == pytest.approx(seconds)


def test_evaluate_of_a_run_of_fit(archive, tmp_path, call_cli):
    data = cnn.data.load(archive, image_size=8, split="test")
    names = ["recall", "confusion"]
    (row,) = by_fit(tmp_path / "run", data, 1.0, epochs=1, loss="focal", metrics=names).history
    printed = table(call_cli("evaluate", tmp_path / "run", "--data", archive).stdout)
    assert printed["loss"] == [f"{row.validation_loss:.4f}"]
    assert float(printed["recall"][0]) == pytest.approx(row.metrics["recall"], rel=1e-5)

"""Metrics of numbers, against their definitions in float64."""

import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training.named_metrics import METRICS, resolve_metrics


def measured(name, outputs, targets, mask):
    metric = METRICS[name]
    return metric.result(metric.measure(outputs, targets, mask))


@pytest.mark.parametrize("offset", [0, 10_000])
def test_against_the_definitions(offset):
    random = np.random.default_rng(0)
    targets = (random.normal(size=(50, 3)) + offset).astype(np.float32)
    outputs = targets + random.normal(scale=0.5, size=targets.shape).astype(np.float32)
    mask = random.random(50) < 0.8
    y, t = outputs[mask].astype(float), targets[mask].astype(float)
    found = measured("mean_absolute_error", outputs, targets, mask)
    assert found == pytest.approx(np.linalg.norm((y - t).ravel(), 1) / y.size, rel=1e-9)
    found = measured("r2", outputs, targets, mask)
    unexplained = [np.mean((y[:, n] - t[:, n]) ** 2) / np.var(t[:, n]) for n in range(3)]
    assert found == pytest.approx(1 - sum(unexplained) / 3, rel=1e-9)


def test_a_number_that_never_changes_explains_nothing():
    targets = np.array([[1.0, 5.0], [2.0, 5.0]])
    assert measured("r2", targets, targets, np.ones(2, bool)) == 1
    assert np.isnan(measured("r2", targets[:, 1:], targets[:, 1:], np.ones(2, bool)))


def test_gathered_metrics_do_not_depend_on_the_batches():
    random = np.random.default_rng(1)
    images = random.random((11, 4, 4, 1)).astype(np.float32)
    data = cnn.Dataset(images, images.mean(axis=(1, 2)) * 3)
    model = cnn.serial(cnn.flatten(), cnn.dense(1)).build((4, 4, 1), rngs=nnx.Rngs(0))
    whole, parts = (
        cnn.evaluate(model, data, batch_size=size, metrics=["r2", "mean_absolute_error"]).metrics
        for size in (11, 4)
    )
    assert parts == pytest.approx(whole, rel=1e-6)
    wrong = cnn.Dataset(images, np.zeros((11, 4)))
    with pytest.raises(ValueError, match=r"the model must map images to \(batch, 4\)"):
        cnn.evaluate(model, wrong, metrics=["r2"])


def test_a_function_in_place_of_its_metric():
    named = resolve_metrics([cnn.training.r2, cnn.training.mean_absolute_error])
    assert named == {name: METRICS[name] for name in ("r2", "mean_absolute_error")}

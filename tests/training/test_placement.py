"""Where batches and states live: trainings on several devices are those of one."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import Placement

SCRIPT = Path(__file__).with_name("on_devices.py")
MANY = 8


def compare(*arguments):
    """Return what the script prints, in a process of eight devices."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(MANY)}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_everything_that_pulls_batches_takes_devices():
    for function in (cnn.fit, cnn.evaluate, cnn.predict, cnn.training.find_learning_rate):
        assert inspect.signature(function).parameters["devices"].default == "all"


def test_statistics_of_each_device():
    found = compare("batch_norm")
    assert found["mean"] < 1e-6
    assert found["variance"] < 1e-6


@pytest.mark.long
def test_eight_devices_train_as_one():
    """With batch norm, dropout, augmentation, mixup, accumulation and a moving average."""
    found = compare("devices")
    assert found["spread"] == [MANY]  # all arrays are on all devices
    assert found["part"] == 1 / MANY  # of sharded ones each device has its part
    assert found["model"] == [1]
    for way in ("eight", "mesh", "sharded", "loss"):
        assert found[way] < 1e-5, way


@pytest.mark.long
def test_eight_devices_evaluate_predict_and_search_as_one():
    assert max(compare("uses").values()) < 1e-5


@pytest.mark.long
def test_a_run_goes_on_with_another_number_of_devices(tmp_path):
    """4, then 2 with sharded parameters, then 8, each killed in the middle of an epoch."""
    found = compare("restarts", tmp_path / "run")
    assert found["epochs"] == 6
    assert found["restarted"] < 1e-5


def mesh(*shape, names):
    devices = np.array(jax.devices()[:1]).reshape(shape)
    return jax.sharding.Mesh(devices, names)


def test_the_axis_of_the_rows():
    assert Placement.over(mesh(1, names=("any",))).axis == "any"
    assert Placement.over(mesh(1, 1, names=("model", "data"))).axis == "data"
    with pytest.raises(ValueError, match=r"must name .* 'batch' or 'data'.*\('x', 'y'\)"):
        Placement.over(mesh(1, 1, names=("x", "y")))


@pytest.mark.parametrize("devices", [0, 1000, -1])
def test_a_number_of_devices_that_there_is_not(devices):
    with pytest.raises(ValueError, match=f"at least 1 and at most .*devices={devices}"):
        Placement.over(devices)


@pytest.mark.parametrize("devices", [1.5, True, None, ["cpu"]])
def test_what_is_no_devices(devices):
    with pytest.raises(TypeError, match="devices must be 'all', a number or a mesh"):
        Placement.over(devices)


def test_a_batch_size_that_devices_do_not_divide():
    three = Placement(jax.sharding.AbstractMesh((3,), ("batch",)))
    three.check_batch_size(63)
    with pytest.raises(ValueError, match=r"by the 3 devices: 63 or 66\. Received: batch_size=64"):
        three.check_batch_size(64)
    with pytest.raises(ValueError, match=r"3 devices in 2 parts: 60 or 66\."):
        three.check_batch_size(64, parts=2)
    with pytest.raises(ValueError, match=r"by the 3 devices: 3\. Received: batch_size=2"):
        three.check_batch_size(2)


@pytest.mark.implicit_promotion
def test_given_batches_that_devices_do_not_divide(monkeypatch):
    three = Placement(jax.sharding.AbstractMesh((3,), ("batch",)))
    monkeypatch.setattr(Placement, "over", lambda *given, **options: three)
    layers = cnn.serial(cnn.flatten(), cnn.dense(2))
    model = layers.build((2, 2, 1), rngs=nnx.Rngs(0))
    images, labels = np.zeros((4, 2, 2, 1), np.uint8), np.arange(4) % 2
    message = r"by the 3 devices: 3 or 6\. Received: batch_size=4"
    with pytest.raises(ValueError, match=message):
        cnn.evaluate(model, [(images, labels)])
    data = cnn.Dataset(np.zeros((6, 2, 2, 1), np.uint8), np.arange(6) % 2)
    with pytest.raises(ValueError, match=message):
        cnn.fit(model, data, validation=[(images, labels)], batch_size=6, progress=False)

"""Where batches and states live: everything that pulls batches takes the same value."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcnn as cnn
from jaxcnn.training import Placement

SCRIPT = Path(__file__).with_name("on_a_mesh.py")


def test_everything_that_pulls_batches_takes_a_placement():
    for function in (cnn.fit, cnn.evaluate, cnn.predict, cnn.training.find_learning_rate):
        assert inspect.signature(function).parameters["placement"].default == Placement()


@pytest.mark.long
def test_two_devices_train_as_one():
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    result = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout == "same\n", result.stderr

"""Gradients with the batch shared by two devices are those of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("sharded.py")


WAYS = ["by_hand", "by_jax", "in_types", "without_set_mesh", "by_compiler"]


def run_script(*cases):
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "2",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # 85 programs run once: 18 s, not 25
    }
    output = subprocess.run(
        [sys.executable, SCRIPT, *cases],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return json.loads(output)


@pytest.fixture(scope="module")
def differences():
    return run_script()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_gradients(differences, way):
    """In a ``shard_map`` with the sum over devices written or not, or by the arrays' types."""
    names = [name for name in differences if name != "synchronized"]
    wrong = {name: differences[name] for name in names if not differences[name].get(way, 1) < 1e-5}
    assert not wrong


def test_convolutions_and_synchronized_statistics():
    """Two cases in every way, and batch norm over all devices as over one."""
    cases = ("conv", "conv depthwise")
    found = run_script(*cases)
    assert found["synchronized"] < 1e-5
    for case in cases:
        assert found[case].pop("all_gathers") == 0  # no device collects the others' images
        assert found[case].keys() == set(WAYS)
        assert max(found[case].values()) < 1e-5

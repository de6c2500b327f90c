"""Gradients with the batch shared by two devices are those of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("sharded.py")


@pytest.fixture(scope="module")
def differences():
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "2",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # 70 programs run once: 15 s, not 21
    }
    output = subprocess.run(
        [sys.executable, SCRIPT], env=environment, check=True, capture_output=True, text=True
    ).stdout
    return json.loads(output)


@pytest.mark.long
@pytest.mark.parametrize("way", ["by_hand", "by_jax", "in_types"])
def test_gradients(differences, way):
    """In a ``shard_map`` with the sum over devices written or not, or by the arrays' types."""
    wrong = {name: found for name, found in differences.items() if not found.get(way, 1) < 1e-5}
    assert not wrong

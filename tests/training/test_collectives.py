"""Bytes that devices exchange in a compiled step, against those of theory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxcnn.training.collective_operations import Collective, read_collectives

SCRIPT = Path(__file__).with_name("collectives.py")
FLOAT = 4  # bytes of a parameter and of its gradient, in every precision
# The loss, the accuracy and the number of real rows, each a sum over the batch.
SCALARS = 3 * FLOAT
MNIST_CNN = 9 * 64 + 64 + 2 * (9 * 64 * 64 + 64) + 576 * 10 + 10
RESNET = 9 * 3 * 16 + 2 * (9 * 16 * 16) + 3 * (16 + 16) + 16 * 10 + 10
CHANNELS = 3 * 16  # of its batch normalizations


def read(*cases):
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    command = [sys.executable, str(SCRIPT), *cases]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_gradients_are_exchanged_once():
    """Statistics of each device are averaged for the running ones: two vectors per layer."""
    found = read("mnist_cnn", "device")
    assert found["mnist_cnn"].pop("all-reduce") == FLOAT * MNIST_CNN + SCALARS
    assert found["device"].pop("all-reduce") == FLOAT * (RESNET + 2 * CHANNELS) + SCALARS
    forward = 26 * 26 * 9 * 64 + 11 * 11 * 9 * 64 * 64 + 3 * 3 * 9 * 64 * 64 + 576 * 10
    assert found["mnist_cnn"].pop("flops") == pytest.approx(3 * 2 * forward * 8, rel=0.01)
    assert found["mnist_cnn"] == {"images": 8}  # and nothing else is exchanged
    assert found["device"].keys() == {"flops", "images"}


@pytest.mark.long
def test_statistics_of_the_batch_are_exchanged_and_sharded_parameters_collected():
    """Mean and variance, and backward one sum beside those of the gradients of scale and bias.

    Of sharded parameters, the kernels of the last two convolutions are collected before the forward
    and the backward pass, and that of the dense layer once: for its backward pass the gradients of
    16 · 10 logits take its place, whose result of 16 · 576 the devices then exchange by rows.
    Checks and norms of parts add three flags and three numbers.
    """
    found = read("global", "sharded")
    assert found["global"].pop("all-reduce") == FLOAT * (RESNET + 3 * CHANNELS) + SCALARS
    assert found["global"].keys() == {"flops", "images"}
    sharded = found["sharded"]
    assert sharded["all-reduce"] == FLOAT * MNIST_CNN + SCALARS + 3 + 3 * FLOAT
    collected = 2 * 2 * 9 * 64 * 64 + 576 * 10 + 16 * 10
    assert sharded["all-gather"] == FLOAT * collected
    assert sharded["all-to-all"] == FLOAT * 16 * 576 // 2
    assert sharded.keys() == {"flops", "images", "all-reduce", "all-gather", "all-to-all"}


def test_exchanges_in_the_text_of_a_program():
    program = """
  %all-reduce.1 = (f32[3,3]{1,0}, /*index=1*/bf16[5]{0:T(128)}, pred[]) all-reduce(%a, %b, %c)
  %copy.all-reduce = f32[9]{0} copy(%all-reduce.1)
  ROOT %gather = s64[2,3]{1,0} all-gather(%a), dimensions={0}
  %part = f16[4]{0} reduce-scatter(%a), dimensions={0}
"""
    assert read_collectives(program, 8) == (
        Collective("all-reduce", 9 * 4 + 5 * 2 + 1),
        Collective("all-gather", 6 * 8),
        Collective("reduce-scatter", 8 * 4 * 2),
    )

"""The benchmarks' networks: published parameters, known arithmetic, and the sums of the table."""

import sys
from pathlib import Path

import pytest

import jaxcnn as cnn

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def networks():
    sys.path.insert(0, str(BENCHMARKS))
    yield __import__("networks")
    sys.path.remove(str(BENCHMARKS))


def parameters(layer, input_shape):
    return cnn.summarize(layer, input_shape).trainable


def test_published_parameter_counts(networks):
    assert parameters(networks.mobilenet_v2(1000), (224, 224, 3)) == 3_504_872
    assert parameters(networks.resnet18(10), (32, 32, 3)) == 11_173_962


def test_arithmetic(networks):
    """One multiplication and one addition per weight and position."""
    products = 26 * 26 * 9 * 64 + 11 * 11 * 9 * 64 * 64 + 3 * 3 * 9 * 64 * 64 + 576 * 10
    assert networks.CASES["mnist_cnn"].gflop == pytest.approx(2 * products / 1e9)


def test_a_row_compares_least_times_with_the_fastest_peers(networks):
    compare = __import__("compare")
    results = {
        name: {"min_ms": least}
        for name, least in {"jaxcnn": 2.0, "flax": 8.0, "keras": 4.0, "torch": 1.0}.items()
    }
    row = compare.row("case", results, compare.Goal(0.5, 1.0))
    assert row["jax"] == {"fastest": "keras", "ratio": 0.5, "met": True}
    assert row["torch"] == {"fastest": "torch", "ratio": 2.0, "met": False}

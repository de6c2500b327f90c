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


def parameters(case):
    return cnn.summarize(case.network, case.input_shape).trainable


def test_published_parameter_counts(networks):
    """A dense layer of 1,280 to 10 in place of 1,000 is what the second one lacks."""
    cases = networks.CASES
    assert parameters(cases["resnet18"]) == 11_173_962
    assert parameters(cases["mobilenet_v2"]) == 1_968_680 - 1281 * 990


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

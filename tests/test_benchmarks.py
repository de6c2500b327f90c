"""The benchmarks' networks and sums of the table, and those of data in a small form."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcnn as cnn

BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def benchmark_files():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def networks(benchmark_files):
    return benchmark_files("networks")


def parameters(case):
    return cnn.summarize(case.network, case.input_shape).trainable


def test_published_parameter_counts(networks):
    """A dense layer of 1,280 to 10 in place of 1,000 is what the second one lacks."""
    cases = networks.CASES
    assert parameters(cases["resnet18"]) == 11_173_962
    assert parameters(cases["mobilenetv2"]) == 1_968_680 - 1281 * 990


def test_arithmetic(networks):
    """One multiplication and one addition per weight and position."""
    products = 26 * 26 * 9 * 64 + 11 * 11 * 9 * 64 * 64 + 3 * 3 * 9 * 64 * 64 + 576 * 10
    assert networks.CASES["mnist_cnn"].gflop == pytest.approx(2 * products / 1e9)


def test_the_table_of_costs_says_which_goals_are_met(networks, capsys):
    models = __import__("models")
    row = {"gflops": 50, "product_gflops": 100}
    ours, flax = {"peak_mb": 90, "compile_s": 2.0}, {"peak_mb": 100, "compile_s": 1.5}
    models.show_costs([
        {"case": "resnet18", "results": {"jaxcnn": ours, "flax": flax}, **row},
        {"case": "cnn_1d", "results": {"jaxcnn": ours}, **row},
    ])  # fmt: skip
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == "| resnet18 | 90 | 100 met | 2.0 | 1.5 **missed** | 50 | 50% (45%) met |"
    assert second == "| cnn_1d | 90 | – | 2.0 | – | 50 | 50% |"


def test_a_row_compares_least_times_with_the_fastest_peers(networks):
    compare = importlib.import_module("compare")
    results = {
        name: {"min_ms": least}
        for name, least in {"jaxcnn": 2.0, "flax": 8.0, "keras": 4.0, "torch": 1.0}.items()
    }
    row = compare.row("case", results, compare.Goal(0.5, 1.0))
    assert row["jax"] == {"fastest": "keras", "ratio": 0.5, "met": True}
    assert row["torch"] == {"fastest": "torch", "ratio": 2.0, "met": False}


def test_what_fit_is_given_are_arguments_of_it(benchmark_files, tmp_path):
    arguments = set(inspect.signature(cnn.fit).parameters)
    for variant in benchmark_files("extras").VARIANTS.values():
        assert set(variant(tmp_path)) <= arguments


def assert_goals(printed, *goals):
    """Checks that each goal is printed, met or missed: so small a run says nothing of speed."""
    told = re.findall(r"\((.*?): (?:met|\*\*missed\*\*)\)", printed)
    assert told == list(goals)


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_feeding_is_measured(benchmark_files, monkeypatch, capsys):
    feed = benchmark_files("feed")
    monkeypatch.setattr(feed, "ROUNDS", 1)
    monkeypatch.setattr(feed, "STEPS", {"mnist_cnn": 1})
    figures = feed.run()
    assert figures.keys() == {"batch 64", "batch 128", "batch 512", "mnist_cnn"}
    assert figures["batch 128"] > 10_000
    assert_goals(capsys.readouterr().out, *["at least 1"] * 3, "at most 3 %")


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_augmentation_is_measured(benchmark_files, monkeypatch, capsys):
    augmentation = benchmark_files("augmentation")
    monkeypatch.setattr(augmentation, "ROUNDS", 1)
    figures = augmentation.run(2, ["cifar"], "mnist_cnn")
    assert figures.keys() == {"none", "cifar"}
    assert all(milliseconds > 0 for milliseconds in figures.values())
    assert_goals(capsys.readouterr().out, "at most 15%")


@pytest.mark.long
def test_a_folder_of_pictures_is_measured(benchmark_files, capsys):
    figures = benchmark_files("image_folder").run(40)
    assert all(figure >= 0 for figure in figures.values())
    memory = f"at most {10 * len(os.sched_getaffinity(0))}"
    assert_goals(capsys.readouterr().out, "at least 1", memory, "less than 1 s", memory)


@pytest.mark.long
def test_streaming_is_measured(benchmark_files, monkeypatch, capsys):
    streaming = benchmark_files("streaming")
    monkeypatch.setattr(streaming, "ROUNDS", 1)
    figures = streaming.run(80)
    assert all(figure > 0 for figure in figures.values())
    assert_goals(capsys.readouterr().out, "at least 0.9 of Pillow alone")
    early, late = streaming.run_memory(400)
    assert 0 < late < early + 100


@pytest.mark.long
def test_costs_of_insight_are_measured(benchmark_files, monkeypatch, capsys):
    costs = benchmark_files("insight_costs")
    small = [costs.Case("mnist_cnn", (28, 28, 1), 2)]
    monkeypatch.setattr(costs, "GRAD_CAM_CASES", small)
    monkeypatch.setattr(costs, "ACTIVATIONS_CASES", small)
    figures = costs.run(rounds=1)
    assert figures.keys() == {"Grad-CAM, mnist_cnn", "activations, mnist_cnn"}
    assert_goals(capsys.readouterr().out, "at most 1.5", "at most 1.2")


@pytest.mark.long
def test_the_benchmark_of_a_gpu_runs_in_small(tmp_path):
    out = tmp_path / "gpu.json"
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--small", str(out)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "| synthetic | jaxcnn |" in printed
    assert "| streamed | jaxcnn |" in printed
    assert "test accuracy" in printed
    assert json.loads(out.read_text()).keys() >= {"resnet", "cifar10"}

"""The examples run; test_documents.py runs the one of the README."""

import csv
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.implicit_promotion
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["local.py", "slurm.sh", "jobset.yaml", "sky.yaml"])
def test_distributed_examples_name_options_of_train(name, call_cli, tmp_path):
    path = EXAMPLES / "distributed" / name
    text = path.read_text(encoding="utf-8")
    options = set(
        re.findall(r"(?<![\w-])--(?!nodes|ntasks|gpus|cpus|time|signal|requeue)[a-z-]+", text)
    )
    assert options
    shown = call_cli("train", "--help", cwd=tmp_path).stdout
    assert [option for option in options if option not in shown] == []
    if path.suffix == ".sh":
        subprocess.run(["bash", "-n", str(path)], check=True)
    if path.suffix == ".yaml":
        read = yaml.safe_load(text)
        script = read["run"] if name == "sky.yaml" else _container(read)["args"][0]
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
        assert "--process-id" in script


def _container(jobset):
    job, *_ = jobset["spec"]["replicatedJobs"]
    container, *_ = job["template"]["spec"]["template"]["spec"]["containers"]
    return container


@pytest.mark.long
def test_processes_on_one_machine(tmp_path):
    script, run = EXAMPLES / "distributed" / "local.py", tmp_path / "run"
    command = [sys.executable, script, "2", "digits_small", "--epochs", "1", "--out", run]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"The run is in {run}" in ended.stdout
    assert (run / "run.json").is_file()


@pytest.mark.long
def test_moving_digits(tmp_path, monkeypatch):
    """The 3-D network learns the direction; for the other one it stays a guess of one in eight."""
    monkeypatch.chdir(tmp_path)
    module = runpy.run_path(str(EXAMPLES / "moving_digits.py"))
    accuracies = module["main"](600, 300, 3)
    assert accuracies["3-D", "direction"] > 0.6
    assert accuracies["2-D", "direction"] < 0.25
    assert (tmp_path / "moving_digits.png").stat().st_size > 10_000


@pytest.mark.long
def test_find_face(tmp_path, monkeypatch):
    """In short form: the classifier learns, and every step to the picture runs."""
    pytest.importorskip("skimage")
    monkeypatch.chdir(tmp_path)
    accuracy, box, probability = runpy.run_path(str(EXAMPLES / "find_face.py"))["main"](1600, 3)
    assert accuracy > 0.8
    assert probability > 0.5
    x1, y1, x2, y2 = box
    assert 0 <= x1 < x2 <= 512
    assert 0 <= y1 < y2 <= 512
    assert (tmp_path / "find_face.png").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.parametrize(("name", "epochs"), [("own_training_loop", 2), ("own_module", 4)])
def test_example_learns(name, epochs):
    module = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert module["main"](epochs=epochs) > 0.8


@pytest.mark.long
def test_digit_detector_learns(tmp_path):
    """The short form: the loss falls, and a picture of the detections is written."""
    module = runpy.run_path(str(EXAMPLES / "digit_detector.py"))
    picture, run = tmp_path / "found.png", tmp_path / "run"
    assert 0 <= module["main"](count=480, epochs=2, picture=picture, run=run) <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    with (run / "history.csv").open(encoding="utf-8") as file:
        first, last = (float(row["loss"]) for row in csv.DictReader(file))
    assert last < first


@pytest.mark.long
def test_coins_are_segmented(tmp_path):
    picture = tmp_path / "coins.png"
    means = runpy.run_path(str(EXAMPLES / "coins.py"))["main"]("--short", str(picture))
    assert means.keys() == {"Otsu", "U-Net"}
    assert 0.7 < means["Otsu"] < 0.95  # the corner of the photograph is as bright as coins
    assert 0 < means["U-Net"] <= 1
    assert picture.stat().st_size > 10_000


@pytest.mark.long
def test_networks_for_signals_reach_the_published_accuracy():
    """One short training of each; examples/signals.py itself trains from 5 seeds for longer."""
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("aeon, which ships the sets, is not installed")
    module = runpy.run_path(str(EXAMPLES / "signals.py"))
    results = module["main"](sets=["ItalyPowerDemand"], models=["fcn"], seeds=2, epochs=20)
    (mean, _, together), *_ = results.values()
    assert mean > 93
    assert together > 93


def test_the_example_of_signals_runs_on_any_set(tmp_path, capsys):
    header = "@timeStamps false\n@classLabel true up down\n@data\n"
    rows = [",".join(str(sign * step / 9) for step in range(10)) for sign in (1, -1)]
    for part in ("TRAIN", "TEST"):
        folder = tmp_path / "Slopes"
        folder.mkdir(exist_ok=True)
        lines = [f"{row}:{label}\n" for row, label in zip(rows, ("up", "down"), strict=True)] * 4
        (folder / f"Slopes_{part}.ts").write_text(header + "".join(lines))
    module = runpy.run_path(str(EXAMPLES / "signals.py"))
    picture = tmp_path / "maps.png"
    results = module["main"](
        tmp_path, sets=["Slopes"], models=["fcn"], seeds=1, epochs=1, features=2, picture=picture
    )
    assert results.keys() == {("Slopes", "fcn")}
    assert "Slopes" in capsys.readouterr().out
    assert picture.stat().st_size > 1000


def test_every_example_is_run():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    # tests/peers/test_faces.py compares the faces with those that facenet-pytorch finds.
    assert names == {
        "coins",
        "digit_detector",
        "digits",
        "own_training_loop",
        "own_module",
        "faces",
        "fine_tune",
        "moving_digits",
        "signals",
        "find_face",
    }

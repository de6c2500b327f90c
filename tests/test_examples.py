"""The examples run; test_documents.py runs the one of the README."""

import csv
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.implicit_promotion
EXAMPLES = Path(__file__).parent.parent / "examples"


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
    assert means["U-Net"] > 0.5
    assert picture.stat().st_size > 10_000


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
    }

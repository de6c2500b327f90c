"""The study of the digits in folds against scikit-learn's own cross-validation."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.svm import SVC

import jaxcnn as cnn
from jaxcnn.recipes import reading

EXAMPLES = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import digits_folds

    yield digits_folds
    del sys.modules["digits_folds"]


def test_the_classic_model_is_judged_as_by_its_own_library(study, capsys):
    digits = cnn.data.load("digits", split="all")
    numbers = np.arange(len(digits), dtype=np.uint16)
    rows = cnn.Dataset(numbers.view(np.uint8).reshape(-1, 1, 1, 2), digits.labels)
    fold = np.empty(len(digits), int)
    for number, (_, held_out) in enumerate(cnn.data.k_fold(rows, study.FOLDS, seed=3)):
        fold[held_out.images.view(np.uint16).ravel()] = number
    scores = cross_val_score(
        SVC(gamma=0.001 * (16 / 255) ** 2, C=10), digits.images.reshape(len(digits), -1),
        digits.labels, cv=PredefinedSplit(fold),
    )  # fmt: skip
    study.report("SVC", study.support_vectors, [3])
    share = np.average(scores, weights=np.bincount(fold))
    assert f"SVC: seed 3, {share:.2%}\n" in capsys.readouterr().out
    assert share > 0.985


@pytest.mark.long
def test_a_recipe_is_trained_and_judged_in_each_fold(study, monkeypatch, capsys):
    monkeypatch.setattr(study, "FOLDS", 2)
    options = [
        "model.name=tiny_cnn",
        "data.image_size=[8, 8]",
        "training.epochs=6",
        "optimizer.learning_rate=0.01",
    ]
    study.report("tiny", study.by_recipe(reading.read("digits", assignments=options)), [0, 1])
    *seeds, last = capsys.readouterr().out.splitlines()
    shares = [float(line.split()[-1][:-1]) for line in seeds]
    assert len(shares) == 2
    assert min(shares) > 80
    mean, deviation = np.mean(shares), np.std(shares, ddof=1)
    assert last.startswith("tiny: ")
    told = [float(word.rstrip("%,")) for word in last.split()[1:4:2]]
    np.testing.assert_allclose(told, [mean, deviation], atol=0.02)

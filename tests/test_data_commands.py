"""The command line for data sets, through real processes."""

import os

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn


def test_list_names_every_set(run_cli, tmp_path):
    result = run_cli("data", "list", "--data-dir", tmp_path)
    assert result.returncode == 0
    header, digits, *others = result.stdout.splitlines()
    assert header.split() == ["name", "images", "classes", "download", "prepared"]
    assert digits.split()[:3] == ["digits", "1,797", "10"]
    assert [line.split()[0] for line in others] == cnn.data.available()
    assert "mnist            70,000       10     11.6 MB  no" in result.stdout
    assert result.stderr == ""
    assert not list(tmp_path.iterdir())


def test_info_of_the_digits_draws_a_picture(run_cli, tmp_path):
    picture = tmp_path / "digits.png"
    result = run_cli("data", "info", "digits", "--picture", picture)
    assert result.stdout.splitlines() == [
        "digits",
        "train     1,442 images of 8×8×1",
        "test      355 images of 8×8×1",
        "classes   10: 0…9",
        f"examples  {picture}",
    ]
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_info_of_an_archive(run_cli, tmp_path):
    path = tmp_path / "pets.npz"
    images = np.zeros((12, 5, 4, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(12) % 2, class_names=["cat", "dog"])
    result = run_cli("data", "info", path)
    assert result.stdout.splitlines() == [
        str(path),
        "train     10 images of 5×4×3",
        "test      2 images of 5×4×3",
        "classes   2: cat, dog",
    ]


def test_info_of_numbers_to_predict(run_cli, tmp_path):
    path = tmp_path / "ages.npz"
    np.savez(path, images=np.zeros((12, 5, 4, 3), np.uint8), labels=np.zeros((12, 2)))
    result = run_cli("data", "info", path)
    assert result.stdout.splitlines()[-1] == "labels    2 numbers for each image"
    result = run_cli("train", "--data", path, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "jaxcnn train needs one class per image" in result.stderr
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def folder(tmp_path):
    """Pictures of several sizes in a folder for each class."""
    root, random = tmp_path / "pets", np.random.default_rng(0)
    for name, colour in (("cat", (160, 40, 40)), ("dog", (40, 40, 160))):
        (root / name).mkdir(parents=True)
        for number in range(20):
            size = *random.integers(20, 50, 2), 3
            pixels = colour + random.integers(-20, 20, size)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


def test_a_folder_is_described_drawn_trained_on_and_evaluated(run_cli, folder, tmp_path):
    result = run_cli("data", "info", folder, "--picture", tmp_path / "pets.png")
    assert result.stdout.splitlines() == [
        str(folder),
        "train     32 pictures",
        "test      8 pictures",
        "classes   2: cat, dog",
        f"examples  {tmp_path / 'pets.png'}",
    ]
    out = tmp_path / "cifar.png"
    result = run_cli("data", "show", folder, "--augment", "cifar", "--out", out)
    assert (result.stdout, result.stderr) == (f"The picture is {out}\n", "")
    options = ["--data", folder, "--epochs", "15", "--batch-size", "16", "--out", tmp_path / "run"]
    result = run_cli("train", *options)
    assert "Training on 32 images" in result.stdout
    assert "100.00% of 8 test images right" in result.stdout
    assert "accuracy  100.00%" in run_cli("evaluate", tmp_path / "run").stdout
    result = run_cli("predict", tmp_path / "run", folder / "dog" / "1.png")
    assert result.stdout.split()[1] == "dog"


def test_help_lists_the_commands(run_cli):
    result = run_cli("data")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("list", "info", "prepare"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "mnits"], "there is no data set 'mnits'. Did you mean 'mnist'?"),
        (["info", "digits", "--picture", "sheet.docx"], "Format 'docx' is not supported"),
        (["info", "mnist", "--picture", "sheet.png"], "Prepare it once: jaxcnn data prepare mnist"),
        (["prepare", "digit"], "there is no data set 'digit'. Known: mnist,"),
        (["prepare", "mnist", "--from", "nowhere"], "there is no folder 'nowhere'"),
        (["prepare", "mnist", "--from", "."], "the folder '.' lacks train-images-idx3-ubyte.gz"),
        (["prepare", "mnist", "--mirror", "here"], "mirror must start with http:// or https://"),
        (["prepare", "mnist", "--mirror", "http://127.0.0.1:9"], "Connection refused. Without a"),
        (["prepare", "mnist", "--data-dir", "file"], "file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(run_cli, tmp_path, monkeypatch, arguments, message):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delitem(os.environ, name, raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "file").touch()
    result = run_cli("data", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1

"""The command line for data sets."""

import os
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import jaxcnn as cnn
from jaxcnn.cli import data_commands
from jaxcnn.data.decoding.record_decoding import Records


def test_list_names_every_set(call_cli, tmp_path):
    result = call_cli("data", "list", "--data-dir", tmp_path)
    assert result.returncode == 0
    header, digits, *others = result.stdout.splitlines()
    assert header.split() == ["name", "images", "classes", "download", "prepared"]
    assert digits.split()[:3] == ["digits", "1,797", "10"]
    assert [line.split()[0] for line in others] == cnn.data.available()
    assert "mnist            70,000       10     11.6 MB  no" in result.stdout
    assert result.stderr == ""
    assert not list(tmp_path.iterdir())


def test_info_of_the_digits_draws_a_picture(call_cli, tmp_path):
    picture = tmp_path / "digits.png"
    result = call_cli("data", "info", "digits", "--plot", picture)
    assert result.stdout.splitlines() == [
        "digits",
        "train     1,442 images of 8×8×1",
        "test      355 images of 8×8×1",
        "classes   10: 0…9",
        f"examples  {picture}",
    ]
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_info_of_an_archive(call_cli, tmp_path):
    path = tmp_path / "pets.npz"
    images = np.zeros((12, 5, 4, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(12) % 2, class_names=["cat", "dog"])
    result = call_cli("data", "info", path)
    assert result.stdout.splitlines() == [
        str(path),
        "train     10 images of 5×4×3",
        "test      2 images of 5×4×3",
        "classes   2: cat, dog",
    ]


def test_info_of_numbers_to_predict(call_cli, tmp_path):
    path = tmp_path / "ages.npz"
    np.savez(path, images=np.zeros((12, 5, 4, 3), np.uint8), labels=np.zeros((12, 2)))
    result = call_cli("data", "info", path)
    assert result.stdout.splitlines()[-1] == "labels    2 numbers for each image"


@pytest.fixture
def folder(tmp_path):
    """Pictures of several sizes in a folder for each class."""
    root, random = tmp_path / "pets", np.random.default_rng(0)
    for name, color in (("cat", (160, 40, 40)), ("dog", (40, 40, 160))):
        (root / name).mkdir(parents=True)
        for number in range(20):
            size = *random.integers(20, 50, 2), 3
            pixels = color + random.integers(-20, 20, size)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_a_folder_is_described_drawn_trained_on_and_evaluated(call_cli, folder, tmp_path):
    result = call_cli("data", "info", folder, "--plot", tmp_path / "pets.png")
    assert result.stdout.splitlines() == [
        str(folder),
        "train     32 pictures",
        "test      8 pictures",
        "classes   2: cat, dog",
        f"examples  {tmp_path / 'pets.png'}",
    ]
    out = tmp_path / "cifar.png"
    result = call_cli("data", "show", folder, "--augment", "cifar", "--out", out)
    assert (result.stdout, result.stderr) == (f"The plot is in {out}\n", "")
    options = ["--data", folder, "--epochs", "15", "--batch-size", "16", "--out", tmp_path / "run"]
    result = call_cli("train", *options)
    assert "Training on 32 images" in result.stdout
    assert "100.00% of 8 test images correct" in result.stdout
    assert "accuracy  100.00%" in call_cli("evaluate", tmp_path / "run").stdout
    result = call_cli("predict", tmp_path / "run", folder / "dog" / "1.png")
    assert result.stdout.split()[1] == "dog"


def picture_files(root, *classes, count=6):
    """Write gray pictures of several sizes into a folder for each class."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (8 + number, 9), 40 * number).save(root / name / f"{number}.png")
    return root


@pytest.mark.long
def test_info_and_show_of_whatever_load_takes(tmp_path, prepare_tfds, capsys, monkeypatch):
    """Run in this process, for there are many: every kind of source, with splits of every kind."""
    monkeypatch.chdir(tmp_path)
    picture_files(tmp_path / "parts" / "Train", "cat", "dog")
    picture_files(tmp_path / "parts" / "validation", "dog", count=2)
    picture_files(tmp_path / "digits", "cat", "dog", count=10)
    (tmp_path / "digits" / "cat" / "0.png").write_text("words")
    np.savez("few.npz", images=np.zeros((3, 8, 8, 1), np.uint8), labels=np.arange(3) % 2)
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["a", "b"])}
    examples = [{"image": Image.new("RGB", (8, 8 + row)), "label": row % 2} for row in range(10)]
    prepare_tfds("petals", "1.0.0", {"train": examples}, features, tmp_path)
    capsys.readouterr()
    sheet, two = tmp_path / "sheet.png", "classes   2: cat, dog"
    for name, data_dir, lines in [
        ("parts", None, ["train     12 pictures", "validation  2 pictures", two]),
        ("./digits", None, ["train     16 pictures", "test      4 pictures", two]),
        ("digits", None, ["train     1,442 images of 8×8×1", "test      355 images of 8×8×1",
                          "classes   10: 0…9"]),
        ("few.npz", None, ["train     3 images of 8×8×1", "test      0 images of 8×8×1",
                           "classes   2: 0…1"]),
        ("petals", tmp_path, ["train     10 pictures", "classes   2: a, b"]),
    ]:  # fmt: skip
        options = {"on_error": "skip", "data_dir": data_dir}
        with pytest.warns(match="of 16 .* left out") if name == "./digits" else nullcontext():
            data_commands.info(name, plot=sheet, **options)
        assert capsys.readouterr().out.splitlines() == [name, *lines, f"examples  {sheet}"]
        sheet.unlink()
        with pytest.warns(match="of 2 .* left out") if name == "./digits" else nullcontext():
            data_commands.show(name, "none", sheet, images=2, image_size=None, seed=0, **options)
        assert capsys.readouterr().out == f"The plot is in {sheet}\n"
        sheet.unlink()
    assert not [path for path in tmp_path.rglob("*") if "jaxcnn-cache" in path.name]


def test_only_what_is_drawn_is_decoded(tmp_path, monkeypatch):
    root = picture_files(tmp_path / "pets", "cat", "dog", count=100)
    read, rows = Records.read, []
    monkeypatch.setattr(Records, "read", lambda self, row: rows.append(row) or read(self, row))
    out = tmp_path / "a.png"
    data_commands.show(str(root), "none", out, 6, None, 0, "raise", None)
    assert sorted(rows) == [0, *range(6)]  # the first tells the shape


def test_help_lists_the_commands(call_cli):
    result = call_cli("data")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("list", "info", "prepare"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "mnits"], "data set 'mnits'. Did you mean 'mnist'?"),
        (["info", "digits", "--plot", "sheet.docx"], "Format 'docx' is not supported"),
        (["info", "mnist", "--plot", "sheet.png"], "Prepare it once: jaxcnn data prepare mnist"),
        (["prepare", "digit"], "there is no data set 'digit'. Known: mnist,"),
        (["prepare", "mnist", "--from", "nowhere"], "there is no folder 'nowhere'"),
        (["prepare", "mnist", "--from", "."], "the folder '.' lacks train-images-idx3-ubyte.gz"),
        (["prepare", "mnist", "--mirror", "here"], "mirror must start with http:// or https://"),
        (["prepare", "mnist", "--mirror", "http://127.0.0.1:9"], "Connection refused. Without a"),
        (["prepare", "mnist", "--data-dir", "file"], "file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(call_cli, tmp_path, monkeypatch, arguments, message):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delitem(os.environ, name, raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "file").touch()
    result = call_cli("data", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1

"""The switch: which source a name, a path or an object is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import load
from jaxcnn.data.sources import find_source


def contents(count=12):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (count, 5, 4, 3), np.uint8),
        "labels": np.arange(count) % 2,
    }


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("digits", "digits"),
        ("pets.npz", "archive"),
        (Path("pets.NPZ"), "archive"),
        (".", "folder"),
        (Path("."), "folder"),
        ("mnist", "tfds"),
        ("emnist/letters", "tfds"),
        ((np.zeros(1), np.zeros(1)), "arrays"),
        ({"images": [], "labels": []}, "arrays"),
        ({"x_train": [], "y_train": []}, "arrays"),
        ("x_train.npy", "archive"),
        ({"train": []}, "records"),
        ([], "records"),
        (np.zeros(3), "records"),
    ],
    ids=str,
)
def test_every_kind_of_source_is_found(source, kind):
    assert kind == find_source(source).KIND


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("digit", "Did you mean 'digits'?"),
        ("fashion_mnis", "Did you mean 'fashion_mnist'?"),
        ("emnist/lettrs", "Did you mean 'emnist/letters'?"),
        ("mnist:9.9.9", "Did you mean 'mnist'?"),
        ("oxford_flowers10", "Did you mean 'oxford_flowers102'?"),
        ("petz", "Did you mean 'pets'?"),
        ("./petz", "Did you mean 'pets'?"),
        ("{0}/petz", "Did you mean '{0}/pets'?"),
        (Path("petz"), "Did you mean 'pets'?"),
        ("~/petz", "Known: digits, mnist, "),
        ("my-pets", "Did you mean 'pets'?"),
        ("pets.zip", "Did you mean 'pets'?"),
        ("flowers.npx", "Did you mean 'flowers.npz'?"),
        ("huggingface:mnist", "Known: digits, mnist, "),
        ("", "Known: digits, mnist, "),
        ("qqqqqq", "Known: digits, mnist, "),
    ],
)
def test_unknown_names(tmp_path, monkeypatch, source, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    (tmp_path / "flowers.npz").touch()
    if isinstance(source, str):
        source = source.format(tmp_path)
    with pytest.raises(ValueError, match=r"^there is no folder, .npz archive or data") as caught:
        load(source)
    assert f" {str(source)!r}. {hint.format(tmp_path)}" in str(caught.value)


def test_names_of_folders_and_archives(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "SET.npz", **contents())
    (tmp_path / "SET.npz").rename(tmp_path / "SET.NPZ")
    for name in ("digits", "mnist"):
        (tmp_path / name / "a").mkdir(parents=True)
        for number in range(5):
            Image.new("L", (3, 3)).save(tmp_path / name / "a" / f"{number}.png")
    assert len(load("SET.NPZ", split="all")) == len(load("~/SET.NPZ", split="all")) == 12
    for folder in ("./digits", "~/digits", Path("digits"), "mnist"):
        assert len(load(folder, split="all")) == 5
    assert len(load("digits", split="all")) == 1797
    assert load(Path("mnist"), data_dir=tmp_path).image_shape == (3, 3, 1)
    with pytest.raises(ValueError, match="'mnist' is not prepared"):
        load("mnist", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("set.mat", r"MATLAB's format, which scipy.io.loadmat .*: pass \(images, labels\)"),
        (
            "set.h5",
            "HDF5, which h5py.File reads: pass .*, or save them by np.savez",
        ),
        ("set.zip", "packed: unpack it and pass the folder$"),
        ("photo.png", "which is of another form: pass"),
    ],
)
def test_files_of_other_forms_are_named_with_the_way_to_read_them(tmp_path, name, way):
    (tmp_path / name).write_bytes(b"MATLAB 5.0")
    with pytest.raises(ValueError, match=way):
        load(tmp_path / name)

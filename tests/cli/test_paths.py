"""Runs are used from any folder, and the lines to copy can be pasted into a shell."""

import json
import shlex
import shutil

import numpy as np
import pytest

from jaxcnn import recipes
from jaxcnn.training import run_folder

pytestmark = pytest.mark.implicit_promotion


def test_a_run_is_used_from_another_folder(tmp_path, monkeypatch, call_cli):
    project, elsewhere = tmp_path / "my project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12, 1)).astype(np.uint8)
    np.savez(project / "set.npz", images=images, labels=np.arange(20) % 2)
    monkeypatch.chdir(project)
    changes = [
        "model.name=tiny_cnn", "data.source=set.npz", "data.image_size=[12, 12]",
        "training.batch_size=8", "training.epochs=1",
    ]  # fmt: skip
    recipes.train("digits", "runs/first", assignments=changes, progress=False)
    assert "set.npz  1/1" in call_cli("runs").stdout
    expected = call_cli("evaluate", "runs/first").stdout
    monkeypatch.chdir(elsewhere)
    assert call_cli("evaluate", project / "runs" / "first").stdout == expected
    # A run that names its data relative to where it was made.
    description = project / "runs" / "first" / "run.json"
    described = json.loads(description.read_text(encoding="utf-8"))
    described["data"]["source"] = "set.npz"
    description.write_text(json.dumps(described), encoding="utf-8")
    result = call_cli("evaluate", project / "runs" / "first")
    assert result.stdout == expected, result.stderr
    shutil.move(project / "set.npz", project / "other.npz")
    result = call_cli("evaluate", project / "runs" / "first")
    assert (result.returncode, result.stderr) == (2, "Error: there is no file 'set.npz'\n")


def test_a_line_to_copy_is_quoted(tmp_path, call_cli):
    folder = tmp_path / "two  words; $HOME"
    (folder / "checkpoints" / "1").mkdir(parents=True)
    (folder / "recipe.toml").write_text("version = 2\n", encoding="utf-8")
    line = run_folder.resume_command(folder)
    assert shlex.split(line) == ["jaxcnn", "train", "--resume", str(folder)]
    for command in (("evaluate", folder), ("train", "--model", "tiny_cnn", "--out", folder)):
        assert line in call_cli(*command).stderr


def test_an_unknown_path_does_not_list_the_files_there(tmp_path, monkeypatch, call_cli):
    for number in range(30):
        (tmp_path / f"secret-{number}").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("pets", "./pets/photos"):
        result = call_cli("data", "info", name)
        assert result.returncode == 2
        assert "secret" not in result.stderr
    assert f"The current folder is {str(tmp_path)!r}" in result.stderr


def test_the_name_of_a_set_is_no_path_around_a_run(tmp_path, monkeypatch):
    """``jaxcnn train --out runs/digits`` makes a folder that has the name of the set."""
    run = tmp_path / "runs" / "digits"
    run.mkdir(parents=True)
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(run)
    assert run_folder.locate_data("digits", run) == "digits"
    assert run_folder.locate_data("mnist", run) == "mnist"
    assert run_folder.locate_data("pets", run) == str(tmp_path / "pets")
    assert run_folder.locate_data("digits-2", run.with_name("digits-2")) == "digits-2"

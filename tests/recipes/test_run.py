"""Runs as folders: round trip, what comes when, damage."""

import contextlib
import json

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import jaxcnn as cnn
from jaxcnn.data.pictures import Framing
from jaxcnn.recipes import run as runs
from jaxcnn.recipes.schema import Recipe
from jaxcnn.recipes.toml_options import dump
from jaxcnn.training.callbacks import write_history
from jaxcnn.training.folder_lock import locked
from jaxcnn.training.history import Epoch

HISTORY = (
    Epoch(1, 0.5, 0.75, 100.0, 1.0),
    Epoch(2, 0.25, 0.875, 120.0, 0.8, 0.3, 0.9, skipped=2, metrics={"top-2": 0.95}),
)


@pytest.fixture
def model():
    return cnn.models.create("mnist_cnn", num_classes=3).build((28, 28, 1), rngs=nnx.Rngs(7))


@pytest.fixture
def run():
    return runs.Run(
        model="mnist_cnn",
        options={"num_classes": 3},
        input_shape=(28, 28, 1),
        class_names=("circle", "square", "été"),
        framing=Framing((8, 8, 1), 0.0, 0.7, 255.0, 0.2),
        data={"source": "digits", "data_dir": None},
        training={"seed": 0},
        metrics={"accuracy": 0.9},
    )


@pytest.fixture
def folder(tmp_path, model, run):
    with runs.begun(tmp_path / "run", Recipe()):
        save_something(tmp_path / "run")
        runs.finish(tmp_path / "run", run, model)
    return tmp_path / "run"


def save_something(folder, step=1):
    """Stands for a checkpoint, without which nothing can go on."""
    (folder / "checkpoints" / str(step)).mkdir(parents=True)


def test_round_trip(folder, model, run):
    assert runs.describe(folder) == run
    assert runs.read_recipe(folder) == Recipe()
    loaded = runs.load(folder)
    images = jax.random.normal(jax.random.key(0), (2, 28, 28, 1))
    np.testing.assert_array_equal(loaded(images), model(images))


def test_weights_are_what_other_tools_read(folder, model):
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    names = [
        f"{layer}.{kind}"
        for layer in ("conv_1", "conv_2", "conv_3", "dense_1")
        for kind in ("bias", "kernel")
    ]
    assert sorted(weights) == names
    np.testing.assert_array_equal(weights["conv_1.kernel"], model.conv_1.kernel[...])


def test_the_history_is_what_other_tools_read(tmp_path):
    write_history(tmp_path / "history.csv", HISTORY)
    header, first, second = (tmp_path / "history.csv").read_text().splitlines()
    assert header.startswith("epoch,loss,accuracy")
    assert first == "1,0.5,0.75,100.0,1.0,,,,,0,"
    assert second == "2,0.25,0.875,120.0,0.8,0.3,0.9,,,2,0.95"
    assert runs.read_history(tmp_path) == HISTORY


@pytest.mark.parametrize("text", ["epoch,loss\n1,much\n", "epoch\n1\n", "\x00\n1\n"])
def test_a_damaged_history_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"history\.csv' cannot be read"):
        runs.read_history(tmp_path)
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv' is damaged"):
        runs.read_history(tmp_path)


def test_an_error_before_the_first_checkpoint_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), runs.begun(tmp_path / "a", Recipe()):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_an_error_after_a_checkpoint_leaves_what_can_go_on(tmp_path):
    with contextlib.suppress(RuntimeError), runs.begun(tmp_path / "a", Recipe()):
        save_something(tmp_path / "a")
        raise RuntimeError
    assert runs.read_recipe(tmp_path / "a") == Recipe()
    assert runs.can_go_on(tmp_path / "a")
    message = "the run in .* has not ended. Go on with it: jaxcnn train --resume .*a"
    with pytest.raises(ValueError, match=message):
        runs.load(tmp_path / "a")
    with pytest.raises(ValueError, match=r"exists already.*It has not ended: --resume goes on"):
        runs.check_new_folder(tmp_path / "a")


def test_an_overwritten_run_is_put_aside_until_the_new_one_lasts(folder, model, run):
    before = (folder / "run.json").read_bytes()
    with runs.begun(folder, Recipe(), overwrite=True):
        assert not (folder / "run.json").exists()
        assert (folder.with_name(".run.old") / "run.json").read_bytes() == before
        save_something(folder)
        runs.finish(folder, run._replace(training={"seed": 1}), model)
    assert runs.describe(folder).training == {"seed": 1}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_failed_overwrite_keeps_the_old_run(folder):
    before = (folder / "run.json").read_bytes()
    with pytest.raises(RuntimeError), runs.begun(folder, Recipe(), overwrite=True):
        raise RuntimeError
    assert (folder / "run.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_after_an_overwrite_that_was_killed_early_the_old_run_is_the_one_kept(folder):
    before = (folder / "run.json").read_bytes()
    folder.rename(folder.with_name(".run.old"))
    folder.mkdir()
    (folder / "recipe.toml").write_text(dump(Recipe()), encoding="utf-8")
    with pytest.raises(RuntimeError), runs.begun(folder, Recipe(), overwrite=True):
        raise RuntimeError
    assert (folder / "run.json").read_bytes() == before


def test_existing_folders_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="exists already"), runs.begun(folder, Recipe()):
        pytest.fail("it was entered")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="is not a run"):
        runs.check_new_folder(tmp_path / "mine", overwrite=True)


def test_a_run_in_use_is_not_overwritten(folder):
    lock = locked(folder)
    with pytest.raises(ValueError, match="is in use: another process trains in it"):
        runs.check_new_folder(folder, overwrite=True)
    lock.release()
    runs.check_new_folder(folder, overwrite=True)


def test_missing_run(tmp_path):
    with pytest.raises(ValueError, match=r"there is no run in .*: it has no run\.json"):
        runs.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "{}", '{"model": 3}', "\x00\x01"])
def test_damaged_description(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json.* is damaged"):
        runs.load(folder)


def test_description_without_a_field(folder):
    fields = json.loads((folder / "run.json").read_text())
    del fields["framing"]
    (folder / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="damaged: KeyError"):
        runs.describe(folder)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors.* cannot be read"):
        runs.load(folder)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_flipped_byte_is_found(folder, place):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors.* is damaged"):
        runs.load(folder)


def test_truncated_weights_are_found(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        runs.load(folder)


def test_weights_of_another_model(folder):
    fields = json.loads((folder / "run.json").read_text())
    fields["options"]["num_classes"] = 4
    (folder / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"does not hold the weights of 'mnist_cnn'.*dense_1"):
        runs.load(folder)

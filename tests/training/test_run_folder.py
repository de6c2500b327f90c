"""Runs as folders: round trip, what comes when, damage."""

import contextlib
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder
from jaxcnn.training.folder_lock import acquire_lock
from jaxcnn.training.history import Epoch
from jaxcnn.training.history_file import read_history, write_history

RECIPE = "version = 1\n"
HISTORY = (
    Epoch(1, 0.5, 0.75, 100.0, 1.0),
    Epoch(2, 0.25, 0.875, 120.0, 0.8, 0.3, 0.9, skipped=2, metrics={"top-2": 0.95}),
)


@pytest.fixture
def model():
    return cnn.models.create("mnist_cnn", num_classes=3).build((28, 28, 1), rngs=nnx.Rngs(7))


@pytest.fixture
def run():
    return run_folder.Run(
        model="mnist_cnn",
        options={"num_classes": 3},
        input_shape=(28, 28, 1),
        class_names=("circle", "square", "été"),
        framing=Framing((8, 8, 1), 0.0, 0.7, 255.0, 0.2),
        data={"source": "digits", "data_dir": None},
        metrics={"accuracy": 0.9},
    )


@pytest.fixture
def folder(tmp_path, model, run):
    with run_folder.start_run(tmp_path / "run", RECIPE):
        save_something(tmp_path / "run")
        run_folder.finish_run(tmp_path / "run", run, model)
    return tmp_path / "run"


def save_something(folder, step=1):
    """Stands for a checkpoint, without which nothing can go on."""
    (folder / "checkpoints" / str(step)).mkdir(parents=True)


def test_round_trip(folder, model, run):
    assert run_folder.read_run(folder) == run
    assert (folder / "recipe.toml").read_text() == RECIPE
    loaded = run_folder.load(folder)
    images = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype(np.float32)
    outputs = nnx.jit(lambda model: model(images))
    np.testing.assert_array_equal(outputs(loaded), outputs(model))


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
    assert first == "1,0.5,0.75,100.0,1.0,,,,,,,,0,"
    assert second == "2,0.25,0.875,120.0,0.8,0.3,0.9,,,,,,2,0.95"
    assert read_history(tmp_path) == HISTORY


@pytest.mark.parametrize("text", ["epoch,loss\n1,much\n", "epoch\n1\n", "\x00\n1\n"])
def test_a_damaged_history_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"history\.csv' cannot be read"):
        read_history(tmp_path)
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=r"history\.csv' is damaged"):
        read_history(tmp_path)


def test_an_error_before_the_first_checkpoint_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), run_folder.start_run(tmp_path / "a", RECIPE):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_an_error_after_a_checkpoint_leaves_what_can_go_on(tmp_path):
    with contextlib.suppress(RuntimeError), run_folder.start_run(tmp_path / "a", RECIPE):
        save_something(tmp_path / "a")
        raise RuntimeError
    assert (tmp_path / "a" / "recipe.toml").read_text() == RECIPE
    assert run_folder.can_resume(tmp_path / "a")
    message = "the run in .* has not ended. Resume it: jaxcnn train --resume .*a"
    with pytest.raises(ValueError, match=message):
        run_folder.load(tmp_path / "a")
    with pytest.raises(
        ValueError, match=r"exists already.*It is unfinished. Resume it: jaxcnn train --resume "
    ):
        run_folder.check_new_folder(tmp_path / "a")


def test_an_overwritten_run_is_put_aside_until_the_new_one_lasts(folder, model, run):
    before = (folder / "run.json").read_bytes()
    with run_folder.start_run(folder, RECIPE, overwrite=True):
        assert not (folder / "run.json").exists()
        assert (folder.with_name(".run.old") / "run.json").read_bytes() == before
        save_something(folder)
        run_folder.finish_run(folder, dataclasses.replace(run, metrics={"accuracy": 0.8}), model)
    assert run_folder.read_run(folder).metrics == {"accuracy": 0.8}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_failed_overwrite_keeps_the_old_run(folder):
    before = (folder / "run.json").read_bytes()
    with pytest.raises(RuntimeError), run_folder.start_run(folder, RECIPE, overwrite=True):
        raise RuntimeError
    assert (folder / "run.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_after_an_overwrite_that_was_killed_early_the_old_run_is_the_one_kept(folder):
    before = (folder / "run.json").read_bytes()
    folder.rename(folder.with_name(".run.old"))
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    with pytest.raises(RuntimeError), run_folder.start_run(folder, RECIPE, overwrite=True):
        raise RuntimeError
    assert (folder / "run.json").read_bytes() == before


def test_existing_folders_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="exists already"), run_folder.start_run(folder, RECIPE):
        pytest.fail("it was entered")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="is not a run"):
        run_folder.check_new_folder(tmp_path / "mine", overwrite=True)


def test_a_run_in_use_is_not_overwritten(folder):
    lock = acquire_lock(folder)
    with pytest.raises(ValueError, match="is in use: another process trains in it"):
        run_folder.check_new_folder(folder, overwrite=True)
    lock.release()
    run_folder.check_new_folder(folder, overwrite=True)


def test_missing_run(tmp_path):
    with pytest.raises(ValueError, match=r"there is no run in .*: it has no run\.json"):
        run_folder.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "{}", '{"model": 3}', "\x00\x01"])
def test_damaged_description(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json.* is damaged"):
        run_folder.load(folder)


def test_description_without_a_field(folder):
    fields = json.loads((folder / "run.json").read_text())
    del fields["framing"]
    (folder / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"is damaged: .* is missing"):
        run_folder.read_run(folder)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors.* cannot be read"):
        run_folder.load(folder)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_flipped_byte_is_found(folder, place):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.safetensors.* is damaged"):
        run_folder.load(folder)


def test_truncated_weights_are_found(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        run_folder.load(folder)


def test_weights_of_another_model(folder):
    other = cnn.models.create("mnist_cnn", num_classes=4).abstract((28, 28, 1))
    with pytest.raises(ValueError, match=r"does not hold the weights of the module.*dense_1"):
        cnn.load(folder, into=other)


class ByHand(nnx.Module):
    """A module that no registry knows."""

    def __init__(self, rngs):
        self.dense = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        return self.dense(x.reshape(len(x), -1))


@pytest.mark.implicit_promotion
def test_fit_leaves_a_run_that_loads_into_a_module(tmp_path, capsys):
    data = cnn.data.load("digits", image_size=8).take(slice(0, 100))
    model = ByHand(nnx.Rngs(0))
    folder = tmp_path / "run"
    result = cnn.fit(
        model, data, validation=data, epochs=1, batch_size=50, run=folder, progress=False
    )
    loaded = cnn.load(folder, into=ByHand(nnx.Rngs(1)))
    np.testing.assert_array_equal(loaded.dense.kernel[...], result.model.dense.kernel[...])
    run = run_folder.read_run(folder)
    assert run.class_names == data.class_names
    assert run.metrics["validation_loss"] == result.history[-1].validation_loss
    assert [path.name for path in run_folder.find_runs(tmp_path)] == ["run"]
    with pytest.raises(ValueError, match=r"hand-made module.*cnn\.load\(path, into=model\)"):
        cnn.load(folder)
    with pytest.raises(ValueError, match="does not hold the weights of the module"):
        cnn.load(folder, into=cnn.serial(cnn.dense(10)).build((64,), rngs=nnx.Rngs(0)))


def own_function(x):
    return x


@pytest.mark.implicit_promotion
def test_fit_leaves_a_run_that_describes_its_network(tmp_path):
    data = cnn.data.load("digits", image_size=8).take(slice(0, 50))
    network = cnn.serial(cnn.conv(2, 3), jax.nn.relu, cnn.flatten(), head=cnn.dense(10))
    own = cnn.serial(own_function, cnn.flatten(), cnn.dense(10))
    changed = network.build(data.image_shape, rngs=nnx.Rngs(0))
    changed.relu_1 = cnn.modules.Function(jnp.tanh)
    options = {"epochs": 1, "batch_size": 50, "progress": False}
    images = np.zeros((2, 8, 8, 1), np.uint8)

    built = network.build(data.image_shape, rngs=nnx.Rngs(0))
    result = cnn.fit(built, data, run=tmp_path / "network", **options)
    loaded = cnn.load(tmp_path / "network")
    assert repr(loaded.description) == repr(network)
    np.testing.assert_array_equal(cnn.predict(loaded, images), cnn.predict(result.model, images))
    for name, model in [("own", own.build(data.image_shape, rngs=nnx.Rngs(0))), ("new", changed)]:
        cnn.fit(model, data, run=tmp_path / name, **options)
        with pytest.raises(ValueError, match="hand-made module: pass one"):
            cnn.load(tmp_path / name)
        cnn.load(tmp_path / name, into=model)


def test_an_unfinished_run_of_fit_says_how_to_resume(tmp_path):
    write_history(tmp_path / "history.csv", HISTORY)
    with pytest.raises(ValueError, match=r"has not ended\. Resume it: call fit again"):
        cnn.load(tmp_path, into=ByHand(nnx.Rngs(0)))

"""Recipes trained from Python, into the same folders as those of the command line."""

import numpy as np
import pytest

import jaxcnn as cnn
from jaxcnn import recipes
from jaxcnn.training import run_folder

pytestmark = pytest.mark.implicit_promotion


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two classes, of dark and of bright images."""
    path = tmp_path_factory.mktemp("data") / "shades.npz"
    labels = np.arange(24) % 2
    images = np.full((24, 12, 12, 1), 20, np.uint8)
    images[labels == 1] = 220
    np.savez(path, images=images, labels=labels, class_names=["dark", "bright"])
    return path


def small(archive):
    return [
        "model.name=tiny_cnn", f"data.source={archive}", "training.batch_size=8",
        "data.image_size=[12, 12]", "data.augment=none", "training.epochs=1",
    ]  # fmt: skip


def test_a_recipe_is_trained_in_a_folder(archive, tmp_path, capsys):
    folder = tmp_path / "run"
    run = recipes.train("digits", folder, assignments=small(archive), progress=False)
    assert capsys.readouterr().out == ""
    assert run.folder == folder
    assert recipes.recipe_of_run(folder) == run.recipe
    assert run_folder.read_run(folder).metrics["accuracy"] == run.evaluation.accuracy
    assert [row.epoch for row in run.history] == [1]
    images = cnn.data.load(archive, image_size=12).images
    np.testing.assert_array_equal(
        cnn.predict(cnn.load(folder), images), cnn.predict(run.model, images)
    )
    with pytest.raises(ValueError, match="exists already"):
        recipes.train(run.recipe, folder)
    with pytest.raises(ValueError, match="has ended; there is nothing to resume"):
        recipes.resume(folder)


def test_a_plot_that_fails_does_not_cost_the_run(tmp_path):
    """Images of 2 channels cannot be shown; a class name is not a formula."""
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12, 2), np.uint8)
    names = ["$\\bad$", "b_$"]
    np.savez(tmp_path / "pairs.npz", images=images, labels=np.arange(20) % 2, class_names=names)
    with pytest.warns(UserWarning, match=r"worst_mistakes\.png' could not be drawn"):
        run = recipes.train(
            "digits", tmp_path / "run", assignments=small(tmp_path / "pairs.npz"), progress=False
        )
    drawn = sorted(path.name for path in (run.folder / "plots").iterdir())
    assert drawn == ["confusion_matrix.png", "learning_curves.png"]
    assert run_folder.read_run(run.folder).class_names == tuple(names)
    cnn.load(run.folder)


def test_an_interrupted_recipe_is_resumed(archive, tmp_path):
    def interrupt(event):
        if isinstance(event, cnn.training.EpochEnded) and len(event.history) == 2:
            raise RuntimeError("interrupted")

    changes = [*small(archive), "training.epochs=3", "training.checkpoint_every=1"]
    whole = recipes.train("digits", tmp_path / "whole", assignments=changes, progress=False)
    with pytest.raises(RuntimeError, match="interrupted"):
        recipes.train(
            "digits", tmp_path / "run", assignments=changes, callbacks=[interrupt], progress=False
        )
    resumed = recipes.resume(tmp_path / "run", progress=False)
    assert [row.loss for row in resumed.history] == [row.loss for row in whole.history]
    weights = [run_folder.read_weights(run.folder) for run in (whole, resumed)]
    assert weights[0].keys() == weights[1].keys()
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_finished_run_is_trained_on(schedule, archive, tmp_path, capsys):
    """With a constant rate to the very run that had been begun with more epochs."""
    changes = [*small(archive), f"optimizer.schedule={schedule}", "training.ema=0.9"]
    recipes.train(
        "digits", tmp_path / "run", assignments=[*changes, "training.epochs=1"], progress=False
    )
    with pytest.raises(ValueError, match="epochs must be more than the 1 of the run"):
        recipes.resume(tmp_path / "run", epochs=1)
    before = {file: file.read_bytes() for file in (tmp_path / "run").glob("r*.*")}

    def fail(event):
        if isinstance(event, cnn.training.Started):
            raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        recipes.resume(tmp_path / "run", epochs=3, callbacks=[fail], progress=False)
    assert {file: file.read_bytes() for file in (tmp_path / "run").glob("r*.*")} == before
    capsys.readouterr()
    longer = recipes.resume(tmp_path / "run", epochs=3)
    note = "From epoch 2 on the learning rate follows cosine over 3 epochs"
    assert (note in capsys.readouterr().out) == (schedule == "cosine")
    assert [row.epoch for row in longer.history] == [1, 2, 3]
    assert recipes.recipe_of_run(tmp_path / "run").training.epochs == 3
    whole = recipes.train(
        "digits", tmp_path / "whole", assignments=[*changes, "training.epochs=3"], progress=False
    )
    weights = [run_folder.read_weights(run.folder) for run in (whole, longer)]
    same = all(np.array_equal(array, weights[1][name]) for name, array in weights[0].items())
    assert same == (schedule == "constant")


def test_errors_come_before_long_work(tmp_path):
    with pytest.raises(ValueError, match=r"there is no recipe 'digit'\. Did you mean 'digits'"):
        recipes.train("digit", tmp_path / "run")
    with pytest.raises(ValueError, match="there is no run in"):
        recipes.resume(tmp_path / "run")
    assert not list(tmp_path.iterdir())

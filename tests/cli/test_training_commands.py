"""The commands that train and that look at runs."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jaxcnn import training
from jaxcnn.cli.app import app
from jaxcnn.recipes import recipe_of_run, running
from jaxcnn.recipes.reading import read
from jaxcnn.training import EpochEnded, fitting, run_folder
from jaxcnn.training.history_file import read_history

pytestmark = pytest.mark.implicit_promotion


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    np.savez(path, images=images, labels=np.arange(40) % 2, class_names=["cat", "dog"])
    return path


@pytest.fixture(scope="module")
def small(archive):
    return [
        "--model", "tiny_cnn", "--data", archive, "--epochs", 2, "--batch-size", 8,
        "--set", "data.image_size=[8, 8]", "--set", "model.options={features=4}",
    ]  # fmt: skip


def command(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return result.output


@pytest.fixture(scope="module")
def pair(small, tmp_path_factory):
    """A folder with two runs that differ in rate and seed."""
    folder = tmp_path_factory.mktemp("runs")
    command("train", *small, "--out", folder / "first")
    command(
        "train", *small, "--seed", 1, "--set", "optimizer.learning_rate=0.01",
        "--set", "training.ema=0.9", "--set", "training.metrics=['top-2']",
        "--set", "training.tensorboard=true", "--out", folder / "second",
    )  # fmt: skip
    return folder


def test_what_was_effective_is_kept_and_repeats_the_run(pair, tmp_path):
    recipe = recipe_of_run(pair / "second")
    assert recipe.optimizer.learning_rate == 0.01
    assert recipe.training.metrics == ("top-2",)
    assert recipe.data.image_size == (8, 8)
    command("train", pair / "second" / "recipe.toml", "--out", tmp_path / "again")
    again, first = (
        (folder / "model.safetensors").read_bytes()
        for folder in (tmp_path / "again", pair / "second")
    )
    assert again == first
    assert (pair / "first" / "model.safetensors").read_bytes() != first


def test_a_run_says_what_it_came_to(pair):
    metrics = run_folder.read_run(pair / "second").metrics
    assert metrics["examples"] == 8
    assert metrics["metrics"] == {"top-2": 1.0}
    assert list((pair / "second" / "tensorboard").glob("events.*"))
    assert not (pair / "first" / "tensorboard").exists()


def test_runs_lists_them(pair):
    header, *lines = command("runs", pair).splitlines()
    assert header.split() == ["run", "model", "data", "epochs", "loss", "accuracy", "seconds"]
    assert [line.split()[:2] for line in lines] == [["first", "tiny_cnn"], ["second", "tiny_cnn"]]
    loss, accuracy = lines[0].split()[4:6]
    tested = run_folder.read_run(pair / "first").metrics
    assert (float(loss), accuracy) == (
        pytest.approx(tested["loss"], abs=1e-4),
        f"{tested['accuracy']:.2%}",
    )


def test_runs_lists_damaged_ones_and_those_of_python_too(pair, tmp_path):
    shutil.copytree(pair, tmp_path, dirs_exist_ok=True)
    (tmp_path / "second" / "run.json").write_text("{", encoding="utf-8")
    (tmp_path / "third").mkdir()
    shutil.copy(pair / "first" / "history.csv", tmp_path / "third")
    _, first, second, third = command("runs", tmp_path).splitlines()
    assert "tiny_cnn" in first
    assert re.fullmatch(r"second +'.*run\.json' is damaged: Expecting property name.*", second)
    last = read_history(pair / "first")[-1]
    loss, accuracy = f"{last.validation_loss:.4f}", f"{last.validation_accuracy:.2%}"
    name, epochs, *measured, _, note = re.split("  +", third)
    assert (name, epochs, measured, note) == ("third", "2", [loss, accuracy], "has not ended")


def test_the_seconds_of_a_run_are_those_of_all_its_epochs(small, tmp_path, monkeypatch):
    """Not of the process alone that trained the last ones."""
    run_task = running.run_task

    def slow(*arguments, **options):
        result = run_task(*arguments, **options)
        history = tuple(dataclasses.replace(row, seconds=1000.0) for row in result.history)
        return dataclasses.replace(result, history=history)

    monkeypatch.setattr(running, "run_task", slow)
    assert "2000 s\n" in command("train", *small, "--out", tmp_path / "run")
    assert run_folder.read_run(tmp_path / "run").metrics["seconds"] == 2000.0


@pytest.mark.long
def test_a_fine_tuning_goes_on_without_the_run_that_it_began_from(pair, small, tmp_path):
    base, run = shutil.copytree(pair / "first", tmp_path / "base"), tmp_path / "run"
    command("train", "fine_tune", *small, "--set", f"model.weights={base}", "--out", run)
    weights = (run / "model.safetensors").read_bytes()
    (run / "run.json").unlink()
    shutil.rmtree(base)
    command("train", "--resume", run)
    assert (run / "model.safetensors").read_bytes() == weights


def test_compare_shows_what_differs(pair, tmp_path):
    picture = tmp_path / "curves.png"
    lines = command("compare", pair / "first", pair / "second", "--plot", picture).splitlines()
    cells = [re.split(r"  +", line) for line in lines]
    assert cells[0] == ["", "first", "second"]
    assert ["optimizer.learning_rate", "0.003", "0.01"] in cells
    assert ["training.seed", "0", "1"] in cells
    assert ["training.ema", "–", "0.9"] in cells
    assert not [row for row in cells if row[0] in ("model.name", "training.epochs")]
    history = [read_history(pair / name)[-1] for name in ("first", "second")]
    assert ["validation_loss", *(f"{row.validation_loss:.6g}" for row in history)] in cells
    assert ["top-2", "–", "1"] in cells
    with Image.open(picture) as image:
        assert image.size == (12.5 * 120, 504)


def test_recipes_are_listed_and_printed(tmp_path):
    assert re.search(r"^digits +The course's network", command("recipes"), re.MULTILINE)
    for name in ("digits", "cifar10_fast", "pictures"):
        text = command("recipes", name)
        (tmp_path / "own.toml").write_text(text, encoding="utf-8")
        assert read(tmp_path / "own.toml") == read(name)
    # Every option stands under a sentence that says what it is, those that are not set too.
    found = dict.fromkeys(re.findall(r"^# .*\n(?:# )?(\w+) =", text, re.MULTILINE))
    recipe = read("pictures")
    tables = [getattr(recipe, field.name) for field in dataclasses.fields(recipe)[2:]]
    options = {field.name for table in tables for field in dataclasses.fields(table)}
    assert options | {"version", "task"} == found.keys()


@pytest.mark.long
def test_find_learning_rate_suggests_and_draws(archive, tmp_path):
    picture = tmp_path / "rates.png"
    output = command(
        "find-learning-rate", "digits", "--set", "model.name=tiny_cnn", "--set",
        f"data.source={archive}", "--set", "training.batch_size=8", "--steps", 30, "--plot",
        picture,
    )  # fmt: skip
    assert re.match(r"learning rate  \d\.?\d*(e-\d+)?\n", output)
    assert picture.is_file()


def test_find_learning_rate_uses_the_optimizer_of_the_recipe(archive, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "jaxcnn.recipes.minimization.make_optimizer",
        lambda name, **options: (
            made.append((name, options)) or training.make_optimizer(name, **options)
        ),
    )
    command(
        "find-learning-rate", "digits", "--set", "model.name=tiny_cnn", "--set",
        f"data.source={archive}", "--set", "training.batch_size=8", "--set", "optimizer.name=sgd",
        "--set", "optimizer.momentum=0.5", "--set", "optimizer.weight_decay=0.01",
        "--set", "optimizer.clip_norm=2", "--set", "model.freeze=['conv_1.*']",
        "--plot", tmp_path / "rates.png",
    )  # fmt: skip
    name, options = made[-1]
    assert name == "sgd"
    assert float(options.pop("learning_rate")(0)) == pytest.approx(1e-6)  # the search's own
    assert options == {
        "weight_decay": 0.01, "momentum": 0.5, "betas": None, "clip_norm": 2.0,
        "frozen": ("conv_1.*",), "learning_rates": {}, "unfreeze": None,
    }  # fmt: skip


def test_a_stopped_training_resumes(call_cli, small, pair, tmp_path, monkeypatch):
    """SIGTERM after the first epoch saves the run; `--resume` ends as an undisturbed training."""

    def terminate(event):
        if isinstance(event, EpochEnded):
            os.kill(os.getpid(), signal.SIGTERM)

    def run_task(*arguments, callbacks, **options):
        return fitting.run_task(*arguments, callbacks=[*callbacks, terminate], **options)

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_task", run_task)
        result = call_cli("train", *small, "--out", "stopped", cwd=tmp_path)
    assert result.returncode == 128 + signal.SIGTERM
    assert "The training is saved. Resume it: jaxcnn train --resume stopped" in result.stdout
    assert "has not ended" in command("runs", tmp_path)
    assert len(read_history(tmp_path / "stopped")) == 1
    output = command("train", "--resume", tmp_path / "stopped")
    assert re.findall(r"epoch (\d+)/2  [\d,]+ images", output) == ["2"]
    again = command("train", "--resume", tmp_path / "stopped")
    assert "has ended; there is nothing to resume" in again
    stopped, whole = (
        (folder / "model.safetensors").read_bytes()
        for folder in (tmp_path / "stopped", pair / "first")
    )
    assert stopped == whole


@pytest.mark.long  # two processes and 300 epochs; the test above, with the signal from outside
def test_a_training_that_is_stopped_goes_on_where_it_was(small, archive, cache_folder, tmp_path):
    """As a user sees it: SIGTERM amid the training, then --resume, then a run like any other."""
    arguments = [*small, "--set", "training.epochs=150"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache_folder), "NO_COLOR": "1"}
    main = [sys.executable, "-c", "from jaxcnn.cli.app import main; main()"]
    process = subprocess.Popen(
        [*main, "train", *map(str, arguments), "--out", "stopped"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not process.stdout.readline().startswith("epoch 3/"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "The training is saved. Resume it: jaxcnn train --resume stopped" in output
    assert "has not ended" in command("runs", tmp_path)
    done = len(read_history(tmp_path / "stopped"))
    resumed = subprocess.run(
        [*main, "train", "--resume", "stopped"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    epochs = [int(number) for number in re.findall(r"epoch (\d+)/150  [\d,]+ images", resumed)]
    assert epochs == list(range(done + 1, 151))
    assert "has ended; there is nothing to resume" in command(
        "train", "--resume", tmp_path / "stopped"
    )
    command("train", *arguments, "--out", tmp_path / "whole")
    stopped, whole = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("stopped", "whole")
    )
    assert stopped == whole


BAD = [
    (["train", "--resume", "nowhere"], "there is no run in 'nowhere': it has no recipe.toml"),
    (
        ["train", "digits", "--resume", "runs/a", "--epochs", "3"],
        "no option can be changed but --epochs. Received: RECIPE",
    ),
    (
        ["train", "--resume", "runs/a", "--seed", "0", "--learning-rate", "0", "--overwrite"],
        "no option can be changed but --epochs. Received: --overwrite, --learning-rate, --seed",
    ),
    (["train", "--set", "epochs=3"], "'epochs' belongs to [training]"),
    (["train", "--set", "training.accumulate=3"], "accumulate must divide batch_size"),
    (["train", "--set", "training.monitor=validation_los"], "Did you mean 'validation_loss'?"),
    (["train", "own.toml"], "there is no file 'own.toml'"),
    (["train", "digit"], "there is no recipe 'digit'. Did you mean 'digits'?"),
    (["runs", "nowhere"], "there are no runs in 'nowhere'"),
    (["compare", "one"], "compare needs at least two runs"),
    (["compare", "one", "./one"], "compare needs different runs. Received: one, one"),
    (["compare", "one", "two"], "there is no run in 'one'"),
    (["recipes", "digit"], "there is no recipe 'digit'. Did you mean 'digits'?"),
    (["find-learning-rate", "--steps", "1"], "steps must be"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_mistakes_are_told(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        command(*arguments)
    assert not list(tmp_path.iterdir())


def test_a_failed_training_is_one_line_and_exit_code_1(call_cli, small, tmp_path):
    rate = ("--set", "optimizer.schedule=constant", "--set", "optimizer.learning_rate=1e30")
    result = call_cli("train", *small, *rate, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert re.fullmatch(r"Error: step \d+ .* is not finite\. First in .*\n", result.stderr)

"""The command line: one training in a process of its own, the rest in this one."""

import dataclasses
import json
import re

import numpy as np
import pytest
from flax import nnx
from PIL import Image, ImageDraw, ImageFont

import jaxcnn as cnn
from jaxcnn.cli import predict_commands, run_commands
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.training import run_folder


@pytest.fixture(scope="module")
def trained_run(run_cli, tmp_path_factory):
    """The folder of a run: the course's network, trained long enough to be good at it."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    result = run_cli("train", "--epochs", 10, "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.long
def test_train_writes_a_run(trained_run):
    files = {path.relative_to(trained_run).as_posix() for path in trained_run.glob("**/*.*")}
    assert {name for name in files if not name.startswith("checkpoints/")} == {
        "recipe.toml",
        "run.json",
        "model.safetensors",
        "history.csv",
        "plots/learning_curves.png",
        "plots/confusion_matrix.png",
        "plots/worst_mistakes.png",
    }
    described = json.loads((trained_run / "run.json").read_text())
    assert described["model"] == "mnist_cnn"
    recipe = cnn.recipes.recipe_of_run(trained_run)
    assert (recipe.training.seed, recipe.data.augment) == (0, "digits")
    assert described["metrics"]["accuracy"] > 0.97
    assert {"jax", "flax", "jaxcnn"} <= described["versions"].keys()
    assert len((trained_run / "history.csv").read_text().splitlines()) == 11
    assert [path.name for path in trained_run.parent.iterdir()] == ["digits"]


@pytest.mark.long
def test_compiled_programs_are_kept(trained_run, cache_folder):
    assert list((cache_folder / "jaxcnn").glob("jit_step-*"))


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_evaluate_repeats_the_result(trained_run, call_cli):
    described = json.loads((trained_run / "run.json").read_text())
    result = call_cli("evaluate", trained_run)
    assert result.returncode == 0
    assert "355 images" in result.stdout
    assert f"{described['metrics']['accuracy']:.2%}" in result.stdout


@pytest.fixture
def cat_run(tmp_path):
    """The folder of a run on ants, bees and cats, whose model takes everything for a cat."""
    model = cnn.models.create("mnist_cnn", num_classes=3).build((28, 28, 1), rngs=nnx.Rngs(0))
    model.dense_1.bias[...] = np.array([0, 0, 1000], np.float32)
    with run_folder.start_run(tmp_path / "run", "version = 1\n"):
        (tmp_path / "run" / "checkpoints" / "1").mkdir(parents=True)
        run = run_folder.Run(
            model="mnist_cnn",
            options={"num_classes": 3},
            input_shape=(28, 28, 1),
            class_names=("ant", "bee", "cat"),
            framing=Framing((28, 28, 1)),
            data={"source": str(tmp_path / "animals"), "test": "val", "on_error": "skip"},
            metrics={},
        )
        run_folder.finish_run(tmp_path / "run", run, model)
    return tmp_path / "run"


@pytest.mark.implicit_promotion
def test_evaluate_knows_classes_by_their_names(cat_run, tmp_path, monkeypatch, capsys):
    for name, count in (("train/ant", 1), ("val/ant", 1), ("val/cat", 3)):
        (tmp_path / "animals" / name).mkdir(parents=True)
        for number in range(count):
            mode = "RGB" if number else "L"
            Image.new(mode, (9, 9 + number)).save(tmp_path / "animals" / name / f"{number}.png")
    for data in (None, str(tmp_path / "animals")):
        run_commands.evaluate(cat_run, data, None, None, None, None)
        assert capsys.readouterr().out.splitlines()[::2] == [
            f"data      {tmp_path / 'animals'} (val, 4 images)",
            "accuracy  75.00%",
        ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "animals" / "val" / "cat").rename(tmp_path / "animals" / "val" / "cow")
    with pytest.raises(ValueError, match=r"classes \['ant', 'bee', 'cat'\]. Received: \['cow'\]"):
        run_commands.evaluate(cat_run, "animals", "all", "raise", None, tmp_path / "kept")
    (tmp_path / "animals" / "val" / "ant" / "0.png").write_text("words")
    with (
        pytest.warns(UserWarning, match="1 of 4 images"),
        pytest.raises(ValueError, match="'cow'"),
    ):
        run_commands.evaluate(cat_run, None, None, None, None, None)


@pytest.mark.implicit_promotion
def test_predict_answers_for_a_file_as_for_the_image_in_its_set(cat_run, tmp_path, capsys):
    digits = cnn.data.load("digits", split="test").take(slice(0, 3))
    model = cnn.models.create("mnist_cnn", num_classes=3).build((28, 28, 1), rngs=nnx.Rngs(1))
    framing = Framing.measure(cnn.data.load("digits"))
    run = dataclasses.replace(run_folder.read_run(cat_run), framing=framing)
    run_folder.finish_run(cat_run, run, model)
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, image in zip(files, digits.images[..., 0], strict=True):
        Image.fromarray(image).save(file)
    Image.fromarray(255 - digits.images[2, ..., 0]).save(tmp_path / "ink.png")
    predict_commands.predict([cat_run, *files, tmp_path / "ink.png"])
    *lines, ink = capsys.readouterr().out.splitlines()
    for line, row in zip(lines, cnn.predict(model, digits.resize(28).images), strict=True):
        assert line.split()[1:] == [run.class_names[row.argmax()], f"{row.max():.1%}"]
    assert ink.endswith("  (framed as the data set is: light background, not dark)")
    predict_commands.predict([cat_run, tmp_path / "ink.png"], frame=False)
    assert "framed" not in capsys.readouterr().out


@pytest.mark.long
def test_load_gives_the_trained_model(trained_run):
    test = cnn.data.load("digits", image_size=28, split="test")
    described = json.loads((trained_run / "run.json").read_text())
    evaluation = cnn.evaluate(cnn.load(trained_run), test)
    assert evaluation.accuracy == described["metrics"]["accuracy"]


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_predict_reads_drawn_digits(trained_run, call_cli, tmp_path):
    """Thick strokes and thin, dark on light and light on dark, large and small."""
    styles = [("white", "black", 260, 0), ("#102040", "#ffe060", 150, 4)]
    paths = []
    for digit in (0, 2, 3, 4, 5):
        for number, (ground, ink, size, stroke) in enumerate(styles):
            picture = Image.new("RGB", (200, 300), ground)
            ImageDraw.Draw(picture).text(
                (100, 150),
                str(digit),
                font=ImageFont.load_default(size),
                fill=ink,
                stroke_width=stroke,
                anchor="mm",
            )
            paths.append(tmp_path / f"{digit}-{number}.png")
            picture.save(paths[-1])
    result = call_cli("predict", trained_run, *paths)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[1] for line in lines] == [path.name[0] for path in paths]
    assert all(re.fullmatch(r"\d+\.\d%", line[2]) for line in lines)
    assert result.stdout.count("(framed as the data set is: 200×300 pixels, not 8×8)") == len(paths)


@pytest.mark.long
@pytest.mark.implicit_promotion
def test_train_on_an_archive(call_cli, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 30, 30, 3), np.uint8)
    archive = tmp_path / "noise.npz"
    np.savez(archive, images=images, labels=np.arange(40) % 2, class_names=["cat", "dog"])
    options = ("--model", "pets_cnn", "--epochs", 1, "--batch-size", 8)
    result = call_cli("train", "--data", archive, *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs" / "pets_cnn-noise-1" / "run.json").is_file()
    model = cnn.load(tmp_path / "runs" / "pets_cnn-noise-1")
    assert cnn.predict(model, images).shape == (40, 2)


def test_summary_prints_the_table_and_the_formula(call_cli):
    result = call_cli("summary", "mnist_cnn", "--input-shape", "28,28,1", "--explain")
    expected = cnn.summarize(cnn.models.create("mnist_cnn"), (28, 28, 1), explain=True)
    assert result.stdout == f"{expected}\n"
    assert "n_H = n_W = ⌊(28 − 3 + 2·0) / 1⌋ + 1 = 26" in result.stdout


@pytest.mark.long
def test_models_lists_parameters_that_are_trained(call_cli):
    lines = [line.split() for line in call_cli("models").stdout.splitlines()]
    assert tuple(name for name, *_ in lines) == cnn.models.names()
    assert ["letters_cnn", "128,128,1", "8,402,618", "parameters"] in lines
    assert ["mnist_cnn", "28,28,1", "80,266", "parameters"] in lines
    assert ["pets_cnn", "30,30,1", "144,275", "parameters"] in lines
    assert ["resnet50", "224,224,3", "25,557,032", "parameters"] in lines


@pytest.mark.implicit_promotion
def test_data_show_draws_a_picture(call_cli, tmp_path):
    options = ("--augment", "cifar", "--images", 2)
    result = call_cli("data", "show", "digits", *options, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "The plot is in digits-cifar.png\n")
    with Image.open(tmp_path / "digits-cifar.png") as picture:
        assert picture.size == (round(8 * 1.3 * 120), round((2 * 1.3 + 0.4) * 120))
    named = call_cli("data", "show", "digits", *options, "--out", "a.png", cwd=tmp_path)
    assert named.returncode == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "digits-cifar.png").read_bytes()


def test_version(run_cli):
    assert re.fullmatch(r"jaxcnn \d+\.\d+\.\d+\n", run_cli("--version").stdout)


@pytest.mark.parametrize(("arguments", "command"), [([], "train"), (["data"], "show")])
def test_no_command_prints_help(call_cli, arguments, command):
    result = call_cli(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert command in result.stdout


BAD = [
    (["train", "--model", "mnist_cn"], "Did you mean 'mnist_cnn'?"),
    (["train", "--data", "digit"], "Did you mean 'digits'?"),
    (["train", "--data", "fashion_mnist", "--data-dir", "nowhere"], "is not prepared"),
    (["train", "--data", "missing.npz"], "there is no file"),
    (["train", "--epoch", "1"], "--epochs"),
    (["train", "--epochs", "0"], "--epochs must be at least 1"),
    (["train", "--epochs", "many"], "--epochs"),
    (["train", "--learning-rate", "-1"], "--learning-rate must be above 0"),
    (["train", "--seed", "-1"], "--seed must be at least 0"),
    (["train", "--augment", "cifra"], "Did you mean 'cifar'?"),
    (["data", "show", "digits"], "--augment"),
    (
        ["data", "show", "digits", "--augment", "shifts"],
        "there is no augmentation policy 'shifts'. Known: ",
    ),
    (["data", "show", "digit", "--augment", "digits"], "Did you mean 'digits'?"),
    (["data", "show", "digits", "--augment", "cifar", "--images", "0"], "images must be at least"),
    (["data", "show", "digits", "--augment", "imagenet"], "3 channels"),
    (["data", "show", "digits", "--augment", "none", "--out", "no/a.png"], "No such file"),
    (["data", "show", "digits", "--augment", "none", "--out", "a.word"], "'word' is not supported"),
    (["trian"], "Did you mean 'train'?"),
    (["evaluate", "nowhere"], "there is no run in 'nowhere'"),
    (["predict", "nowhere", "x.png"], "there is no run in 'nowhere'"),
    (["summary", "mnist"], "Did you mean 'mnist_cnn'?"),
    (["summary", "mnist_cnn", "--input-shape", "8,8,1"], "max_pool_2"),
    (["summary", "mnist_cnn", "--input-shape", "28x28"], "--input-shape"),
    (["summary", "mnist_cnn", "--input-shape", "28,28,0"], "at least 1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_mistakes_are_one_line(call_cli, tmp_path, arguments, message):
    result = call_cli(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_existing_run_is_kept(run_cli, trained_run):
    before = (trained_run / "run.json").read_bytes()
    result = run_cli("train", "--out", trained_run)
    assert result.returncode == 2
    assert "exists already" in result.stderr
    assert (trained_run / "run.json").read_bytes() == before


def test_overwrite_spares_what_is_not_a_run(call_cli, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    result = call_cli("train", "--out", tmp_path, "--overwrite")
    assert result.returncode == 2
    assert "is not a run" in result.stderr
    assert (tmp_path / "letters.txt").read_text() == "dear"


@pytest.mark.implicit_promotion
def test_predict_names_the_file_that_is_no_picture(call_cli, cat_run, tmp_path):
    (tmp_path / "words.png").write_text("not a picture")
    result = call_cli("predict", cat_run, tmp_path / "words.png")
    assert result.returncode == 1
    assert "words.png" in result.stderr
    assert "not a picture" in result.stderr
    assert result.stderr.count("\n") == 1

"""The recipe for data whose user names none, and the command that takes it."""

import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jaxcnn import recipes
from jaxcnn.cli.app import app

SIZES = ((60, 40), (300, 500), (200, 90))  # width and height


def folder_of(path, mode, sizes=SIZES):
    for number in range(6):
        place = path / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new(mode, sizes[number % len(sizes)]).save(place / f"{number}.png")
    return path


def archive_of(path, *shape):
    np.savez(path, images=np.zeros((4, *shape), np.uint8), labels=np.arange(4) % 2)
    return path


@pytest.mark.parametrize(
    ("mode", "sizes", "recipe", "model", "size", "augment"),
    [
        ("RGB", SIZES, "pictures", "resnet18", (90, 90), "pictures"),
        ("RGBA", [(640, 480)], "pictures", "resnet18", (128, 128), "pictures"),
        ("P", [(32, 32), (30, 32)], "pictures", "resnet18_small", (32, 31), "pictures"),
        ("L", [(640, 480)], "pictures", "resnet18", (128, 128), "none"),
        ("L", [(28, 28)], "digits", None, None, None),
        ("1", [(28, 28)], "digits", None, None, None),
        ("I;16", [(28, 28)], "digits", None, None, None),
    ],
)
def test_a_recipe_suits_a_folder(tmp_path, mode, sizes, recipe, model, size, augment):
    choice = recipes.choose(folder_of(tmp_path / "set", mode, sizes))
    options = {"model.name": model, "data.image_size": size, "data.augment": augment}
    assert choice.recipe == recipe
    if recipe == "pictures":
        assert choice.options == options
        assert f"{model} at {size[0]}×{size[1]}" in choice.reason
    chosen = recipes.read(choice.recipe, options=choice.options)
    assert chosen.data.resizing.aspect == ("crop" if recipe == "pictures" else "squash")


def test_a_recipe_suits_arrays(tmp_path):
    small = recipes.choose(archive_of(tmp_path / "a.npz", 32, 32, 3))
    assert small.options["model.name"] == "resnet18_small"
    assert small.options["data.image_size"] == (32, 32)
    assert recipes.choose(archive_of(tmp_path / "b.npz", 28, 28, 1)).recipe == "digits"
    asked = recipes.choose(folder_of(tmp_path / "set", "RGB"), image_size=(32, 32))
    assert asked.options["model.name"] == "resnet18_small"


def test_train_says_what_it_took(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr("jaxcnn.recipes.train", lambda recipe, *_, **__: taken.append(recipe))
    source = folder_of(tmp_path / "set", "RGB", [(300, 200)])

    def train(*options):
        arguments = ["train", *map(str, options)]
        return CliRunner().invoke(app, arguments, catch_exceptions=False).output

    output = train("--data", source, "--epochs", 3, "--optimizer", "sgd", "--patience", 2)
    assert output.startswith("Recipe pictures, for color pictures, about 200×300: resnet18 at 128×")
    options = taken[-1]
    assert (options.model.name, options.data.augment) == ("resnet18", "pictures")
    assert (options.training.epochs, options.training.patience) == (3, 2)
    assert options.optimizer.name == "sgd"
    train("--data", source, "--image-size", "40x48", "--aspect", "pad", "--precision", "bfloat16")
    assert taken[-1].data.image_size == (40, 48)
    assert (taken[-1].data.aspect, taken[-1].training.precision) == ("pad", "bfloat16")
    for own in (("--model", "tiny_cnn"), ("--set", "model.name=tiny_cnn"), ()):
        assert train(*own, *(("--data", source) if own else ())) == ""
    assert [each.model.name for each in taken[-3:]] == ["tiny_cnn", "tiny_cnn", "mnist_cnn"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--epochs", "0"], "--epochs must be at least 1. Received: epochs=0"),
        (["--batch-size", "-1"], "--batch-size must be at least 1. Received: batch_size=-1"),
        (["--optimizer", "adm"], "there is no --optimizer 'adm'. Did you mean 'adam'?"),
        (["--model", "mnist_cn"], "--model: there is no model 'mnist_cn'. Did you mean"),
        (["--image-size", "0"], "--image-size must be at least 1. Received: image_size=0"),
        (["--image-size", "12x"], "--image-size must be one number, or height and width"),
        (["--aspect", "corp"], "there is no --aspect 'corp'. Did you mean 'crop'?"),
        (["--patience", "0"], "--patience must be at least 1. Received: patience=0"),
        (["--augment", "cifra"], "--augment: there is no augmentation policy 'cifra'. Did you"),
        (
            ["--epochs", "2", "--set", "optimizer.warmup_epochs=3"],
            "--set optimizer.warmup_epochs=3: optimizer.warmup_epochs must be",
        ),
    ],
)
def test_an_error_names_what_was_typed(typed, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        CliRunner().invoke(app, ["train", *typed], catch_exceptions=False)

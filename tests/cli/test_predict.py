"""``jaxcnn predict`` prints what the training was for: a class, several classes, numbers."""

import json

import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.resizing import Resizing
from jaxcnn.recipes.assembly import assemble
from jaxcnn.recipes.reading import read
from jaxcnn.training import binary_cross_entropy, cross_entropy, run_folder, squared_error

pytestmark = pytest.mark.implicit_promotion
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 6, 6, 3)).astype(np.uint8)
NAMES = ("cat", "dog", "owl")
SEVERAL = np.tile(np.array([True, False, True]), (16, 1))
DATA = {
    "class": (cnn.Dataset(IMAGES, np.arange(16) % 3, NAMES), cross_entropy),
    "several": (cnn.Dataset(IMAGES, SEVERAL, NAMES), binary_cross_entropy),
    "numbers": (cnn.Dataset(IMAGES, np.full((16, 3), 2.5, np.float32)), squared_error),
}


@pytest.mark.parametrize("kind", DATA)
def test_an_answer_is_that_of_the_training(kind, call_cli, tmp_path):
    data, loss = DATA[kind]
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((6, 6, 3), rngs=nnx.Rngs(0))
    run, path = tmp_path / "run", tmp_path / "picture.png"
    trained = cnn.fit(
        model, data, loss=loss, optimizer=optax.adam(0.05), epochs=30, batch_size=16, run=run,
        progress=False,
    ).model  # fmt: skip
    Image.fromarray(IMAGES[0]).save(path)
    result = call_cli("predict", run, path)
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    answer = line.removeprefix(str(path)).split()
    (row,) = cnn.predict(trained, IMAGES[:1])
    if kind == "class":
        assert answer == [NAMES[row.argmax()], f"{row.max():.1%}"]
    elif kind == "several":
        assert set(answer[::2]) == {"cat", "owl"}
        assert answer[1] == f"{row.max():.1%}"
    else:
        assert answer == [f"{value:.4g}" for value in row]

    raw = call_cli("predict", run, path, "--activation", "none").stdout.split()
    assert len(raw) > 1
    mistaken = call_cli("predict", run, path, "--activation", "softmx")
    assert mistaken.returncode == 2
    assert "Did you mean 'softmax'?" in mistaken.stderr


RESIZING = {"aspect": "crop", "interpolation": "bicubic", "crop_share": 0.6}


@pytest.mark.parametrize("source", ["set", "set.npz"])
def test_pictures_are_resized_as_by_the_recipe(source, call_cli, tmp_path):
    """Of a folder, whose pictures may have any size, and of an archive, whose images have one."""
    wide = np.random.default_rng(1).integers(0, 256, (10, 20, 30, 3)).astype(np.uint8)
    labels = np.arange(10) % 2
    np.savez(tmp_path / "set.npz", images=wide, labels=labels)
    for number, image in enumerate(wide):
        path = tmp_path / "set" / str(number % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    words = {name: f'"{value}"' if isinstance(value, str) else value for name, value in
             RESIZING.items()}  # fmt: skip
    assembled = assemble(read("digits", assignments=[
        "model.name=tiny_cnn", f"data.source={tmp_path / source}", "data.image_size=[12, 8]",
        *(f"data.{name}={value}" for name, value in words.items()),
    ]))  # fmt: skip
    expected = cnn.Dataset(wide, labels).resize((12, 8), **RESIZING)
    for data in (assembled.task.data, assembled.test):
        assert set(map(bytes, data.images)) <= set(map(bytes, expected.images))
    run = run_folder.Run(
        model="tiny_cnn", options={"num_classes": 2}, input_shape=(12, 8, 3),
        class_names=("0", "1"), framing=assembled.framing, data=None, metrics={},
    )  # fmt: skip
    model = assembled.task.model
    (tmp_path / "run").mkdir()
    run_folder.finish_run(tmp_path / "run", run, model)
    files = [tmp_path / "set" / str(number % 2) / f"{number}.png" for number in range(10)]
    lines = call_cli("predict", tmp_path / "run", *files).stdout.splitlines()
    for line, row in zip(lines, cnn.predict(model, expected.images), strict=True):
        assert line.split()[1:] == [str(row.argmax()), f"{row.max():.1%}"]
    loss = cnn.evaluate(model, expected).loss
    printed = call_cli("evaluate", tmp_path / "run", "--data", tmp_path / source, "--split", "all")
    assert f"{loss:.4f}" in printed.stdout

    if source == "set":  # a training that starts from the run does the same, unless told
        for aspect, goes_on in ((None, Resizing(**RESIZING)), ("pad", Resizing("pad", "bicubic"))):
            changes = {
                "model.name": "tiny_cnn",
                "model.weights": str(tmp_path / "run"),
                "data.source": str(tmp_path / source),
            } | ({} if aspect is None else {"data.aspect": aspect})
            assert assemble(read("fine_tune", options=changes)).framing.resizing == goes_on

    described = tmp_path / "run" / "run.json"
    values = json.loads(described.read_text("utf-8"))
    assert {name: values["framing"].pop(name) for name in RESIZING} == RESIZING
    described.write_text(json.dumps(values), "utf-8")
    assert run_folder.read_run(tmp_path / "run").framing.resizing == Resizing()  # of older runs
    values["framing"]["crop_share"] = 0.5
    described.write_text(json.dumps(values), "utf-8")
    with pytest.raises(ValueError, match=r"run\.json' is damaged: framing: crop_share needs"):
        run_folder.read_run(tmp_path / "run")


def test_pictures_are_resized_as_those_that_fit_was_given(call_cli, tmp_path):
    wide = np.random.default_rng(1).integers(0, 256, (6, 20, 30, 3)).astype(np.uint8)
    data = cnn.Dataset(wide, np.arange(6) % 3, NAMES).resize((12, 8), **RESIZING)
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((12, 8, 3), rngs=nnx.Rngs(0))
    fitted = cnn.fit(model, data, epochs=1, run=tmp_path / "run", progress=False).model
    Image.fromarray(wide[0]).save(tmp_path / "wide.png")
    answer = call_cli("predict", tmp_path / "run", tmp_path / "wide.png", "--top", 3).stdout
    row = cnn.predict(fitted, data.images[:1])[0]
    assert answer.split()[1:] == [
        word for n in np.argsort(-row) for word in (NAMES[n], f"{row[n]:.1%}")
    ]

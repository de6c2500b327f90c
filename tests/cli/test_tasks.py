"""Every command on every task: train, evaluate, predict, report and resume, killed in between."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.cli.see_commands import OPTIONS
from jaxcnn.cli.show_request import Request, Subject
from jaxcnn.training import run_folder
from jaxcnn.training.run_folder import read_weights

pytestmark = pytest.mark.implicit_promotion
RANDOM = np.random.default_rng(0)


def scenes(count, size=24):
    """Dark noise with a bright square each, and the corner of the square."""
    images = RANDOM.integers(0, 90, (count, size, size, 3)).astype(np.uint8)
    corners = RANDOM.integers(0, size - 10, (count, 2))
    for image, (x, y) in zip(images, corners, strict=True):
        image[y : y + 10, x : x + 10] += 120
    return images, corners


def squares(corners, size=24):
    masks = np.zeros((len(corners), size, size), np.uint8)
    for mask, (x, y) in zip(masks, corners, strict=True):
        mask[y : y + 10, x : x + 10] = 1
    return masks


def write_masks(folder):
    images, corners = scenes(20)
    for name, arrays in (("images", images), ("masks", squares(corners))):
        (folder / name).mkdir(parents=True)
        for number, array in enumerate(arrays):
            Image.fromarray(array).save(folder / name / f"{number:02}.png")
    (folder / "classes.txt").write_text("ground\nsquare\n", encoding="utf-8")
    return folder, folder / "images/00.png"


def write_boxes(folder):
    folder.mkdir()
    images, corners = scenes(20)
    entries, boxes = [], []
    for number, (image, corner) in enumerate(zip(images, corners, strict=True)):
        Image.fromarray(image).resize((48, 48)).save(folder / f"{number:02}.png")
        entries.append({"id": number, "file_name": f"{number:02}.png", "width": 48, "height": 48})
        x, y = (int(value) * 2 for value in corner)
        box = {"id": number, "image_id": number, "category_id": 7, "bbox": [x, y, 20, 20]}
        boxes.append({**box, "area": 400, "iscrowd": 0})
    described = {"images": entries, "annotations": boxes}
    described["categories"] = [{"id": 7, "name": "square"}, {"id": 9, "name": "other"}]
    (folder / "annotations.json").write_text(json.dumps(described), encoding="utf-8")
    return folder, folder / "00.png"


def write_clips(folder):
    for name, step in (("left", -3), ("right", 3)):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            top, start = RANDOM.integers(0, 16), 2 if step > 0 else 17
            frames = np.zeros((6, 24, 24), np.uint8)
            for time_step, frame in enumerate(frames):
                left = start + step * time_step
                frame[top : top + 5, left : left + 5] = 255
            first, *others = map(Image.fromarray, frames)
            first.save(folder / name / f"{number}.gif", save_all=True, append_images=others)
    return folder, folder / "left/0.gif"


def write_sounds(folder):
    for name, pitch in (("low", 300), ("high", 1500)):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            steps = np.arange(400 + 20 * number)
            values = np.sin(2 * np.pi * pitch / 8000 * steps + number)
            with wave.open(str(folder / name / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, len(steps), "NONE", ""))
                file.writeframes((values * 20_000).astype("<i2").tobytes())
    return folder, folder / "low/0.wav"


def write_numbers(folder):
    folder.mkdir()
    images, corners = scenes(20)
    np.savez(folder / "data.npz", images=images, labels=corners / 24, class_names=["x", "y"])
    Image.fromarray(images[0]).save(folder / "0.png")
    return folder / "data.npz", folder / "0.png"


def write_several(folder):
    folder.mkdir()
    images, corners = scenes(20)
    labels = corners > 7
    np.savez(folder / "data.npz", images=images, labels=labels, class_names=["right", "lower"])
    Image.fromarray(images[0]).save(folder / "0.png")
    return folder / "data.npz", folder / "0.png"


# For each form of data: what writes it, the options of its training, and what `predict` prints.
FORMS = {
    "masks": (
        write_masks,
        ["model.options={features=4, depth=2}", "data.image_size=[24, 24]"],
        r"ground [\d.]+%",
    ),
    "boxes": (
        write_boxes,
        ["model.options={width=8, features=8, groups=2}", "data.image_size=[32, 32]"],
        r'"boxes": \[',
    ),
    "clips": (
        write_clips,
        ["model.options={features=4}", "data.frames=4", "data.clips=2", "data.image_size=[24, 24]"],
        r"(left|right)  [\d.]+%",
    ),
    "sounds": (write_sounds, ["model.options={features=4}"], r"(low|high)  [\d.]+%"),
    "numbers": (
        write_numbers,
        ["model.name=tiny_cnn", "data.image_size=[24, 24]"],
        r"x -?[\d.]+  y -?[\d.]+",
    ),
    "several": (
        write_several,
        ["model.name=tiny_cnn", "data.image_size=[24, 24]"],
        r"none|right|lower",
    ),
}
RECIPES = {"masks": "segmentation", "boxes": "detection", "clips": "video", "sounds": "signals"}


def options_of(form, source):
    _, options, _ = FORMS[form]
    common = [f"data.source={source}", "data.augment=none", "training.epochs=3"]
    common += ["training.batch_size=8", "training.checkpoint_every=1"]
    sets = [part for each in (*common, *options) for part in ("--set", each)]
    return [RECIPES.get(form, "digits"), *sets]


def check_form(form, folder, call_cli):
    source, file = FORMS[form][0](folder / "data")
    run = folder / "run"

    def call(*arguments):
        result = call_cli(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    call("train", *options_of(form, source), "--out", run)
    task = {"masks": "segment", "boxes": "detect", "numbers": "regress"}.get(form, "classify")
    described = run_folder.read_run(run)
    assert described.task == task
    assert f'task = "{task}"' in (run / "recipe.toml").read_text(encoding="utf-8")
    printed = call("evaluate", run)
    for name in {"masks": ["mean_iou"], "boxes": ["map", "map_50"], "numbers": ["r2"]}.get(
        form, []
    ):
        value = float(re.search(rf"^{name} +([-\d.e]+)", printed, re.MULTILINE)[1])
        assert value == pytest.approx(described.metrics["metrics"][name], abs=1e-4)
    out = ["--out", folder / "predicted"] if form in ("masks", "boxes") else []
    assert re.search(FORMS[form][2], call("predict", run, file, *out))
    call("evaluate", run, "--out", folder / "results")
    table = "predictions" if form == "numbers" else "classes"
    names = {"numbers": "file,x,predicted x,y,predicted y"}.get(form, "class")
    assert (folder / f"results/{table}.csv").read_text(encoding="utf-8").startswith(names)
    call("report", run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "could not be made" not in page
    assert "runs" not in call("runs", folder)
    return run, source, file


@pytest.mark.long
def test_masks(tmp_path, call_cli):
    run, _, file = check_form("masks", tmp_path, call_cli)
    with Image.open(tmp_path / "predicted/00.png") as mask, Image.open(file) as picture:
        assert (mask.mode, mask.size) == ("P", picture.size)
        assert set(np.unique(np.asarray(mask))) <= {0, 1}
    drawn = tmp_path / "iou.png"
    assert call_cli("show", run, "class-iou", "--out", drawn).returncode == 0
    assert drawn.stat().st_size > 5_000
    wrong = call_cli("show", run, "precision-recall", "--out", drawn)
    assert "a network that learns to segment" in wrong.stderr


@pytest.mark.long
@pytest.mark.parametrize("form", [form for form in FORMS if form != "masks"])
def test_every_command(form, tmp_path, call_cli):
    run, _, file = check_form(form, tmp_path, call_cli)
    if form == "boxes":
        printed = call_cli("predict", run, file, "--score", "0").stdout
        (found,) = map(json.loads, printed.splitlines())
        assert found["file"] == str(file)
        assert {box["class"] for box in found["boxes"]} <= {"square", "other"}
        corners = np.array([box["box"] for box in found["boxes"]])
        assert corners.min() >= 0
        assert 32 < corners.max() <= 48  # pixels of the file
    if form == "clips":  # a layer sees one clip, and a prediction is that of all clips of a video
        request = Request(Subject.of(str(run), None, None))
        described = run_folder.read_run(run)
        assert request.images.shape[1:] == described.input_shape
        assert request.errors()[1].accuracy == pytest.approx(described.metrics["accuracy"])
    names = {
        "boxes": ["detections", "worst-detections"],
        "numbers": ["predicted-values"],
        "clips": ["mistakes", "neighbors"],
    }
    for name in names.get(form, []):
        assert name in OPTIONS
        assert call_cli("show", run, name, "--out", tmp_path / "p.png").returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
def test_a_killed_training_ends_as_one_that_was_not(form, tmp_path, call_cli):
    source, _ = FORMS[form][0](tmp_path / "data")
    options = [str(option) for option in options_of(form, source)]
    assert call_cli("train", *options, "--out", tmp_path / "whole").returncode == 0
    killed = tmp_path / "killed"
    arguments = [sys.executable, "-c", "from jaxcnn.cli.app import main; main()", "train"]
    with subprocess.Popen([*arguments, *options, "--out", str(killed)]) as process:
        deadline = time.monotonic() + 300
        while not run_folder.can_resume(killed) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert not run_folder.is_finished(killed)
    result = call_cli("train", "--resume", killed)
    assert result.returncode == 0, result.stderr
    first, second = read_weights(tmp_path / "whole"), read_weights(killed)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_a_task_that_the_labels_do_not_have(tmp_path, call_cli):
    source, _ = write_numbers(tmp_path / "data")
    options = ["digits", "--set", f"data.source={source}", "--set", "task=detect"]
    result = call_cli("train", *options, "--set", "model.name=tiny_cnn")
    assert result.returncode != 0
    assert (
        "task must be that of the labels, 'regress' for labels of kind 'numbers'" in result.stderr
    )


def test_the_recipe_is_chosen_by_the_data(tmp_path):
    for form, recipe in RECIPES.items():
        source, _ = FORMS[form][0](tmp_path / form)
        frames = 4 if form == "clips" else None
        assert cnn.recipes.choose(source, frames=frames).recipe == recipe

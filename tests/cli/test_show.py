"""``jaxcnn show`` and ``jaxcnn report``: every picture of a small run, and what cannot be drawn."""

import json
import re
import shutil
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from jaxcnn import recipes
from jaxcnn.cli.see_commands import KINDS
from jaxcnn.cli.shown_pictures import PICTURES
from jaxcnn.recipes.held_out_results import PICTURES as RESULTS

pytestmark = pytest.mark.implicit_promotion

NAMES = ("ant", "bee", "cat")
# Pictures of other tasks, which test_tasks.py draws.
OF_TASKS = tuple(
    name.replace("_", "-") for kind in ("positions", "boxes", "numbers") for name in RESULTS[kind]
)
# Pictures that share compiled programs, which take most of the time.
TOGETHER = [
    ("gradcam", "gradcam++", "gradients", "occlusion"),
    ("smooth-gradients", "integrated-gradients", "attributions"),
    ("diagram", "kernels", "features", "dream", "receptive-field"),
    ("embedding", "neighbors", "curves"),
    tuple(name for name in KINDS[KINDS.index("confusion") :] if name not in OF_TASKS),
]
OPTIONS = {
    "gradcam": ("--class", "bee"),
    "gradients": ("--class", 1),
    "features": ("--layer", "conv_1,relu_1", "--count", 3),
    "dream": ("--layer", "head", "--class", "ant"),
    "kernels": ("--layer", "conv_2", "--count", 2),
    "embedding": ("--count", 12),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three classes of noise that differ in brightness."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    images = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(48) % 3
    images[labels == 1] //= 2
    np.savez(path, images=images, labels=labels, class_names=NAMES)
    return path


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "noise"
    changes = [
        "model.name=tiny_cnn", "model.options.features=4", f"data.source={archive}",
        "data.image_size=[8, 8]", "training.batch_size=16", "training.epochs=2",
    ]  # fmt: skip
    recipes.train("digits", folder, assignments=changes, progress=False)
    return folder


def test_listed_pictures_are_those_that_are_drawn():
    assert tuple(PICTURES) == KINDS


def test_every_picture_is_among_those_below():
    assert sorted(kind for kinds in (*TOGETHER, OF_TASKS) for kind in kinds) == sorted(KINDS)


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(kinds, id=kinds[0], marks=[pytest.mark.long] * ("attributions" in kinds))
        for kinds in TOGETHER
    ],
)
def test_every_picture_is_drawn(call_cli, run, tmp_path, kinds):
    for kind in kinds:
        result = call_cli("show", run, kind, *OPTIONS.get(kind, ()), cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        file = f"noise-{kind}.{'svg' if kind == 'diagram' else 'png'}"
        assert result.stdout == f"The picture is in {file}\n"
        if kind == "diagram":
            assert xml.etree.ElementTree.parse(file).getroot().tag.endswith("svg")
            continue
        with Image.open(file) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 60
            assert np.asarray(picture.convert("L")).std() > 2
    assert len(list(tmp_path.iterdir())) == len(kinds)


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89P")]
)
def test_kinds_of_files(call_cli, run, tmp_path, suffix, start):
    file = tmp_path / f"curves.{suffix}"
    assert call_cli("show", run, "curves", "--out", file).returncode == 0
    assert file.read_bytes().startswith(start)


def test_networks_are_shown_without_a_run(call_cli, tmp_path):
    for kind, file in (("diagram", "tiny_cnn-diagram.svg"), ("kernels", "tiny_cnn-kernels.png")):
        result = call_cli("show", "tiny_cnn", kind, cwd=tmp_path)
        assert (result.stderr, result.stdout) == ("", f"The picture is in {file}\n")
        assert (tmp_path / file).stat().st_size > 1_000


def test_pictures_of_the_user(call_cli, run, tmp_path):
    rows = np.random.default_rng(1).integers(0, 256, (2, 8, 8)).astype(np.uint8)
    files = []
    for number, row in enumerate(rows):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(row).save(files[-1])
    heights = []
    for given in (files[:1], files):
        images = [option for file in given for option in ("--image", file)]
        out = tmp_path / "drawn.png"
        result = call_cli("show", run, "gradients", *images, "--class", "2", "--out", out)
        assert result.returncode == 0, result.stderr
        with Image.open(out) as picture:
            heights.append(picture.height)
    assert heights[1] > 1.5 * heights[0]  # a row for each


def test_another_run_is_compared(call_cli, run, tmp_path):
    out = tmp_path / "drawn.png"
    for kind in ("movements", "changed-kernels"):
        assert call_cli("show", run, kind, "--other", run, "--out", out).returncode == 0
    shutil.copytree(run, tmp_path / "one")
    checkpoints = sorted((tmp_path / "one" / "checkpoints").iterdir())
    for checkpoint in checkpoints:
        (shutil.rmtree if checkpoint.is_dir() else type(checkpoint).unlink)(checkpoint)
    result = call_cli("show", tmp_path / "one", "movements", "--out", out)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")


ERRORS = [
    (["confusion", "--class", "bee"], "--class does nothing for confusion, which reads --data"),
    (["curves", "--layer", "conv_1"], "--layer does nothing for curves, which reads none of them"),
    (["gradcm"], r"PICTURE must be 'diagram', .*Did you mean 'gradcam'\?"),
    (["features", "--layer", "conv_9"], r"such as 'conv_3', 'conv_2', 'conv_1'. Received: .*_9"),
    (["gradcam", "--layer", "cnov_1"], r"layer must be a path .*'conv_1'.* Received: .*'cnov_1'"),
    (["kernels", "--layer", "head"], r"layer must be a convolution, such as conv_1, conv_2"),
    (["gradcam", "--class", "3"], r"--class must be 'ant', 'bee' or 'cat'. Received: --class='3'"),
    (["gradcam", "--class", "bea"], r"Received: --class='bea'. Did you mean 'bee'\?"),
    (["dream", "--layer", "heat"], r"--layer must be a path .* such as 'head'"),
    (["gradcam", "--image", "no.png"], "there is no file 'no.png'"),
    (["kernels", "--out", "a.jpg"], "--out must end in .png.*pdf. Received: 'a.jpg'"),
    (["diagram", "--out", "a.png"], "--out must end in .svg. Received: 'a.png'"),
    (["kernels", "--out", "no/a.png"], "--out must be in a folder that exists. .* 'no/a.png'"),
    (["embedding", "--method", "pcs"], r"method must be 'pca'.*Did you mean 'pca'\?"),
    (["mistakes", "--data", "no.npz"], "no.npz"),
    (["mistakes", "--split", "tset"], "tset"),
    (["kernels", "--count", 0], "--count"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_mistakes_are_named(call_cli, run, tmp_path, options, message):
    result = call_cli("show", run, *options, cwd=tmp_path)
    assert result.returncode == 2
    assert re.search(message, " ".join(result.stderr.split()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "runs/none", "kernels"], "there is no run in 'runs/none'"),
        (["show", "runs/none", "diagram"], "there is no run in 'runs/none'"),
        (["show", "tiny_cn", "kernels"], "Did you mean 'tiny_cnn'?"),
        (["show", "tiny_cnn", "gradcam"], "give pictures as --image or a set as --data"),
        (["show", "tiny_cnn", "confusion"], "give pictures as --image or a set as --data"),
        (["show", "tiny_cnn", "curves"], "curves are those of a run: give its folder"),
        (["show", "tiny_cnn", "movements"], "give the other one as --other"),
        (["report", "runs/none"], "there is no run in 'runs/none'"),
    ],
)
def test_subjects_that_cannot_be_shown(call_cli, tmp_path, arguments, message):
    result = call_cli(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())


def test_run_whose_data_is_gone(call_cli, run, archive, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    description = json.loads((moved / "run.json").read_text())
    gone = str(tmp_path / "gone.npz")
    description["data"]["source"] = gone
    (moved / "run.json").write_text(json.dumps(description))
    result = call_cli("show", moved, "confusion", cwd=tmp_path)
    assert result.returncode == 2
    assert gone in result.stderr
    found = call_cli("show", moved, "curves", cwd=tmp_path)
    assert found.returncode == 0, found.stderr


def test_report_of_a_run(call_cli, run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "jaxcnn.recipes.reporting.sections_of", lambda run: {"Times": lambda run: ["text"]}
    )
    out = tmp_path / "page.html"
    result = call_cli("report", run, "--out", out, "--images", 1)
    assert (result.stderr, result.stdout) == ("", f"The report is in {out}\n")
    assert out.read_text().startswith("<!doctype html>")
    assert call_cli("report", run, "--images", 0).returncode == 2

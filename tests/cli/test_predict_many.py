"""``jaxcnn predict`` of folders, patterns, lists and videos, in each format."""

import contextlib
import csv
import io
import json
import threading
from pathlib import Path

import av
import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.cli.answer_lines import opened
from jaxcnn.cli.predictions import picture_path
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.insight import embed
from jaxcnn.recipes.input_stream import read_ahead
from jaxcnn.recipes.run_inputs import Input, Source
from jaxcnn.training import run_folder

pytestmark = pytest.mark.implicit_promotion
NAMES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, and pictures in two folders, of which one cannot be read."""
    folder = tmp_path_factory.mktemp("many")
    network = cnn.serial(cnn.flatten(), cnn.dense(4), jax.nn.relu, cnn.dense(3))
    run = run_folder.Run(
        model=None, options={}, input_shape=(6, 6, 3), class_names=NAMES,
        framing=Framing((6, 6, 3), any_size=True), data=None, metrics={}, activation="softmax",
    )  # fmt: skip
    (folder / "run").mkdir()
    model = network.build((6, 6, 3), rngs=nnx.Rngs(0))
    run_folder.finish_run(folder / "run", run, model)
    random = np.random.default_rng(0)
    for name in ("a/0", "a/1", "a/2", "b/0", "b/10", "b/9"):
        path = folder / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (6, 6, 3)).astype(np.uint8)).save(path)
    (folder / "pictures/a/1.png").write_text("words")
    (folder / "pictures/notes.md").write_text("words")
    return folder


def good_files(folder):
    files = sorted(str(path) for path in (folder / "pictures").rglob("*.png"))
    return [file for file in files if not file.endswith("a/1.png")]


def pixels(files):
    return np.stack([np.asarray(Image.open(file)) for file in files])


def test_an_error_leaves_the_answers_so_far_under_another_name(tmp_path):
    out = tmp_path / "answers.csv"
    out.write_text("of the last command")
    with contextlib.suppress(KeyboardInterrupt), opened(out) as file:
        file.write("file,class\n")
        raise KeyboardInterrupt
    assert out.read_text() == "of the last command"
    assert (tmp_path / "answers.csv.partial").read_text() == "file,class\n"


def test_a_folder_as_json_lines(folder, call_cli):
    """With batches of two, of which the last is not full."""
    options = ("--format", "jsonl", "--probabilities", "--embeddings", "--batch-size", 2)
    result = call_cli("predict", folder / "run", folder / "pictures", *options)
    assert result.returncode == 1
    skipped, counted = result.stderr.splitlines()
    assert skipped.startswith("Skipped: ")
    assert "a/1.png" in skipped
    assert counted == "1 files could not be read, 5 inputs were"
    records = [json.loads(line) for line in result.stdout.splitlines()]
    files, model = good_files(folder), cnn.load(folder / "run")
    assert [record["file"] for record in records] == files
    rows = cnn.predict(model, pixels(files))
    given = [list(record["probabilities"].values()) for record in records]
    np.testing.assert_allclose(given, rows, atol=1e-5)
    assert [record["classes"][0]["class"] for record in records] == [
        NAMES[n] for n in rows.argmax(axis=1)
    ]
    features = [record["embedding"] for record in records]
    np.testing.assert_allclose(features, embed(model, pixels(files)), rtol=1e-4, atol=1e-4)


def test_a_pattern_as_a_table_in_a_file(folder, call_cli, tmp_path):
    out, pattern = tmp_path / "answers.csv", folder / "pictures/b/**/*.png"
    result = call_cli("predict", folder / "run", pattern, "--top", 2, "--out", out)
    assert (result.returncode, result.stdout) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    files = [file for file in good_files(folder) if "/b/" in file]
    predicted = cnn.predict(cnn.load(folder / "run"), pixels(files))
    for row, file, numbers in zip(rows, files, predicted, strict=True):
        first, second, _ = np.argsort(-numbers)
        assert (row["file"], row["class"], row["class_2"]) == (file, NAMES[first], NAMES[second])
        assert float(row["probability_2"]) == pytest.approx(numbers[second], abs=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


def test_a_list_on_the_standard_input(folder, call_cli, monkeypatch):
    wanted = [folder / "pictures/b/10.png", folder / "missing.png", folder / "pictures/a/0.png"]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{path}\n" for path in wanted)))
    result = call_cli("predict", folder / "run", "-")
    assert result.returncode == 1
    assert "there is no file" in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        str(wanted[0]), str(wanted[2])
    ]  # fmt: skip


def test_a_video_frame_by_frame(folder, call_cli, tmp_path):
    path = tmp_path / "gray.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for level in range(0, 250, 50):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    options = ("--frame-step", 2, "--format", "jsonl", "--probabilities")
    result = call_cli("predict", folder / "run", path, *options)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == [f"{path}[{n}]" for n in (0, 2, 4)]
    levels = np.broadcast_to(np.uint8([0, 100, 200])[:, None, None, None], (3, 6, 6, 3))
    expected = cnn.predict(cnn.load(folder / "run"), levels.copy())
    given = [list(record["probabilities"].values()) for record in records]
    np.testing.assert_allclose(given, expected, atol=0.02)  # the codec rounds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "xml"), "--format must be 'text', 'csv' or 'jsonl'"),
        (("--format", "csv", "--out", "x.jsonl"), "--format must be that of the file"),
        (("--embeddings",), "--embeddings need --format csv or jsonl"),
        (("--out", "masks"), "this run predicts neither"),
    ],
)
def test_options_that_do_not_fit(folder, call_cli, options, message):
    result = call_cli("predict", folder / "run", folder / "pictures", *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_an_empty_folder(folder, call_cli, tmp_path):
    result = call_cli("predict", folder / "run", tmp_path)
    assert result.returncode == 2
    assert "there are no files for this network" in result.stderr


def test_a_bounded_number_of_files_is_read_ahead():
    opened, done, lock = [], 0, threading.Lock()

    def paths():
        for number in range(2000):
            opened.append(number)
            yield Path(str(number))

    def read(source):
        with lock:
            return [Input(np.zeros(1, np.uint8), source.name)]

    for result in read_ahead(paths(), lambda p: iter([Source(str(p), p)]), read, rows=8):
        assert result.name == str(done)
        done += 1
        assert len(opened) - done <= 400
    assert done == 2000


def test_pictures_of_one_name_have_paths_of_their_own():
    written = {}
    names = ["a/x.png", "b/x.png", "a/x.png", "x.mp4[7]", "b/x_2.png"]
    paths = [picture_path(Path("out"), name, written).name for name in names]
    assert paths == ["x.png", "x_2.png", "x.png", "x_7.png", "x_2_2.png"]

"""``jaxcnn filter``: a kernel on a picture of the user's."""

import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

LETTER = np.array([[0, 6, 6, 0], [6, 0, 0, 6], [6, 6, 6, 6], [6, 0, 0, 6]], np.uint8)
SOBEL = "1 0 -1; 2 0 -2; 1 0 -1"


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.png"
    Image.fromarray(LETTER).save(path)
    return path


def test_a_named_kernel(call_cli, letter, tmp_path):
    result = call_cli("filter", letter, "--kernel", "sobel_x", cwd=tmp_path)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "4×4×1 → 4×4×1",
        "n_H = n_W = ⌊(4 − 3 + 2·1) / 1⌋ + 1 = 4",
        "The drawing is in letter-sobel_x.png",
    ]
    with Image.open(tmp_path / "letter-sobel_x.png") as drawn:
        assert drawn.format == "PNG"


@pytest.mark.parametrize("kernel", [SOBEL, "1,0,-1;2,0,-2;1,0,-1;", "1 0 -1; 4/2 0 -2e0; 1.0 0 -1"])
def test_the_window_of_a_matrix(call_cli, letter, tmp_path, kernel):
    out = tmp_path / "drawn.svg"
    result = call_cli("filter", letter, "--kernel", kernel, "--window", "0,1", "--out", out)
    assert "sum of the products = −6" in result.stdout
    assert "6  0  0       1  0  −1       6  0    0" in result.stdout
    assert result.stdout.endswith(f"The drawing is in {out}\n")
    assert xml.etree.ElementTree.parse(out).getroot().tag.endswith("svg")


def test_channels_that_are_added(call_cli, tmp_path):
    red, green, blue = ([[0, 0, 0], [0, 156, 155], [0, 153, 154]],
                        [[0, 0, 0], [0, 167, 166], [0, 164, 165]],
                        [[0, 0, 0], [0, 163, 162], [0, 160, 161]])  # fmt: skip
    path = tmp_path / "color.png"
    Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8)).save(path)
    kernel = "-1 -1 1; 0 1 -1; 0 1 1 | 1 0 0; 1 -1 -1; 1 0 -1 | 0 1 1; 0 1 0; 1 -1 1"
    options = ["--kernel", kernel, "--bias", 1, "--padding", "valid", "--window", "0,0"]
    result = call_cli("filter", path, *options, "--out", tmp_path / "drawn.png")
    assert "output = 308 − 498 + 164 + 1 = −25" in result.stdout
    result = call_cli("filter", path, *options, "--gray", "--out", tmp_path / "drawn.png")
    assert result.returncode == 2
    assert "with the 1 channels of the picture" in result.stderr


def test_strides_padding_and_pooling(call_cli, letter, tmp_path):
    options = ["--strides", "1,2", "--padding", "0", "--pool", "avg:2,1", "--flip", "--gray"]
    out = tmp_path / "drawn.png"
    result = call_cli("filter", letter, "--kernel", "1 2", *options, "--out", out)
    assert result.stdout.splitlines() == [
        "4×4×1 → 4×2×1 → 2×2×1",
        "n_H = ⌊(4 − 1 + 2·0) / 1⌋ + 1 = 4, n_W = ⌊(4 − 2 + 2·0) / 2⌋ + 1 = 2",
        "n_H = ⌊(4 − 2 + 2·0) / 2⌋ + 1 = 2, n_W = ⌊(2 − 1 + 2·0) / 1⌋ + 1 = 2",
        f"The drawing is in {out}",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["sobel"], "there is no kernel 'sobel'. Did you mean 'sobel_"),
        (["1 0; 2"], "rows of as many numbers each"),
        (["1 0; 2"], "with 2, 1 numbers in its rows"),
        ([""], "--kernel must be a name, or rows of"),
        (["1 0; 2 x"], "in which 'x' is not a number"),
        (["1/0"], "in which '1/0' is not a number"),
        (["1 | 1 2 | 1"], "the matrices of --kernel must have one size"),
        (["1 1 1 1 1", "--padding", "valid"], "kernel must fit into the padded input: n_W"),
        ([SOBEL, "--window", "4,0"], "an output: 0…3, 0…3. Received: window=(4, 0)"),
        ([SOBEL, "--window", "4"], "--window must be integers with a comma between, such as 3,5"),
        ([SOBEL, "--strides", "two"], "--strides must be integers"),
        ([SOBEL, "--strides", "0"], "strides must be at least 1"),
        ([SOBEL, "--padding", "sme"], "padding must be"),
        ([SOBEL, "--padding", "-1"], "padding must be at least 0"),
        ([SOBEL, "--pool", "mx:2"], "--pool must be max or avg, and its window"),
        ([SOBEL, "--pool", "max:a"], "the window of --pool must be integers"),
        ([SOBEL, "--pool", "max:9"], "window must fit"),
        ([SOBEL, "--out", "drawn.jpg"], "--out must end in .png or .svg. Received: 'drawn.jpg'"),
        ([SOBEL, "--out", "nowhere/drawn.png"], "nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(call_cli, letter, tmp_path, options, message):
    result = call_cli("filter", letter, "--kernel", *options, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["letter.png"]


def test_files_that_are_not_pictures(call_cli, tmp_path):
    words = tmp_path / "words.png"
    words.write_text("words")
    for path, message in [(words, "not a picture that can be read"), ("none.png", "no file 'none")]:
        result = call_cli("filter", path, "--kernel", "edges", cwd=tmp_path)
        assert result.returncode == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1

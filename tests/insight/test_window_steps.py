"""The window that moves over a picture writes the course's numbers, as SVG and as GIF."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from jaxcnn.insight import filter_steps
from jaxcnn.insight.plots import sliding_window
from jaxcnn.layers import avg_pool, max_pool

ARROW = np.array(
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]], np.uint8
)
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
FOUR = np.array([[2, 3, 1, 9], [4, 7, 3, 5], [8, 2, 2, 2], [1, 3, 4, 5]], np.float32)


def texts(parts):
    return [part.text for part in parts if hasattr(part, "text")]


@pytest.fixture(scope="module")
def arrow():
    return sliding_window(filter_steps(ARROW, CROSS, padding="valid"))


def test_the_arrow_of_the_course(arrow):
    assert [texts(group) for group in arrow.kept] == [[n] for n in "434243234"]
    first, *_, last = map(texts, arrow.steps)
    assert first == ["1·1", "1·0", "1·1", "0·0", "1·1", "1·0", "0·1", "0·0", "1·1", "sum = 4"]
    assert last == ["1·1", "1·0", "1·1", "1·0", "1·1", "0·0", "1·1", "0·0", "0·1", "sum = 4"]
    window, marked = (np.array(mover.places) for mover in arrow.moving)
    np.testing.assert_array_equal(
        (window - window[0]) / 36, [(column, row) for row in range(3) for column in range(3)]
    )
    np.testing.assert_array_equal(marked - marked[0], window - window[0])
    assert texts(arrow.moving[0].parts) == [f"×{n}" for n in np.ravel(CROSS)]


def test_strides_padding_and_bias():
    letter = np.array([[0, 6, 6, 0], [6, 0, 0, 6], [6, 6, 6, 6], [6, 0, 0, 6]]) / 10
    steps = filter_steps(letter, "sobel_x", strides=(2, 1), padding=1, bias=1)
    animation = sliding_window(steps)
    assert [texts(group)[0] for group in animation.kept] == [
        "−0.2", "0.4", "1.6", "2.2", "−0.2", "2.2", "−0.2", "2.2",
    ]  # fmt: skip
    assert texts(animation.steps[1]) == [
        "0·1", "0·0", "0·(−1)", "0·2", "0.6·0", "0.6·(−2)", "0.6·1", "0·0", "0·(−1)",
        "sum = −0.6,  −0.6 + 1 = 0.4",
    ]  # fmt: skip
    places = np.array(animation.moving[0].places)
    np.testing.assert_array_equal(places[4] - places[0], (0, 72))
    dashed = [part for part in animation.still if getattr(part, "dashed", False)]
    assert len(dashed) == 6 * 6 - 4 * 4


@pytest.mark.parametrize(
    ("pool", "results"),
    [
        (max_pool(2), ["max = 7", "max = 9", "max = 8", "max = 5"]),
        (avg_pool(2), ["mean = 4", "mean = 4.5", "mean = 3.5", "mean = 3.25"]),
    ],
)
def test_the_pool_of_the_course(pool, results):
    animation = sliding_window(filter_steps(FOUR, "identity", pool=pool), pool=True)
    assert [texts(parts)[-1] for parts in animation.steps] == results
    assert texts(animation.steps[1]) == ["1", "9", "3", "5", results[1]]


def test_windows_of_a_pool_leave_padding_out():
    pool = max_pool(2, strides=2, padding=1, ceil_mode=True)
    animation = sliding_window(filter_steps(FOUR[:3, :3], "identity", pool=pool), pool=True)
    assert [texts(parts) for parts in animation.steps] == [
        ["2", "max = 2"], ["3", "1", "max = 3"], ["4", "8", "max = 8"],
        ["7", "3", "2", "2", "max = 7"],
    ]  # fmt: skip


def test_the_svg_is_light_and_stands_alone(arrow):
    root = ET.fromstring(arrow.svg)
    assert len(arrow.svg) < 30_000
    assert {element.tag.split("}")[1] for element in root.iter()} == {
        "svg", "title", "style", "g", "rect", "text",
    }  # fmt: skip
    (style,) = (element.text for element in root.iter() if element.tag.endswith("style"))
    assert "prefers-reduced-motion:reduce" in style
    # Without animation the last step is seen alone.
    groups = [group for group in root.iter() if group.get("style") and group is not root]
    seen = [group for group in groups if "opacity:0" not in group.get("style")]
    assert len(groups) - len(seen) == len(arrow.steps) - 1
    assert [text.text for text in seen[-1]] == texts(arrow.steps[-1])
    assert arrow._repr_svg_() == arrow.svg


def test_the_svg_starts_with_one_step(arrow):
    ends = dict(re.findall(r"@keyframes (\w+)\{0%\{opacity:1\}([\d.]+)%", arrow.svg))
    timing = re.findall(r"animation:(\w+) ([\d.]+)s step-end -([\d.]+)s", arrow.svg)
    assert len(timing) == len(arrow.steps) == 9
    shares = [100 * float(delay) / float(whole) % 100 for _, whole, delay in timing]
    seen = [share < float(ends[name]) for share, (name, *_) in zip(shares, timing, strict=True)]
    assert seen == [True] + [False] * 8


def test_animations_on_one_page_do_not_share_names(arrow):
    other = sliding_window(filter_steps(ARROW, CROSS, padding="valid"), seconds=1)
    names = [ET.fromstring(each.svg).find("*[@class]").get("class") for each in (arrow, other)]
    assert len({*names}) == 2


def test_files(arrow, tmp_path):
    arrow.save(tmp_path / "arrow.svg")
    assert (tmp_path / "arrow.svg").read_text(encoding="utf-8") == arrow.svg
    arrow.save(tmp_path / "arrow.gif")
    with Image.open(tmp_path / "arrow.gif") as picture:
        assert picture.n_frames == 9
        assert picture.size == (2 * arrow.width, 2 * arrow.height)
        durations, pictures = [], []
        for step in range(9):
            picture.seek(step)
            durations.append(picture.info["duration"])
            pictures.append(picture.convert("RGB").tobytes())
    assert durations == [1500] * 8 + [4500]
    assert len({*pictures}) == 9
    with pytest.raises(ValueError, match=r"path must end in \.svg or \.gif\. .*arrow\.png"):
        arrow.save(tmp_path / "arrow.png")


def test_errors():
    steps = filter_steps(ARROW, CROSS)
    with pytest.raises(ValueError, match=r"steps must have a pool"):
        sliding_window(steps, pool=True)
    with pytest.raises(ValueError, match="seconds must be above 0"):
        sliding_window(steps, seconds=0)
    for shape in [(11, 5), (4, 4, 3)]:
        with pytest.raises(ValueError, match="at most 10×10 pixels with one channel"):
            sliding_window(filter_steps(np.ones(shape), "edges"))

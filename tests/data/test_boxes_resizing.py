"""Boxes move with their pictures: the box of a white rectangle, before and after resizing."""

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import box_labels
from jaxcnn.data.resizing import Resizing

RESIZINGS = [
    Resizing("squash"),
    Resizing("pad"),
    Resizing("crop"),
    Resizing("crop", "bicubic", 0.8),
    Resizing("squash", "nearest"),
]


@pytest.mark.parametrize("resizing", RESIZINGS, ids=str)
def test_box_of_a_rectangle(resizing):
    random = np.random.default_rng(0)
    seen = 0
    for _ in range(150):
        height, width = (int(side) for side in random.choice([30, 64, 97, 200], 2))
        size = tuple(int(side) for side in random.choice([32, 48, 75], 2))
        x1, y1 = (int(random.integers(0, side - 12)) for side in (width, height))
        x2, y2 = (
            int(random.integers(low + 12, side + 1)) for low, side in ((x1, width), (y1, height))
        )
        pixels = np.zeros((height, width), np.uint8)
        pixels[y1:y2, x1:x2] = 255
        old = box_labels([[[x1, y1, x2, y2]]], [[0]])
        moved = resizing.boxes(old, (height, width), size)[0, 0]
        picture = np.asarray(resizing.picture(Image.fromarray(pixels), size))
        rows, columns = np.nonzero(picture > 127)
        if moved["label"] < 0:  # its center is cut off
            assert resizing.aspect == "crop"
            assert picture.mean() < 200
            continue
        seen += 1
        white = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        # Edges between pixels are rounded to one side, with a wider filter a little farther.
        far = 1.01 if resizing.interpolation == "nearest" else 0.6
        np.testing.assert_allclose(moved["corners"], white, atol=far)
    assert seen > 50


def test_a_strip_of_which_the_middle_is_resized():
    """Of a very long picture, only the middle is read."""
    resizing = Resizing("crop")
    pixels = np.zeros((10, 20_001), np.uint8)
    pixels[2:8, 9_998:10_004] = 255
    old = box_labels([[[9_998, 2, 10_004, 8], [0, 0, 9, 9]]], [[0, 0]])
    moved = resizing.boxes(old, (10, 20_001), (20, 20))[0]
    rows, columns = np.nonzero(
        np.asarray(resizing.picture(Image.fromarray(pixels), (20, 20))) > 127
    )
    white = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    np.testing.assert_allclose(moved["corners"][0], white, atol=0.51)
    assert moved["label"].tolist() == [0, -1]


def test_rows_that_fill_up_stay_empty():
    old = box_labels([[[2, 2, 8, 8]], []], [[1], []], crowd=[[True], []], most=3)
    moved = Resizing("pad").boxes(old, (10, 20), (40, 40))
    assert moved["label"].tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert moved["crowd"].tolist() == [[True, False, False], [False, False, False]]
    assert moved["corners"][0, 0].tolist() == [4, 14, 16, 26]

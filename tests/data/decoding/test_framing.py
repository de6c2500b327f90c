"""Framing: measured on a data set and applied to any picture."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.decoding.pictures import read_picture

EVEN = Framing((28, 28, 1), background=0.0, extent=20 / 28, contrast=255.0, ink=0.2)


def bar(ground, ink, *, size=(120, 90), box=(50, 30, 60, 60), mode="L"):
    """A picture with a bar 10 wide and 30 high."""
    picture = Image.new(mode, size, ground)
    picture.paste(ink, box)
    return picture


def test_measure_reads_the_digits():
    framing = Framing.measure(cnn.data.load("digits", split="all"))
    assert framing.shape == (8, 8, 1)
    assert framing.background == 0
    assert framing.extent == 1  # these digits fill their frame from top to bottom
    assert framing.contrast == 255
    assert 0.28 < framing.ink < 0.33


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_have_no_even_ground(channels):
    images = np.random.default_rng(0).integers(0, 256, (50, 16, 12, channels), np.uint8)
    assert Framing.measure(cnn.Dataset(images, np.zeros(50, int))) == Framing((16, 12, channels))


@pytest.mark.parametrize(("ground", "ink"), [(0, 255), (255, 0), (40, 140), (200, 90)])
def test_subject_is_set_in_the_middle_at_the_usual_size(ground, ink):
    image = EVEN.apply(bar(ground, ink))
    assert image.shape == (28, 28, 1)
    assert image.dtype == np.uint8
    rows, columns = (np.flatnonzero(image[..., 0].max(axis=axis) > 64) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (4, 23)  # 20 of 28 rows
    assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 0.5
    assert image.max() == 255
    assert image[0, 0, 0] == 0


def test_dark_strokes_where_the_set_has_them():
    image = replace(EVEN, background=255.0).apply(bar(0, 255))
    assert image.min() == 0
    assert image[0, 0, 0] == 255


def test_thin_strokes_are_thickened():
    line = bar(255, 0, box=(58, 10, 60, 80))
    thin = replace(EVEN, ink=0.0).apply(line)
    usual = EVEN.apply(line)
    assert usual.mean() > 2 * thin.mean()


def test_empty_picture_is_only_ground():
    assert EVEN.apply(Image.new("RGB", (50, 40), "white")).max() == 0


def test_other_pictures_are_only_resized():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    image = Framing((6, 8, 3)).apply(Image.fromarray(pixels))
    blocks = pixels.reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(image, blocks, atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_every_mode_is_read(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    bar("white", "black", mode="RGB").convert(mode).save(path)
    image = EVEN.apply(read_picture(path))
    assert image[14, 14, 0] > 200
    assert image[0, 0, 0] == 0

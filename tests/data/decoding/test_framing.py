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


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_becomes_the_pixels_that_training_saw(tmp_path, channels):
    """Whatever its mode, size, orientation or transparency: those of load from a folder."""
    random = np.random.default_rng(0)
    for number, mode in enumerate(["L", "LA", "1", "P", "RGB", "RGBA"]):
        pixels = random.integers(0, 256, (19 + number, 30, 3), np.uint8)
        picture = Image.fromarray(pixels).convert("RGBA")
        picture.putalpha(Image.fromarray(pixels[..., 0]))
        exif = picture.getexif()
        exif[0x0112] = 1 + number % 8
        (tmp_path / "set" / mode).mkdir(parents=True)
        picture.convert(mode).save(tmp_path / "set" / mode / "picture.png", exif=exif)
    Image.fromarray(random.integers(0, 65536, (40, 20), np.uint16)).save(
        tmp_path / "set" / "P" / "deep.png"
    )
    data = cnn.data.load(tmp_path / "set", split="all", image_size=(12, 16), channels=channels)
    framing = Framing.measure(data, any_size=True)
    seen = {image.tobytes() for image in np.asarray(data.images)}
    files = list((tmp_path / "set").rglob("*.png"))
    assert len(files) == len(data) == 7
    for file in files:
        image = framing.apply(read_picture(file))
        assert image.shape == (12, 16, channels)
        assert image.tobytes() in seen, file


def test_pictures_of_the_set_are_not_framed(tmp_path):
    """Digits as files, in any mode that holds them, are the embedded digits to the last level."""
    digits = cnn.data.load("digits", split="test")
    framing = Framing.measure(cnn.data.load("digits"))
    path = tmp_path / "digit.png"
    for number, image in enumerate(digits.images[:, ..., 0]):
        Image.fromarray(image).convert(("L", "RGB", "RGBA")[number % 3]).save(path)
        picture = read_picture(path)
        assert framing.misfit(picture) is None
        np.testing.assert_array_equal(framing.apply(picture)[..., 0], image)
    drawn = Image.fromarray(255 - digits.images[0, ..., 0])
    assert framing.misfit(drawn) == "light background, not dark"
    assert framing.apply(drawn)[0, 0, 0] == 0
    np.testing.assert_array_equal(framing.apply(drawn, guess=False)[..., 0], np.asarray(drawn))
    assert framing.misfit(drawn.resize((40, 30))) == "40×30 pixels, not 8×8"
    assert replace(framing, any_size=True).misfit(bar(0, 255)) is None


def test_a_set_with_both_backgrounds_is_not_framed():
    digits = cnn.data.load("digits")
    images = digits.images.copy()
    images[7] = 255 - images[7]
    framing = Framing.measure(cnn.Dataset(images, digits.labels))
    assert framing.background is None
    assert framing.misfit(bar(255, 0)) is None


def test_images_that_no_file_holds_are_named():
    labels = np.zeros(4, int)
    scaled = Framing.measure(cnn.Dataset(np.linspace(0, 1, 400).reshape(4, 10, 10, 1), labels))
    assert scaled.apply(bar(0, 255)).shape == (10, 10, 1)
    for images in (np.linspace(-2, 2, 400).reshape(4, 10, 10, 1), np.zeros((4, 9, 2))):
        framing = Framing.measure(cnn.Dataset(images, labels))
        with pytest.raises(ValueError, match="trained on images of another form"):
            framing.apply(bar(0, 255))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_every_mode_is_read(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    bar("white", "black", mode="RGB").convert(mode).save(path)
    image = EVEN.apply(read_picture(path))
    assert image[14, 14, 0] > 200
    assert image[0, 0, 0] == 0


def test_a_picture_of_twelve_bits_and_a_large_jpeg_are_read_as_in_the_set(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "set" / "a").mkdir(parents=True)
    deep, photo = tmp_path / "set" / "a" / "deep.png", tmp_path / "set" / "a" / "photo.jpg"
    Image.fromarray(random.integers(0, 4096, (40, 30), np.uint16)).save(deep)
    Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)).save(photo)
    options = {"split": "all", "image_size": 16, "channels": 1}
    with pytest.warns(UserWarning, match=r"reach only 40\d\d, which becomes 16 .*\(0, 4095\)"):
        dark = cnn.data.load(tmp_path / "set", **options)
    data = cnn.data.load(tmp_path / "set", value_range=(0, 4095), **options)
    assert data.images[0].max() > 10 * dark.images[0].max()
    framing = Framing.measure(data, any_size=True, value_range=[0, 4095])
    for file, image in zip((deep, photo), data.images, strict=True):
        np.testing.assert_array_equal(framing.apply(framing.read(file)), image)
    for wrong in ((0, 0), (5, 1), "12"):
        with pytest.raises(ValueError, match=r"value_range must .*Received: value_range="):
            cnn.data.load(tmp_path / "set", value_range=wrong)

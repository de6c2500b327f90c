"""Picture files become images like those of the data set."""

import errno

import numpy as np
import pytest
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data.pictures import Framing, read_picture

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
    image = EVEN._replace(background=255.0).apply(bar(0, 255))
    assert image.min() == 0
    assert image[0, 0, 0] == 255


def test_thin_strokes_are_thickened():
    line = bar(255, 0, box=(58, 10, 60, 80))
    thin = EVEN._replace(ink=0.0).apply(line)
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


def test_sixteen_bit_pictures_keep_their_levels(tmp_path):
    levels = np.zeros((40, 40), np.uint16)
    levels[10:30, 15:25] = 65535
    Image.fromarray(levels).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "deep.png")), levels // 257)


def test_transparent_is_white(tmp_path):
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (8, 4, 12, 16))
    picture.save(tmp_path / "ink.png")
    gray = np.asarray(read_picture(tmp_path / "ink.png").convert("L"))
    assert gray[0, 0] == 255
    assert gray[10, 10] == 0


def test_rotation_in_exif_is_applied(tmp_path):
    picture = Image.new("RGB", (40, 20))
    exif = picture.getexif()
    exif[0x0112] = 6  # rotated by a quarter turn
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").size == (20, 40)


def test_missing_and_fake_files(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*nowhere\.png"):
        read_picture(tmp_path / "nowhere.png")
    (tmp_path / "fake.png").write_text("words")
    with pytest.raises(ValueError, match=r"fake\.png.* is not a picture"):
        read_picture(tmp_path / "fake.png")
    bar(0, 255).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"half\.png.* is not a picture"):
        read_picture(tmp_path / "half.png")
    with pytest.raises(ValueError, match="is not a picture but a folder"):
        read_picture(tmp_path)


def test_what_may_pass_is_not_the_pictures_fault(tmp_path, monkeypatch):
    """Neither a file that cannot be opened now nor want of memory makes a picture unreadable."""
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(OSError, match=r"loop\.png") as caught:
        read_picture(tmp_path / "loop.png")
    assert caught.value.errno == errno.ELOOP
    bar(0, 255).save(tmp_path / "bar.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: bytearray(1 << 62))
    with pytest.raises(MemoryError):
        read_picture(tmp_path / "bar.png")

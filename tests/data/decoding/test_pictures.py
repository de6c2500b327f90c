"""Reading of picture files: depth, transparency, orientation, and files that are no pictures."""

import errno
import io
import os

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data.decoding.pictures import read_picture
from jaxcnn.data.resizing import SQUASH


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
    Image.new("L", (120, 90)).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"half\.png.* is not a picture"):
        read_picture(tmp_path / "half.png")
    with pytest.raises(ValueError, match="is not a picture but a folder"):
        read_picture(tmp_path)


def test_temporary_errors_do_not_make_a_picture_unreadable(tmp_path, monkeypatch):
    """A file that cannot be opened, or too little memory, raises the error itself."""
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(OSError, match=r"loop\.png") as caught:
        read_picture(tmp_path / "loop.png")
    assert caught.value.errno == errno.ELOOP
    Image.new("L", (120, 90)).save(tmp_path / "bar.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: bytearray(1 << 62))
    with pytest.raises(MemoryError):
        read_picture(tmp_path / "bar.png")


def test_only_the_listed_formats_are_opened(tmp_path, monkeypatch):
    """Pillow would run Ghostscript, and with it the program in the file, to read an EPS."""
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: started.append(1))
    Image.new("RGB", (4, 4)).save(tmp_path / "page.eps")
    disguised = (tmp_path / "page.eps").rename(tmp_path / "page.png")
    with pytest.raises(ValueError, match=r"page\.png.* it is none of AVIF, BMP, GIF, JPEG, PNG"):
        read_picture(disguised)
    with pytest.raises(ValueError, match="it is none of AVIF"):
        read_picture(io.BytesIO(disguised.read_bytes()), name="a record")
    assert not started


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpg", "png", "pgm", "ppm", "tiff", "webp"])
def test_a_format_is_found_whatever_the_file_is_called(tmp_path, suffix):
    Image.new("L", (4, 3), 255).save(tmp_path / f"white.{suffix}")
    renamed = (tmp_path / f"white.{suffix}").rename(tmp_path / "white.png")
    assert (np.asarray(read_picture(renamed)) == 255).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png.* it is not a regular file"):
        read_picture(tmp_path / "pipe.png")


def save(levels, path, **options):
    Image.fromarray(levels).save(path, **options)
    return path


def test_a_range_spreads_twelve_bits_over_eight(tmp_path):
    levels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = save(levels, tmp_path / "slice.png")
    picture = read_picture(path, value_range=(0, 4095))
    np.testing.assert_array_equal(np.asarray(picture), levels.astype(int) * 255 // 4095)
    window = np.asarray(read_picture(path, value_range=(1000, 2000)))
    expected = (levels.astype(int).clip(1000, 2000) - 1000) * 255 // 1000
    np.testing.assert_array_equal(window, expected)


def test_transparency_of_sixteen_bits_is_white(tmp_path):
    levels = np.full((4, 4), 20000, np.uint16)
    levels[1, 2] = 777
    path = save(levels, tmp_path / "clear.png", transparency=777)
    expected = np.where(levels == 777, 255, 20000 // 257)
    np.testing.assert_array_equal(np.asarray(read_picture(path)), expected)


def test_values_of_32_bits_need_a_range_and_must_be_finite(tmp_path):
    levels = np.linspace(-1, 3, 12, dtype=np.float32).reshape(3, 4)
    path = save(levels, tmp_path / "depth.tif")
    rule = r"depth\.tif.*no known range \(mode F\), from -1\.0 to 3\.0: give value_range=\(low, hi"
    with pytest.raises(ValueError, match=rule):
        read_picture(path)
    expected = (levels.astype(float).clip(0, 2) * 255 // 2).astype(int)
    np.testing.assert_array_equal(np.asarray(read_picture(path, value_range=(0, 2))), expected)
    levels[0, :2] = np.nan, np.inf
    path = save(levels, tmp_path / "holes.tif")
    with pytest.raises(ValueError, match=r"holes\.tif.*NaN or infinite in 2 of 12 pixels"):
        read_picture(path, value_range=(0, 2))


def test_a_picture_above_the_limit_is_named_with_the_way_to_raise_it(tmp_path, monkeypatch):
    path = save(np.zeros((30, 40), np.uint8), tmp_path / "scan.png")
    for limit in (1100, 500):  # from twice the limit Pillow refuses by itself
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        rule = rf"scan\.png.* has 1,200 pixels, more than PIL\.Image\.MAX_IMAGE_PIXELS, {limit:,}"
        with pytest.raises(ValueError, match=rule):
            read_picture(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_picture(path).size == (40, 30)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(tmp_path, orientation):
    """To within a gray level of the whole one, resized."""
    rough = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.fromarray(rough).resize((900, 600), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    whole = SQUASH.picture(read_picture(tmp_path / "photo.jpg"), (40, 40))
    picture = read_picture(tmp_path / "photo.jpg", least=lambda stored: (80, 80))
    assert min(picture.size) == 150  # a quarter: an eighth is below 80
    small = np.asarray(SQUASH.picture(picture, (40, 40)), int)
    assert np.abs(small - np.asarray(whole)).max() <= 2

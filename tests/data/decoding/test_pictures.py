"""Reading of picture files: depth, transparency, orientation, and files that are no pictures."""

import errno
import io
import os

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data.decoding.pictures import read_picture


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

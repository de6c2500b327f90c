"""Picture files, decoded to 8 bits of gray or color."""

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

# The only formats that are opened, whatever a file is called: for an EPS in a PNG's place Pillow
# would start Ghostscript, which runs the program in the file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


class UnreadablePicture(ValueError):
    """A missing or damaged picture; the message names it."""


def read_picture(
    file: str | Path | BinaryIO | Image.Image, *, name: str | None = None
) -> Image.Image:
    """Return the picture in a file, converted by :func:`plain`; of an animation the first frame.

    Args:
      file: A path or an open file of one of `FORMATS`, or an opened Pillow image.
      name: Name of the picture in errors; ``None`` means its path.

    Raises:
      MemoryError: The picture does not fit into memory.
      OSError: The file exists and cannot be read, for a reason that may be temporary.
      UnreadablePicture: There is no such file, or it is not a readable picture.
    """
    name = repr(str(file)) if name is None else name
    try:
        if isinstance(file, Image.Image):
            # Another library may have opened it and not decoded it yet.
            if isinstance(file, ImageFile.ImageFile) and file.format not in (*FORMATS, "MPO"):
                raise ValueError(
                    f"its format {file.format} is none of {', '.join(FORMATS)}; if you trust it, "
                    "pass picture.copy()"
                )
            return plain(file)
        if isinstance(file, str | Path):
            # Read the whole file first: later errors are caused by its contents, not by the disk.
            if not stat.S_ISREG(os.stat(file).st_mode) and not os.path.isdir(file):
                raise ValueError("it is not a regular file")  # a pipe would be waited for
            with open(file, "rb", buffering=0) as opened:
                file = io.BytesIO(opened.readall())
        with Image.open(file, formats=FORMATS) as picture:
            return plain(picture)
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except IsADirectoryError:
        raise UnreadablePicture(f"{name} is not a picture but a folder") from None
    except Exception as error:  # each format has its own errors for a damaged file
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or name
            raise
        # The text of an UnidentifiedImageError names only the buffer.
        known = not isinstance(error, UnidentifiedImageError)
        reason = error if known else f"it is none of {', '.join(FORMATS)}"
        raise UnreadablePicture(f"{name} is not a picture that can be read: {reason}") from error


def plain(picture: Image.Image) -> Image.Image:
    """Return a picture upright, in 8 bits of gray (L) or color (RGB), with transparency on white.

    The EXIF orientation is applied, 16 bits are scaled to 8, and a palette becomes color.

    >>> plain(Image.new("LA", (1, 1), (0, 51))).getpixel((0, 0))  # black at 20 % opacity, on white
    204

    Args:
      picture: A picture of any mode without 32-bit values, whose range is unknown.

    Raises:
      ValueError: The values have 32 bits.
    """
    picture.load()
    # Pillow widens a PGM of 16 bits to 32 bits, and scales it to their range.
    deep = picture.mode.startswith("I;16") or (picture.mode, picture.format) == ("I", "PPM")
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if deep:
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its values have 32 bits and no known range (mode {picture.mode})")
    mode = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == mode else picture.convert(mode)

"""Picture files, decoded to 8 bits of gray or color."""

import errno
import io
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from jaxcnn import arguments

# The only formats that are opened, whatever a file is called: for an EPS in a PNG's place Pillow
# would start Ghostscript, which runs the program in the file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

# The values of a deep picture that become black and white.
ValueRange: TypeAlias = Sequence[float] | None
# From the height and width of a picture to those below which it is not decoded.
Least: TypeAlias = Callable[[tuple[int, int]], tuple[int, int]]
# The EXIF orientations that exchange height and width.
_TURNED = (5, 6, 7, 8)


class UnreadablePicture(ValueError):
    """A missing or damaged picture; the message names it."""


def read_picture(
    file: str | Path | BinaryIO | Image.Image,
    *,
    name: str | None = None,
    value_range: ValueRange = None,
    least: Least | None = None,
) -> Image.Image:
    """Return the picture in a file, converted by :func:`plain`; of an animation the first frame.

    Args:
      file: A path or an open file of one of `FORMATS`, or an opened Pillow image.
      name: Name of the picture in errors; ``None`` means its path.
      value_range: As for :func:`plain`.
      least: Return the height and width below which the picture need not be decoded, from its own:
        a JPEG is decoded at a half, a quarter or an eighth of its size where that is not below.

    Raises:
      MemoryError: The picture does not fit into memory.
      OSError: The file exists and cannot be read, for a reason that may be temporary.
      UnreadablePicture: There is no such file, or it is not a readable picture, or a larger one
        than Pillow's limit.
    """
    name = arguments.shown(str(file)) if name is None else name
    try:
        if isinstance(file, Image.Image):
            # Another library may have opened it and not decoded it yet.
            if isinstance(file, ImageFile.ImageFile) and file.format not in (*FORMATS, "MPO"):
                raise ValueError(
                    f"its format {file.format} is none of {', '.join(FORMATS)}; if you trust it, "
                    "pass picture.copy()"
                )
            return plain(file, value_range)
        if isinstance(file, str | Path):
            # Read the whole file first: later errors are caused by its contents, not by the disk.
            if not stat.S_ISREG(os.stat(file).st_mode) and not os.path.isdir(file):
                raise ValueError("it is not a regular file")  # a pipe would be waited for
            with open(file, "rb", buffering=0) as opened:
                file = io.BytesIO(opened.readall())
        with Image.open(file, formats=FORMATS) as picture:
            _check_pixels(picture)
            if least is not None:
                turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
                width, height = picture.size[::-1] if turned else picture.size
                height, width = least((height, width))
                # Changes a JPEG alone.
                picture.draft(None, (height, width) if turned else (width, height))
            return plain(picture, value_range)
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except IsADirectoryError:
        raise UnreadablePicture(f"{name} is not a picture but a folder") from None
    except Exception as error:  # each format has its own errors for a damaged file
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            if error.errno == errno.ENAMETOOLONG:
                raise UnreadablePicture(f"there is no file {name}: the name is too long") from None
            error.filename = error.filename or name
            raise
        # The text of an UnidentifiedImageError names only the buffer.
        known = not isinstance(error, UnidentifiedImageError)
        reason = str(error) if known else f"it is none of {', '.join(FORMATS)}"
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
            reason = _too_large(str(error).split("(")[1].split()[0])
        raise UnreadablePicture(f"{name} is not a picture that can be read: {reason}") from error


def picture_shape(file: str | Path | bytes) -> tuple[int, int, int]:
    """Return height, width and channels of a picture, 1 or 3, from its header, as it is stored.

    Raises:
      UnreadablePicture: There is no such file, or its header cannot be read.
    """
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        with Image.open(source, formats=FORMATS) as picture:
            return picture.height, picture.width, 1 if _is_gray(picture.mode) else 3
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        name = "a picture" if isinstance(file, bytes) else arguments.shown(str(file))
        raise UnreadablePicture(f"{name} cannot be read: {error}") from error


def plain(picture: Image.Image, value_range: ValueRange = None) -> Image.Image:
    """Return a picture upright, in 8 bits of gray (L) or color (RGB), with transparency on white.

    The EXIF orientation is applied, values of more than 8 bits are scaled to 8, and a palette
    becomes color. The largest value of a 16-bit picture without `value_range` is its
    ``info["largest"]``.

    >>> plain(Image.new("LA", (1, 1), (0, 51))).getpixel((0, 0))  # black at 20 % opacity, on white
    204

    Args:
      picture: A picture of any mode.
      value_range: The values that become black and white, of gray pictures of 16 or 32 bits;
        ``None`` means the whole range of 16 bits. A PGM states its own range.

    Raises:
      ValueError: Values of 32 bits need a `value_range`, or are not finite.
    """
    picture.load()
    # Pillow widens a PGM of 16 bits to 32 bits, and scales it to their range.
    scaled = (picture.mode, picture.format) == ("I", "PPM")
    transparent = picture.info.get("transparency")
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if scaled:
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode.startswith("I") or picture.mode == "F":
        return _to_eight_bits(picture, value_range, transparent)
    mode = "L" if _is_gray(picture.mode) else "RGB"
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == mode else picture.convert(mode)


def _is_gray(mode: str) -> bool:
    return mode in ("1", "L", "LA", "La", "F") or mode.startswith("I")


def _to_eight_bits(
    picture: Image.Image, value_range: ValueRange, transparent: int | None
) -> Image.Image:
    """Return a gray picture of 16 or 32 bits in 8 bits, its transparent value white."""
    levels = np.asarray(picture)
    if levels.dtype.kind == "f" and not np.isfinite(levels).all():
        bad = levels.size - np.count_nonzero(np.isfinite(levels))
        raise ValueError(f"its values are NaN or infinite in {bad} of {levels.size} pixels")
    is_known = picture.mode.startswith("I;16")
    if value_range is None and not is_known:
        raise ValueError(
            f"its values have 32 bits and no known range (mode {picture.mode}), from "
            f"{levels.min()} to {levels.max()}: give value_range=(low, high)"
        )
    if value_range is None:
        gray = levels // 257
    else:
        low, high = value_range
        # Exact: 64-bit floating point holds the products of 16-bit and usual 32-bit values.
        gray = (levels.astype(np.float64).clip(low, high) - low) * 255 // (high - low)
    if isinstance(transparent, int):
        gray[levels == transparent] = 255
    result = Image.fromarray(gray.astype(np.uint8))
    if value_range is None:
        result.info["largest"] = int(levels.max())
    return result


def _check_pixels(picture: Image.Image) -> None:
    limit, pixels = Image.MAX_IMAGE_PIXELS, picture.width * picture.height
    if limit is not None and pixels > limit:
        raise ValueError(_too_large(pixels))


def _too_large(pixels: int | str) -> str:
    return (
        f"it has {int(pixels):,} pixels, more than PIL.Image.MAX_IMAGE_PIXELS, "
        f"{Image.MAX_IMAGE_PIXELS:,}. Make it smaller, or raise that limit if you trust it"
    )

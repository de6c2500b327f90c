"""Picture files, brought into the shape in which a data set shows its subjects."""

import io
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFilter, ImageOps, UnidentifiedImageError

from jaxcnn.data.dataset import Dataset

# Sets such as digits show a light stroke on an even ground. The ground is even where the corners
# of this share of images lie within this many gray levels of their median.
_EVEN_SHARE, _EVEN_LEVELS = 0.75, 32
# What differs from the ground by this share of the picture's contrast belongs to the subject.
_SUBJECT_SHARE = 0.25
# A typical image is seen in so many of them; of a larger set every n-th is looked at.
_SAMPLE = 5_000
# Below this many gray levels of contrast a picture is taken to be empty.
_LEAST_CONTRAST = 16
# Strokes are thickened at so many times the data set's resolution, on each side by at most two of
# its pixels.
_DETAIL = 8
_MOST_GROWTH = 2 * _DETAIL


class Framing(NamedTuple):
    """How the images of a data set show their subject, so that any picture can be shown alike.

    Attributes:
      shape: ``(H, W, C)`` of the images as they were stored, before any resizing.
      background: Gray level of the ground, or ``None`` where it is not even (photographs).
      extent: Share of the frame that the subject fills along its longer side, in (0, 1].
      contrast: Largest difference from the ground in a typical image, in gray levels.
      ink: Mean difference from the ground over a typical image, as a share of the contrast.
    """

    shape: tuple[int, int, int]
    background: float | None = None
    extent: float = 1.0
    contrast: float = 255.0
    ink: float = 1.0

    @classmethod
    def measure(cls, data: Dataset) -> "Framing":
        """Reads the framing off a data set of uint8 images.

        >>> images = np.zeros((5, 28, 28, 1), np.uint8)
        >>> images[:, 4:24, 10:18] = 255
        >>> Framing.measure(Dataset(images, np.zeros(5, int)))
        Framing(shape=(28, 28, 1), background=0.0, extent=0.714..., contrast=255.0, ink=0.204...)
        """
        height, width, channels = data.image_shape
        shape = (height, width, channels)
        images = data.images[:: -(-len(data) // _SAMPLE)]
        corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]].astype(float)
        background = float(np.median(corners))
        even = np.mean(np.abs(corners - background) <= _EVEN_LEVELS) >= _EVEN_SHARE
        if channels != 1 or not even:
            return cls(shape)
        differences = np.abs(images[..., 0] - background)
        contrast = float(np.median(differences.max(axis=(1, 2)))) or 255.0
        ink = float(np.median(differences.mean(axis=(1, 2)))) / contrast
        boxes = [_subject(difference) for difference in differences]
        sides = [
            max((bottom - top) / height, (right - left) / width)
            for top, bottom, left, right in boxes
        ]
        return cls(shape, background, float(np.median(sides)), contrast, ink)

    def apply(self, picture: Image.Image) -> np.ndarray:
        """Returns ``picture`` as uint8 ``(H, W, C)`` of this framing's shape.

        Where the ground is even, the picture is turned negative if its own ground is the
        opposite (ink on paper for a set of light strokes), its subject is cut out and set in the
        middle at the usual size and contrast, and strokes thinner than usual are thickened (a
        pen's line would all but vanish in 8×8 pixels). Other pictures are only resized.
        """
        height, width, channels = self.shape
        picture = picture.convert("L" if channels == 1 else "RGB")
        if self.background is None:
            resized = picture.resize((width, height), Image.Resampling.BOX)
            return np.asarray(resized).reshape(self.shape)
        levels = np.asarray(picture, float)
        edges = [levels[0], levels[-1], levels[:, 0], levels[:, -1]]
        ground = float(np.median(np.concatenate(edges)))
        differences = np.abs(levels - ground)
        drawing = self._draw(differences) if differences.max() >= _LEAST_CONTRAST else 0.0
        # The strokes of the data set lie on the side of its ground where there is room.
        sign = 1 if self.background < 128 else -1
        image = np.full((height, width, 1), self.background) + sign * self.contrast * drawing
        return image.clip(0, 255).round().astype(np.uint8)

    def _draw(self, differences: np.ndarray) -> np.ndarray:
        """Returns the subject of a picture in the frame, ``(H, W, 1)`` shares of the contrast."""
        top, bottom, left, right = _subject(differences)
        levels = differences[top:bottom, left:right] * (255 / differences.max())
        subject = self._fit(Image.fromarray(levels.round().astype(np.uint8)), _DETAIL)
        drawings = []
        for growth in range(_MOST_GROWTH + 1):
            larger = ImageOps.expand(subject, growth)
            thicker = self._fit(larger.filter(ImageFilter.MaxFilter(2 * growth + 1)), 1)
            frame = Image.new("L", (self.shape[1], self.shape[0]))
            x, y = (frame.width - thicker.width) // 2, (frame.height - thicker.height) // 2
            frame.paste(thicker, (x, y))
            drawings.append(np.asarray(frame)[..., None] / 255)
        return min(drawings, key=lambda drawing: abs(drawing.mean() - self.ink))

    def _fit(self, subject: Image.Image, detail: int) -> Image.Image:
        """Returns ``subject`` at the usual extent in a frame of ``detail`` times the size."""
        frame = self.shape[1], self.shape[0]
        scale = detail * self.extent * min(a / b for a, b in zip(frame, subject.size, strict=True))
        width, height = (max(round(side * scale), 1) for side in subject.size)
        return subject.resize((width, height), Image.Resampling.BOX)


class UnreadablePicture(ValueError):
    """There is no picture, or it is damaged; the message names it."""


def read_picture(
    file: str | Path | BinaryIO | Image.Image, *, name: str | None = None
) -> Image.Image:
    """Returns the picture in a file as :func:`plain` makes it; of an animation the first frame.

    Args:
      file: A path or an open file, of any format that Pillow reads, or what Pillow has opened.
      name: What an error calls the picture; ``None`` means its path.

    Raises:
      MemoryError: it is larger than memory.
      OSError: the file is there and cannot be read, for a reason that may pass.
      UnreadablePicture: there is no such file, or it is not a picture that can be read.
    """
    name = repr(str(file)) if name is None else name
    try:
        if isinstance(file, Image.Image):
            return plain(file)
        if isinstance(file, str | Path):
            # Read at once: what fails from here on is the picture's fault, and not the disk's.
            with open(file, "rb", buffering=0) as opened:
                file = io.BytesIO(opened.readall())
        with Image.open(file) as picture:
            return plain(picture)
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except IsADirectoryError:
        raise UnreadablePicture(f"{name} is not a picture but a folder") from None
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        if isinstance(error, MemoryError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or name
            raise
        known = not isinstance(error, UnidentifiedImageError)  # whose text names a mere buffer
        message = f"{name} is not a picture that can be read"
        raise UnreadablePicture(f"{message}: {error if known else 'of no known format'}") from error


def plain(picture: Image.Image) -> Image.Image:
    """Returns a picture upright, in 8 bits of gray (L) or color (RGB), transparency on white.

    It is turned as its EXIF data say. 16 bits are scaled to 8; a palette is color.

    >>> plain(Image.new("LA", (1, 1), (0, 51))).getpixel((0, 0))  # a fifth of black, on white
    204

    Args:
      picture: Of any mode but those of 32 bits, whose range is not known.

    Raises:
      ValueError: its values have 32 bits.
    """
    picture.load()
    # Pillow widens a PGM of 16 bits to 32, and scales it to their range.
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


def _subject(differences: np.ndarray) -> tuple[int, int, int, int]:
    """Returns top, bottom, left and right of what stands out from the ground."""
    stands_out = differences >= _SUBJECT_SHARE * differences.max()
    rows, columns = (np.flatnonzero(stands_out.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1

"""Framing: size, position and contrast of the subjects in a data set's images."""

import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from jaxcnn import shapes
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.decoding.pictures import ValueRange, read_picture
from jaxcnn.data.resizing import SQUASH, Resizing

# The background is uniform where the corners of this share of images are within this many gray
# levels of their median, as for light strokes on black.
_UNIFORM_SHARE, _UNIFORM_LEVELS = 0.75, 32
# A border that differs by more gray levels from the background of the set is the opposite one.
_OPPOSITE_LEVELS = 127.5
# Pixels that differ from the background by this share of the contrast belong to the subject.
_SUBJECT_SHARE = 0.25
# Images measured at most; of a larger set every n-th.
_MOST_MEASURED = 5_000
# A picture with less contrast than this, in gray levels, counts as empty.
_LEAST_CONTRAST = 16
# Strokes are thickened at this multiple of the data set's resolution, on each side by at most two
# pixels of the data set.
_DETAIL = 8
_MOST_GROWTH = 2 * _DETAIL


@dataclass(frozen=True)
class Framing:
    """Size, position and contrast of the subjects in a data set's images.

    :meth:`apply` gives any picture the form of those images before a model sees it.

    Attributes:
      shape: Shape of an image as stored, before any resizing; ``(H, W, C)`` of pictures.
      background: Gray level of the background, or ``None`` where it is not uniform (photographs).
      extent: Share of the frame that the subject fills along its longer side, in (0, 1].
      contrast: Largest difference from the background in a typical image, in gray levels.
      ink: Mean difference from the background in a typical image, as a share of the contrast.
      any_size: Whether pictures of any size belong to the set, and are resized to `shape`.
      value_range: Values of pictures of more than 8 bits that become black and white.
      is_pixels: Whether the images are pixels: uint8, or floating point in 0…1.
      aspect, interpolation, crop_share: As :func:`jaxcnn.data.load` took them.
    """

    shape: shapes.Shape
    background: float | None = None
    extent: float = 1.0
    contrast: float = 255.0
    ink: float = 1.0
    any_size: bool = False
    value_range: ValueRange = None
    is_pixels: bool = True
    aspect: str = "squash"
    interpolation: str = "bilinear"
    crop_share: float = 1.0

    @functools.cached_property  # its checks take 3 µs, and a small picture is decoded in 40
    def resizing(self) -> Resizing:
        """The way in which pictures get their size."""
        return Resizing(self.aspect, self.interpolation, self.crop_share)

    @classmethod
    def measure(
        cls,
        data: Dataset,
        *,
        any_size: bool = False,
        value_range: ValueRange = None,
        resizing: Resizing = SQUASH,
    ) -> "Framing":
        """Measure the framing of a data set.

        >>> images = np.zeros((5, 28, 28, 1), np.uint8)
        >>> images[:, 4:24, 10:18] = 255
        >>> framing = Framing.measure(Dataset(images, np.zeros(5, int)))
        >>> framing.shape, framing.background, framing.contrast, round(framing.extent, 3)
        ((28, 28, 1), 0.0, 255.0, 0.714)

        Args:
          data: The images as stored, before any resizing.
          any_size: Whether the pictures that they were decoded from may have other sizes.
          value_range: As :func:`jaxcnn.data.load` took it.
          resizing: The way in which they got their size.
        """
        known: dict[str, Any] = {
            "any_size": any_size,
            "value_range": value_range,
            **asdict(resizing),
        }
        shape = data.image_shape
        images = np.asarray(data.images[:: -(-len(data) // _MOST_MEASURED)])
        if images.dtype != np.uint8:
            if images.min() < 0 or images.max() > 1:
                return cls(shape, **known, is_pixels=False)
            images = images * 255
        if len(shape) != 3 or shape[-1] != 1:
            return cls(shape, **known)
        height, width, _ = shape
        corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]].astype(float)
        background = float(np.median(corners))
        uniform = np.mean(np.abs(corners - background) <= _UNIFORM_LEVELS) >= _UNIFORM_SHARE
        levels = images[..., 0].astype(float)
        if not uniform or any(_is_opposite(image, background) for image in levels):
            return cls(shape, **known)
        differences = np.abs(levels - background)
        contrast = float(np.median(differences.max(axis=(1, 2)))) or 255.0
        ink = float(np.median(differences.mean(axis=(1, 2)))) / contrast
        boxes = [subject_box(difference) for difference in differences]
        sides = [
            max((bottom - top) / height, (right - left) / width)
            for top, bottom, left, right in boxes
        ]
        return cls(shape, background, float(np.median(sides)), contrast, ink, **known)

    def read(
        self, file: str | Path | BinaryIO | Image.Image, *, name: str | None = None
    ) -> Image.Image:
        """Return the picture in a file, or a frame, as pictures of the set were read.

        Args:
          file: A path, or an open file.
          name: Name of the picture in errors; ``None`` means its path.

        Raises:
          UnreadablePicture: There is no such file, or it is not a readable picture.
        """
        height, width, *_ = self.shape
        least = functools.partial(self.resizing.least, size=(height, width))
        return read_picture(
            file,
            name=name,
            value_range=self.value_range,
            least=least if self.any_size else None,
        )

    def misfit(self, picture: Image.Image) -> str | None:
        """Return why a picture cannot be one of the data set; ``None`` if it can.

        Only sets with a uniform background are judged: by the size of their images, if they all
        have one, and by the background, where the picture's border is the opposite.
        """
        if self.background is None:
            return None
        height, width, _ = self.shape
        if not self.any_size and picture.size != (width, height):
            return f"{picture.width}×{picture.height} pixels, not {width}×{height}"
        if _is_opposite(np.asarray(picture.convert("L"), float), self.background):
            light, dark = ("light", "dark") if self.background < 128 else ("dark", "light")
            return f"{light} background, not {dark}"
        return None

    def check_pictures(self) -> None:
        """Check that picture files can have the form of the set's images.

        Raises:
          ValueError: They cannot.
        """
        if not self.is_pixels or len(self.shape) != 3 or self.shape[-1] not in (1, 3):
            form = "" if self.is_pixels else " floating-point values beyond 0…1,"
            raise ValueError(
                "picture files become pixels (H, W, 1 or 3), and this model was trained on images "
                f"of another form: use cnn.predict(model, images). Received:{form} shape "
                f"{self.shape}"
            )

    def apply(self, picture: Image.Image, *, guess: bool = True) -> np.ndarray:
        """Return `picture` as uint8 ``(H, W, C)``, as an image of the data set.

        A picture that can be one of the set (see :meth:`misfit`) is converted to its channels and
        resized, as :func:`jaxcnn.data.load` does. Any other is inverted if its background is the
        opposite (ink on paper for a set of light strokes), its subject is cropped and centered at
        the usual size and contrast, and thin strokes are thickened (a pen's line would nearly
        vanish in 8×8 pixels).

        Args:
          picture: A picture as :meth:`read` returns it.
          guess: Whether a picture that does not fit the set is changed so.

        Raises:
          ValueError: No picture has the form of the set's images.
        """
        self.check_pictures()
        height, width, channels = self.shape
        if not guess or self.misfit(picture) is None:
            converted = picture.convert("L" if channels == 1 else "RGB")
            # The crop of a set of one size follows, as it did in training.
            whole = self.resizing if self.any_size else replace(self.resizing, crop_share=1)
            resized = whole.picture(converted, (height, width))
            return np.asarray(resized).reshape(self.shape)
        assert self.background is not None  # otherwise every picture fits
        levels = np.asarray(picture.convert("L"), float)
        differences = np.abs(levels - border_level(levels))
        drawing = self._draw(differences) if differences.max() >= _LEAST_CONTRAST else 0.0
        # The strokes of the data set are on the side of the background that has more levels.
        sign = 1 if self.background < 128 else -1
        image = np.full((height, width, 1), self.background) + sign * self.contrast * drawing
        return image.clip(0, 255).round().astype(np.uint8)

    def _draw(self, differences: np.ndarray) -> np.ndarray:
        """Return the subject in the frame, ``(H, W, 1)``, as shares of the contrast."""
        top, bottom, left, right = subject_box(differences)
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
        """Return `subject` at the usual extent in a frame of `detail` times the size."""
        frame = self.shape[1], self.shape[0]
        scale = detail * self.extent * min(a / b for a, b in zip(frame, subject.size, strict=True))
        width, height = (max(round(side * scale), 1) for side in subject.size)
        return SQUASH.picture(subject, (height, width))


def border_level(levels: np.ndarray) -> float:
    """Return the median gray level of a picture's border."""
    return float(np.median(np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])))


def _is_opposite(levels: np.ndarray, background: float) -> bool:
    return abs(border_level(levels) - background) > _OPPOSITE_LEVELS


def subject_box(differences: np.ndarray) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the pixels that differ from the background."""
    differs = differences >= _SUBJECT_SHARE * differences.max()
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1

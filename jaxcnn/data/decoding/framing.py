"""Framing: size, position and contrast of the subjects in a data set's images."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from jaxcnn.data.dataset import Dataset

# The background is uniform where the corners of this share of images are within this many gray
# levels of their median, as for light strokes on black.
_UNIFORM_SHARE, _UNIFORM_LEVELS = 0.75, 32
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

    :meth:`apply` gives any picture the same framing before a model sees it.

    Attributes:
      shape: ``(H, W, C)`` of the images as stored, before any resizing.
      background: Gray level of the background, or ``None`` where it is not uniform (photographs).
      extent: Share of the frame that the subject fills along its longer side, in (0, 1].
      contrast: Largest difference from the background in a typical image, in gray levels.
      ink: Mean difference from the background in a typical image, as a share of the contrast.
    """

    shape: tuple[int, int, int]
    background: float | None = None
    extent: float = 1.0
    contrast: float = 255.0
    ink: float = 1.0

    @classmethod
    def measure(cls, data: Dataset) -> "Framing":
        """Measure the framing of a data set of uint8 images.

        >>> images = np.zeros((5, 28, 28, 1), np.uint8)
        >>> images[:, 4:24, 10:18] = 255
        >>> Framing.measure(Dataset(images, np.zeros(5, int)))
        Framing(shape=(28, 28, 1), background=0.0, extent=0.714..., contrast=255.0, ink=0.204...)
        """
        height, width, channels = data.image_shape
        shape = (height, width, channels)
        images = data.images[:: -(-len(data) // _MOST_MEASURED)]
        corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]].astype(float)
        background = float(np.median(corners))
        uniform = np.mean(np.abs(corners - background) <= _UNIFORM_LEVELS) >= _UNIFORM_SHARE
        if channels != 1 or not uniform:
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
        """Return `picture` as uint8 ``(H, W, C)`` with this framing.

        Where the data set has a uniform background, the picture is inverted if its own background
        is the opposite (ink on paper for a set of light strokes), its subject is cropped and
        centered at the usual size and contrast, and thin strokes are thickened (a pen's line would
        nearly vanish in 8×8 pixels). Other pictures are only resized.
        """
        height, width, channels = self.shape
        picture = picture.convert("L" if channels == 1 else "RGB")
        if self.background is None:
            resized = picture.resize((width, height), Image.Resampling.BOX)
            return np.asarray(resized).reshape(self.shape)
        levels = np.asarray(picture, float)
        edges = [levels[0], levels[-1], levels[:, 0], levels[:, -1]]
        background = float(np.median(np.concatenate(edges)))
        differences = np.abs(levels - background)
        drawing = self._draw(differences) if differences.max() >= _LEAST_CONTRAST else 0.0
        # The strokes of the data set are on the side of the background that has more levels.
        sign = 1 if self.background < 128 else -1
        image = np.full((height, width, 1), self.background) + sign * self.contrast * drawing
        return image.clip(0, 255).round().astype(np.uint8)

    def _draw(self, differences: np.ndarray) -> np.ndarray:
        """Return the subject in the frame, ``(H, W, 1)``, as shares of the contrast."""
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
        """Return `subject` at the usual extent in a frame of `detail` times the size."""
        frame = self.shape[1], self.shape[0]
        scale = detail * self.extent * min(a / b for a, b in zip(frame, subject.size, strict=True))
        width, height = (max(round(side * scale), 1) for side in subject.size)
        return subject.resize((width, height), Image.Resampling.BOX)


def _subject(differences: np.ndarray) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the pixels that differ from the background."""
    differs = differences >= _SUBJECT_SHARE * differences.max()
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1

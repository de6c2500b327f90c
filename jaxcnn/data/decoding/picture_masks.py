"""The mask of a picture in a file: a class number, or void, at each pixel."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jaxcnn import arguments
from jaxcnn.augment.positions import VOID
from jaxcnn.data.decoding.pictures import FORMATS, UnreadablePicture
from jaxcnn.data.resizing import Resizing

# Lossy formats, whose values are not those that were drawn.
_LOSSY = ("JPEG", "AVIF", "WEBP")


@dataclass(frozen=True)
class PictureMask:
    """The file of a mask, and the meaning of its values.

    Attributes:
      path: The file.
      classes: Number of classes; 0 where they are not known.
      colors: The class of each color (red, green, blue); empty where masks are of numbers.
      binary: Whether 255 is class 1 rather than void.
    """

    path: Path
    classes: int = 0
    colors: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    binary: bool = False

    def read(self) -> np.ndarray:
        """Return ``(H, W)`` class numbers, uint8 or int32.

        Raises:
          UnreadablePicture: the file cannot be read, is compressed with loss, or has a value or a
            color that is no class.
        """
        mode, values = read_mask(self.path)
        if mode == "color":
            values = self._of_colors(values)
        elif self.binary:
            values = (values == VOID).astype(np.uint8)
        unknown = (values >= self.classes) & (values != VOID)
        if self.classes and unknown.any():
            shown = np.unique(values[unknown])[:5].tolist()
            raise UnreadablePicture(
                f"the mask {arguments.shown(str(self.path))} must have values in "
                f"0…{self.classes - 1}, or {VOID} for void, because there are {self.classes} "
                f"classes. Received: {shown}"
            )
        return values

    def placed(
        self,
        picture: Image.Image | np.ndarray,
        size: tuple[int, int] | None,
        resizing: Resizing,
        name: str,
    ) -> np.ndarray:
        """Return the class numbers at the size of the resized picture, each the nearest one.

        Args:
          picture: The picture before it is resized.
          size: Height and width of the result; ``None`` keeps them.
          resizing: The way in which the picture gets that size.
          name: Name of the picture in errors.

        Raises:
          UnreadablePicture: as for :meth:`read`, or the mask has another size than the picture.
        """
        values = self.read()
        shape = picture.size[::-1] if isinstance(picture, Image.Image) else picture.shape[:2]
        if values.shape != tuple(shape):
            raise UnreadablePicture(
                f"the mask {arguments.shown(str(self.path))} must have the size of its picture "
                f"{name}, {shape[0]}×{shape[1]}. Received: {values.shape[0]}×{values.shape[1]}"
            )
        return values if size is None else resizing.labels(values[None], size)[0]

    def _of_colors(self, pixels: np.ndarray) -> np.ndarray:
        if not self.colors:
            found = np.unique(pixels.reshape(-1, 3), axis=0)[:3].tolist()
            shown = ", ".join(_hex(color) for color in found)
            raise UnreadablePicture(
                f"the mask {arguments.shown(str(self.path))} is of colors ({shown}, …), whose "
                "classes are not known: write a file classes.txt into the folder of the set, one "
                'line per class such as "road #804080"'
            )
        codes = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
        known = {r << 16 | g << 8 | b: number for (r, g, b), number in self.colors.items()}
        present, places = np.unique(codes, return_inverse=True)
        unknown = [code for code in present.tolist() if code not in known]
        if unknown:
            raise UnreadablePicture(
                f"the mask {arguments.shown(str(self.path))} must have the colors of classes.txt "
                f"alone. Received: {', '.join(f'#{code:06x}' for code in unknown[:3])}"
            )
        numbers = np.array([known[code] for code in present.tolist()])
        dtype = np.uint8 if numbers.max() <= VOID else np.int32
        return numbers[places.reshape(codes.shape)].astype(dtype)


def read_mask(path: Path) -> tuple[str, np.ndarray]:
    """Return the kind of a mask, and its values as they are stored.

    Returns:
      ``"palette"`` or ``"gray"`` and ``(H, W)`` numbers, or ``"color"`` and ``(H, W, 3)``. A file
      of colors that are all gray is gray.

    Raises:
      UnreadablePicture: the file cannot be read, or is compressed with loss.
    """
    name = arguments.shown(str(path))
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS) as picture:
            if picture.format in _LOSSY:
                raise UnreadablePicture(
                    f"a mask must be stored without loss, such as a PNG. Received: {name}, a "
                    f"{picture.format}, whose values differ from those that were drawn"
                )
            mode, values = picture.mode, None
            if mode in ("P", "L", "1"):
                values = np.asarray(picture).astype(np.uint8)
            elif mode.startswith("I"):
                values = np.asarray(picture).astype(np.int32)
            elif mode in ("LA", "PA"):
                values = np.asarray(picture)[..., 0]
            if values is not None:
                return "palette" if mode.startswith("P") else "gray", values
            pixels = np.asarray(picture.convert("RGB"))
    except UnreadablePicture:
        raise
    except FileNotFoundError:
        raise UnreadablePicture(f"there is no file {name}") from None
    except MemoryError:
        raise
    except Exception as error:  # each format has its own errors for a damaged file
        raise UnreadablePicture(f"the mask {name} cannot be read: {error}") from error
    if (pixels == pixels[..., :1]).all():
        return "gray", pixels[..., 0]
    return "color", pixels


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in color)

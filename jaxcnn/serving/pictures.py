"""The pictures of a request as inputs of the network, with a limit on their pixels."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from jaxcnn.data.decoding.pictures import FORMATS, UnreadablePicture
from jaxcnn.recipes.run_inputs import fit_picture, picture_size
from jaxcnn.serving.network import ServedNetwork
from jaxcnn.serving.refusals import Refusal


@dataclass(frozen=True)
class Picture:
    """A picture in the form of an input.

    Attributes:
      image: ``(H, W, C)`` uint8.
      note: A line about a guess, or ``None``.
      original_size: Height and width of the picture as it was sent; of detectors only.
    """

    image: np.ndarray
    note: str | None = None
    original_size: tuple[int, int] = (0, 0)


def header_pixels(data: bytes, most: int, name: str) -> int:
    """Return the number of pixels that the header of a picture states; nothing is decoded.

    Args:
      data: The bytes of the picture.
      most: The most pixels allowed.
      name: Name of the picture in errors.

    Raises:
      Refusal: it is not a picture, or a larger one.
    """
    if not data:
        raise Refusal(400, f"{name} is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            pixels = picture.width * picture.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal(413, f"{name} has more than {most:,} pixels, the most allowed") from None
    except UnidentifiedImageError:
        raise Refusal(400, f"{name} is none of {', '.join(FORMATS)}") from None
    except Exception:  # each format has its own errors for a damaged file
        raise Refusal(400, f"{name} is not a picture that can be read") from None
    if pixels > most:
        raise Refusal(413, f"{name} has {pixels:,} pixels, more than the {most:,} allowed")
    return pixels


def decode(network: ServedNetwork, data: bytes, name: str) -> Picture:
    """Decode a picture and give it the form of an input, as ``jaxcnn predict`` does.

    Args:
      network: The network.
      data: The bytes of the picture, whose header has been checked.
      name: Name of the picture in errors.

    Raises:
      Refusal: it cannot be decoded.
    """
    whole = network.task in ("segment", "detect")
    try:
        picture = network.framing.read(io.BytesIO(data), name=name)
        image, note = fit_picture(picture, network.framing, network.input_shape, whole=whole)
        size = picture_size(io.BytesIO(data)) if network.task == "detect" else (0, 0)
    except UnreadablePicture as error:
        raise Refusal(400, str(error)) from None
    except Exception:  # such as MemoryError, or a decoder's own for values that it did not expect
        raise Refusal(400, f"{name} is not a picture that can be read") from None
    return Picture(image, note, size)

"""Matplotlib figures in the style of the library, and grids of small pictures."""

import functools
import io
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE = Path(__file__).with_name("jaxcnn.mplstyle")
# Of values with a sign, whose zero is white; of values from zero on; of probabilities and counts.
SIGNED, UNSIGNED, SHARES = "RdBu_r", "viridis", "Blues"


class Drawing(Figure):
    """A Matplotlib figure that a notebook shows where it is the value of a cell."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the picture in the library's style: sharp on screens of twice the resolution."""
        with matplotlib.style.context(_STYLE):
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        """Return the picture as a PNG."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=96)
        return picture.getvalue()


def styled(draw: Any) -> Any:
    """Let a function draw in the library's style; the settings of the user's stay as they are."""

    @functools.wraps(draw)
    def in_style(*arguments: Any, **options: Any) -> Any:
        with matplotlib.style.context(_STYLE):
            return draw(*arguments, **options)

    return in_style


def show_image(axes: Axes, image: np.ndarray, **options: Any) -> Any:
    """Draw one image ``(H, W, C)`` without axes: gray, or in color; values in [0, 1] or uint8."""
    top = 255 if image.dtype == np.uint8 else 1
    axes.set_axis_off()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    settings: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": top}
    return axes.imshow(pixels, **settings | options)

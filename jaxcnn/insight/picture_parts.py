"""The parts of a diagram, with their extents, before they are written as SVG."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from jaxcnn.insight.drawn_shapes import Face, Point

Bounds: TypeAlias = tuple[float, float, float, float]
# Widths of letters in shares of the font's size, on the safe side of common sans-serif fonts.
_NARROW, _WIDE = frozenset("ijlftr.,:;·'|()[]!I "), frozenset("mwMW%@→…")


class Caption(NamedTuple):
    """A line of text that has no place yet."""

    text: str
    size: float = 12.0
    bold: bool = False
    muted: bool = False

    @property
    def width(self) -> float:
        """An upper estimate of its width."""
        return text_width(self.text, self.size, bold=self.bold)


class Label(NamedTuple):
    """A line of text whose middle is `x` and whose baseline is `y`."""

    text: str
    x: float
    y: float
    size: float = 12.0
    bold: bool = False
    muted: bool = False

    @property
    def bounds(self) -> Bounds:
        """Left, top, right and bottom."""
        half = text_width(self.text, self.size, bold=self.bold) / 2
        return (self.x - half, self.y - 0.8 * self.size, self.x + half, self.y + 0.25 * self.size)


class Line(NamedTuple):
    """A connection with rounded corners, which ends in an arrowhead."""

    points: tuple[Point, ...]
    arrow: bool = True
    faint: bool = False


class Area(NamedTuple):
    """A translucent polygon from a window, or from all of a shape, to what is computed of it."""

    corners: tuple[Point, ...]
    family: str
    framed: bool = False


class Solid(NamedTuple):
    """A feature map, a vector or a rounded box of the text of a layer, in the color of its kind."""

    faces: tuple[Face, ...]
    family: str
    title: str
    rounded: bool = False


class Sign(NamedTuple):
    """The circle or the box of an operation that combines branches."""

    x: float
    y: float
    text: str
    title: str

    @property
    def half_width(self) -> float:
        """Half of the width; a single sign has a circle."""
        return 10.0 if len(self.text) == 1 else text_width(self.text, 11) / 2 + 6


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn, in user units from the upper left corner."""

    width: float
    height: float
    labels: tuple[Label, ...] = ()
    lines: tuple[Line, ...] = ()
    areas: tuple[Area, ...] = ()
    solids: tuple[Solid, ...] = ()
    signs: tuple[Sign, ...] = ()

    def moved(self, right: float, down: float) -> "Picture":
        """Return the picture with everything moved."""

        def move(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((x + right, y + down) for x, y in points)

        return replace(
            self,
            labels=tuple(n._replace(x=n.x + right, y=n.y + down) for n in self.labels),
            lines=tuple(n._replace(points=move(n.points)) for n in self.lines),
            areas=tuple(n._replace(corners=move(n.corners)) for n in self.areas),
            solids=tuple(
                n._replace(faces=tuple(f._replace(corners=move(f.corners)) for f in n.faces))
                for n in self.solids
            ),
            signs=tuple(n._replace(x=n.x + right, y=n.y + down) for n in self.signs),
        )


def joined(pictures: Iterable[Picture], width: float, height: float) -> Picture:
    """Return several pictures as one of this size."""
    pictures = list(pictures)
    return Picture(
        width,
        height,
        labels=tuple(part for picture in pictures for part in picture.labels),
        lines=tuple(part for picture in pictures for part in picture.lines),
        areas=tuple(part for picture in pictures for part in picture.areas),
        solids=tuple(part for picture in pictures for part in picture.solids),
        signs=tuple(part for picture in pictures for part in picture.signs),
    )


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of the width of text in a sans-serif font."""
    shares = (
        0.36 if c in _NARROW else 0.92 if c in _WIDE else 0.72 if c.isupper() else 0.6 for c in text
    )
    return size * sum(shares) * (1.06 if bold else 1)

"""Feature maps as boxes, strips and columns, to one scale for a whole network."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from jaxcnn.shapes import Shape

Point: TypeAlias = tuple[float, float]

# Lengths in user units of the SVG, a page being 860 wide.
_TALLEST, _LARGEST_PIXEL = 118.0, 4.6
_LONGEST, _LARGEST_CHANNEL = 58.0, 5.0
_HIGHEST, _LARGEST_FEATURE = 118.0, 4.5
# Width is drawn slanted and shortened, by these shares to the right and up.
_SLANT, _RISE = 0.4, 0.26
# Up to this many features are drawn one by one, and this ratio of sizes to a linear scale.
_MOST_CELLS, _LARGEST_RATIO = 12, 18


class Face(NamedTuple):
    """A filled polygon; the shade says which side of a box it is."""

    corners: tuple[Point, ...]
    shade: str


@dataclass(frozen=True)
class Drawn:
    """A shape as it is drawn around the origin, its middle.

    Attributes:
      width, height: Its extent.
      faces: Its polygons, those at the back first.
      side: Three corners of the face of height and width: top, the one behind it, and bottom; none
        of a vector.
    """

    width: float
    height: float
    faces: tuple[Face, ...]
    side: tuple[Point, ...] = ()

    def window(self, spatial: Shape, window: Shape) -> tuple[Point, ...]:
        """Return the corners of a window in the middle of the face of height and width."""
        if not self.side or not window:
            return ()
        top, behind, bottom = self.side
        shares = [min(extent / size, 1.0) for extent, size in zip(window, spatial, strict=True)]
        height, width = (shares[-2], shares[-1]) if len(shares) > 1 else (shares[0], 1.0)

        def at(right: float, down: float) -> Point:
            return (
                top[0] + right * (behind[0] - top[0]) + down * (bottom[0] - top[0]),
                top[1] + right * (behind[1] - top[1]) + down * (bottom[1] - top[1]),
            )

        left, right = (1 - width) / 2, (1 + width) / 2
        low, high = (1 - height) / 2, (1 + height) / 2
        return (at(left, low), at(right, low), at(right, high), at(left, high))


@dataclass(frozen=True)
class Scale:
    """The lengths of one picture.

    Attributes:
      pixel: Length of a position of the feature maps.
      power: 1 for lengths in proportion to the size, 0.5 for those to its square root.
      channel: Length of the square root of the number of channels.
      feature: Length of the square root of the number of features of a vector.
    """

    pixel: float
    power: float
    channel: float
    feature: float

    @classmethod
    def of(cls, shapes: Iterable[Shape]) -> "Scale":
        """Return the scale at which the largest of the shapes has the greatest size."""
        shapes = list(shapes)
        sizes = [size for shape in shapes for size in shape[:-1] if size > 1] or [1]
        channels = [shape[-1] for shape in shapes if len(shape) > 1] or [1]
        features = [shape[-1] for shape in shapes if len(shape) == 1] or [1]
        power = 1.0 if max(sizes) <= _LARGEST_RATIO * min(sizes) else 0.5
        return cls(
            pixel=min(_LARGEST_PIXEL if power == 1 else math.inf, _TALLEST / max(sizes) ** power),
            power=power,
            channel=min(_LARGEST_CHANNEL, _LONGEST / math.sqrt(max(channels))),
            feature=min(_LARGEST_FEATURE, _HIGHEST / math.sqrt(max(features))),
        )

    def side(self, size: int) -> float:
        """Return the length of a side of a feature map."""
        return self.pixel * size**self.power

    def length(self, channels: int) -> float:
        """Return the length of channels."""
        return max(self.channel * math.sqrt(channels), 1.5)

    def draw(self, shape: Shape) -> Drawn:
        """Return a shape around the origin."""
        if len(shape) == 1:
            return self._vector(shape[0])
        if len(shape) == 2:
            return _box(self.side(shape[0]), 0.0, self.length(shape[1]))
        *times, height, width, channels = shape
        across = self.side(width) * _SLANT
        if not times:
            return _box(self.side(height), across, self.length(channels))
        duration = self.side(times[0]) * _SLANT
        copies = 1 if channels <= 3 else 3
        return _box(self.side(height), across, duration, copies, self.length(channels) / 2)

    @property
    def text(self) -> str:
        """The scale in words."""
        sizes = "to one scale" if self.power == 1 else "by their square root"
        return f"Height and width are drawn {sizes}, channels and features by their square root."

    def _vector(self, features: int) -> Drawn:
        width = 14.0
        if features > _MOST_CELLS:
            height = self.feature * math.sqrt(features)
            return Drawn(width, height, (Face(_rectangle(0, 0, width, height), "front"),))
        step = 9.0
        height = step * features
        tops = [step * (number + 0.5) - height / 2 for number in range(features)]
        faces = [Face(_rectangle(0, top, width, step - 1.5), "front") for top in tops]
        return Drawn(width, height, tuple(faces))


def _rectangle(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _box(height: float, across: float, length: float, copies: int = 1, spread: float = 0) -> Drawn:
    """Return boxes behind each other; `across` goes up and to the right."""
    rise = across * _RISE / _SLANT
    step = spread / max(copies - 1, 1)
    apart = length + across * 0.35 + 2
    width = length + across + (copies - 1) * max(step, apart)
    faces: list[Face] = []
    side: tuple[Point, ...] = ()
    for copy in range(copies):
        left = -width / 2 + copy * max(step, apart)
        right, top, bottom = left + length, (rise - height) / 2, (rise + height) / 2
        back, high, low = right + across, top - rise, bottom - rise
        if across:
            faces.append(
                Face(((left, top), (right, top), (back, high), (left + across, high)), "top")
            )
            faces.append(Face(((right, top), (back, high), (back, low), (right, bottom)), "side"))
        faces.append(Face(((left, top), (right, top), (right, bottom), (left, bottom)), "front"))
        side = ((right, top), (back, high), (right, bottom))
        if not across:
            side = ((left, top), (right, top), (left, bottom))
    return Drawn(width, height + rise, tuple(faces), side)

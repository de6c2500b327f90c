"""A diagram as SVG: text as text, no fonts, scripts or references to other files."""

import html
from collections.abc import Iterable, Sequence

from jaxcnn.insight.drawn_shapes import Point
from jaxcnn.insight.picture_parts import Area, Label, Line, Picture, Sign, Solid

# Colors of Okabe and Ito (2008), somewhat lighter, for white and for dark pages.
COLORS = {
    "convolution": "#2a85c7",
    "pool": "#e69f00",
    "dense": "#009e73",
    "block": "#b566a0",
    "other": "#808890",
}
_OPACITIES = {"top": 0.4, "front": 0.68, "side": 0.92}
# Text and lines have the color of the page around; a file of its own follows the reader's choice.
_STYLE = (
    ".jaxcnn-diagram{font-family:Helvetica,Arial,sans-serif}"
    ".jaxcnn-diagram:root{color:#1f2933;color-scheme:light dark}"
    "@media(prefers-color-scheme:dark){.jaxcnn-diagram:root{color:#e6edf3}}"
)


def to_svg(picture: Picture, title: str) -> str:
    """Return a picture as the text of an SVG file."""
    parts = [
        *map(_solid, picture.solids),
        *map(_area, picture.areas),
        *_lines([line for line in picture.lines if not line.faint], 0.6),
        *_lines([line for line in picture.lines if line.faint], 0.4),
        *map(_sign, picture.signs),
        *map(_text, picture.labels),
    ]
    return svg_document(picture.width, picture.height, title, parts)


def svg_document(
    width: float, height: float, title: str, parts: Iterable[str], style: str = ""
) -> str:
    """Return elements as an SVG file of this size, with a title and further rules of style."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {round(width)} {round(height)}" '
        f'width="{round(width)}" style="max-width:100%;height:auto" role="img" '
        'class="jaxcnn-diagram">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}{style}</style>",
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _solid(solid: Solid) -> str:
    color, title = COLORS[solid.family], f"<title>{html.escape(solid.title)}</title>"
    if solid.rounded:
        (left, top), _, (right, bottom), _ = solid.faces[0].corners
        shape = (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}" rx="6" fill="{color}" fill-opacity="0.16" '
            f'stroke="{color}" stroke-width="1.2"/>'
        )
        return f"<g>{title}{shape}</g>"
    shapes = (
        f'<polygon points="{_points(face.corners)}" fill-opacity="{_OPACITIES[face.shade]}"/>'
        for face in solid.faces
    )
    return (
        f'<g fill="{color}" stroke="{color}" stroke-width="0.7" stroke-linejoin="round">'
        f"{title}{''.join(shapes)}</g>"
    )


def _area(area: Area) -> str:
    color = COLORS[area.family]
    look = (
        'fill="currentColor" fill-opacity="0.25" stroke="currentColor" stroke-width="1"'
        if area.framed
        else f'fill="{color}" fill-opacity="0.13" stroke="{color}" stroke-opacity="0.6" '
        'stroke-width="0.7"'
    )
    return f'<polygon points="{_points(area.corners)}" {look}/>'


def _lines(lines: Sequence[Line], opacity: float) -> Iterable[str]:
    """Return lines of one opacity, which are not darker where they lie on each other."""
    yield f'<g stroke="currentColor" stroke-width="1.1" fill="none" opacity="{opacity}">'
    for line in lines:
        yield f'<path d="{_rounded(line.points)}"/>'
        if line.arrow:
            yield f'<polygon points="{_points(_head(line))}" fill="currentColor" stroke="none"/>'
    yield "</g>"


def _head(line: Line) -> list[Point]:
    """Return the corners of the arrowhead at the end of a line."""
    (x0, y0), (x, y) = line.points[-2:]
    right, down = _direction(x - x0), _direction(y - y0)
    back = [(x - 6 * right - side * down, y - 6 * down + side * right) for side in (3, -3)]
    return [(x, y), *back]


def _sign(sign: Sign) -> str:
    half = sign.half_width
    shape = (
        f'<rect x="{sign.x - half:.1f}" y="{sign.y - 10:.1f}" width="{2 * half:.1f}" height="20" '
        'rx="10" fill="none" stroke="currentColor" stroke-width="1.2"/>'
    )
    size = 16 if len(sign.text) == 1 else 11
    text = _text(Label(sign.text, sign.x, sign.y + 0.35 * size, size))
    return f"<g><title>{html.escape(sign.title)}</title>{shape}{text}</g>"


def _text(label: Label) -> str:
    bold = ' font-weight="bold"' if label.bold else ""
    muted = ' fill-opacity="0.72"' if label.muted else ""
    return (
        f'<text x="{label.x:.1f}" y="{label.y:.1f}" font-size="{label.size:g}" '
        f'text-anchor="middle" fill="currentColor"{bold}{muted}>{html.escape(label.text)}</text>'
    )


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _direction(distance: float) -> float:
    return (distance > 0) - (distance < 0)


def _rounded(points: tuple[Point, ...]) -> str:
    """Return a path along points, each corner cut by a curve."""
    parts = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        ends = []
        for other in (before, after):
            length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
            share = min(5 / length, 0.5) if length else 0
            ends.append(tuple(c + share * (o - c) for c, o in zip(corner, other, strict=True)))
        (x0, y0), (x1, y1) = ends
        parts.append(f"L{x0:.1f},{y0:.1f}Q{corner[0]:.1f},{corner[1]:.1f} {x1:.1f},{y1:.1f}")
    parts.append(f"L{points[-1][0]:.1f},{points[-1][1]:.1f}")
    return "".join(parts)

"""Pictures that move in steps, as SVG without scripts and as GIF."""

import html
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from jaxcnn import arguments
from jaxcnn.insight.diagram_svg import svg_document
from jaxcnn.interchange.model_file import write_whole

# Steps for which the end stays before everything begins again; share of a step without motion.
_PAUSE, _REST = 2, 0.85
# The color of the page's text in a GIF, whose page is white, and its pixels per unit.
_INK, _SCALE = "#1f2933", 2


class Box(NamedTuple):
    """A rectangle with its upper left corner at `x` and `y`; without `fill`, one sees through."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    line: str | None = "#808080"
    thickness: float = 0.75
    dashed: bool = False


class Words(NamedTuple):
    """A line of text around `x` and `y`, in the color of the text of the page or in its own.

    With ``anchor="start"`` it begins at `x`.
    """

    text: str
    x: float
    y: float
    size: float = 13.0
    color: str | None = None
    bold: bool = False
    anchor: str = "middle"


Parts: TypeAlias = tuple[Box | Words, ...]


class Moving(NamedTuple):
    """Parts that are moved right and down by another distance in each step."""

    parts: Parts
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Animation:
    """A picture that moves; a notebook shows it where it is the value of a cell.

    Attributes:
      title: A sentence on what is shown, for those who do not see it.
      width, height: The size in user units.
      seconds: Seconds of each step.
      still: Parts that are always there.
      kept: By step, parts that appear in it and stay.
      moving: Parts that move.
      steps: By step, parts that are there in it alone.
    """

    title: str
    width: float
    height: float
    seconds: float
    still: Parts = field(repr=False)
    kept: tuple[Parts, ...] = field(repr=False)
    moving: tuple[Moving, ...] = field(repr=False)
    steps: tuple[Parts, ...] = field(repr=False)

    @property
    def svg(self) -> str:
        """The text of an SVG file, animated by its style alone.

        Readers who asked for less motion, and programs that do not animate, show the last step.
        """
        own = f"a{zlib.crc32(repr((self.seconds, self.still, self.kept, self.steps)).encode()):x}"
        rules, parts = [], list(map(_element, self.still))
        count = len(self.steps)
        share, duration = 100 / (count + _PAUSE), self.seconds * (count + _PAUSE)
        for step, group in enumerate(self.kept):
            name, start = f"{own}k{step}", step * share
            rules.append(f"@keyframes {name}{{0%{{opacity:0}}{start:.3f}%{{opacity:1}}}}")
            parts += _group(group, f"animation:{name} {duration:g}s step-end infinite")
        for number, mover in enumerate(self.moving):
            stops = (
                f"{step * share:.3f}%,{(step + _REST) * share:.3f}%{{transform:{_shift(place)}}}"
                for step, place in enumerate(mover.places)
            )
            last = _shift(mover.places[-1])
            rules.append(f"@keyframes {own}m{number}{{{''.join(stops)}}}")
            style = f"transform:{last};animation:{own}m{number} {duration:g}s linear infinite"
            parts += _group(mover.parts, style)
        for name, stay in (("s", 1), ("e", 1 + _PAUSE)):
            end = stay * share - 0.001  # rounded up, two steps would be seen at the very start
            rules.append(f"@keyframes {own}{name}{{0%{{opacity:1}}{end:.3f}%{{opacity:0}}}}")
        for step, group in enumerate(self.steps):
            delay = self.seconds * (step - count - _PAUSE)
            timing = f"{duration:g}s step-end {delay:g}s infinite"
            last_one = step == count - 1
            style = f"animation:{own}e" if last_one else f"opacity:0;animation:{own}s"
            parts += _group(group, f"{style} {timing}")
        rules.append(
            f"@media(prefers-reduced-motion:reduce){{.{own} g{{animation:none!important}}}}"
        )
        whole = [f'<g class="{own}" text-anchor="middle" fill="currentColor">', *parts, "</g>"]
        return svg_document(self.width, self.height, self.title, whole, "".join(rules))

    def save(self, path: str | Path) -> None:
        """Write the animation.

        Args:
          path: A file whose name ends in ``.svg`` or ``.gif``.

        Raises:
          OSError: the file cannot be written.
          ValueError: the name ends otherwise.
        """
        file = Path(path)
        if file.suffix.lower() not in (".svg", ".gif"):
            raise ValueError(
                f"path must end in .svg or .gif. Received: path={arguments.shown(str(path))}"
            )
        gif = file.suffix.lower() == ".gif"
        write_whole(file, self._gif() if gif else self.svg.encode())

    def _repr_svg_(self) -> str:
        """Return the animation as a notebook shows it."""
        return self.svg

    def _gif(self) -> bytes:
        drawn = [self._frame(step) for step in range(len(self.steps))]
        palette = drawn[-1].quantize(64)  # one for all, so that a frame stores what has changed
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in drawn]
        durations = [round(1000 * self.seconds)] * len(frames)
        durations[-1] *= 1 + _PAUSE
        file = io.BytesIO()
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0
        )
        return file.getvalue()

    def _frame(self, step: int) -> Image.Image:
        size = round(_SCALE * self.width), round(_SCALE * self.height)
        picture = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(picture)
        for part in self._parts_of(step):
            _draw(draw, part)
        return picture

    def _parts_of(self, step: int) -> Iterator[Box | Words]:
        yield from self.still
        for group in self.kept[: step + 1]:
            yield from group
        for mover in self.moving:
            right, down = mover.places[step]
            yield from (part._replace(x=part.x + right, y=part.y + down) for part in mover.parts)
        yield from self.steps[step]


def _group(parts: Iterable[Box | Words], style: str) -> list[str]:
    return [f'<g style="{style}">', *map(_element, parts), "</g>"]


def _shift(place: tuple[float, float]) -> str:
    return f"translate({place[0]:g}px,{place[1]:g}px)"


def _element(part: Box | Words) -> str:
    if isinstance(part, Words):
        color = f' fill="{part.color}"' if part.color else ""
        style = ' font-weight="bold"' if part.bold else ""
        style += ' text-anchor="start"' if part.anchor == "start" else ""
        # The middle of the letters, whose height is 0.72 of the size, is at `y`.
        return (
            f'<text x="{part.x:g}" y="{part.y + 0.36 * part.size:g}" font-size="{part.size:g}"'
            f"{color}{style}>{html.escape(part.text)}</text>"
        )
    line = f' stroke="{part.line}" stroke-width="{part.thickness:g}"' if part.line else ""
    dashes = ' stroke-dasharray="3 3"' if part.dashed else ""
    return (
        f'<rect x="{part.x:g}" y="{part.y:g}" width="{part.width:g}" height="{part.height:g}" '
        f'fill="{part.fill or "none"}"{line}{dashes}/>'
    )


def _draw(draw: ImageDraw.ImageDraw, part: Box | Words) -> None:
    if isinstance(part, Words):
        name = "DejaVuSans-Bold.ttf" if part.bold else "DejaVuSans.ttf"
        file = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
        # DejaVu is wider than the fonts of browsers.
        font = ImageFont.truetype(file, 0.9 * _SCALE * part.size)
        where = _SCALE * part.x, _SCALE * part.y
        anchor = "mm" if part.anchor == "middle" else "lm"
        draw.text(where, part.text, part.color or _INK, font, anchor=anchor)
        return
    corners = (part.x, part.y, part.x + part.width, part.y + part.height)
    outline = "#c8c8c8" if part.dashed else part.line
    draw.rectangle(
        [round(_SCALE * place) for place in corners], part.fill, outline,
        max(round(_SCALE * part.thickness), 1),
    )  # fmt: skip

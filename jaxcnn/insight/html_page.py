"""A page of HTML that holds everything it shows: no script, no file beside it, no network."""

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jaxcnn.insight.diagrams import Diagram
from jaxcnn.insight.plots import Drawing
from jaxcnn.insight.tables import Table

# Pixels to an inch: sharp on screens of twice the resolution, where the page is 70 em wide.
_DPI = 150
# Lines of code above which it is set in columns, where there is room.
_LONG = 24


@dataclass(frozen=True)
class Code:
    """A text that is shown as it is, such as a command."""

    text: str


@dataclass(frozen=True)
class Note:
    """A remark, such as why a picture is missing."""

    text: str


Part: TypeAlias = str | Table | Code | Note | Drawing | Diagram


@dataclass(frozen=True)
class Section:
    """A part of a page under a title.

    Attributes:
      title: The title.
      parts: Paragraphs, tables, pictures, code and notes, in order.
    """

    title: str
    parts: Sequence[Part]


def to_html(title: str, lead: Sequence[Part], sections: Sequence[Section]) -> str:
    """Return a page, readable in light and dark, on a phone and on paper.

    Args:
      title: Title of the page.
      lead: What stands before the contents.
      sections: The sections in order.
    """
    links = "".join(
        f'<li><a href="#{_anchor(section.title)}">{html.escape(section.title)}</a></li>'
        for section in sections
    )
    body = "\n".join(
        f'<section id="{_anchor(section.title)}"><h2>{html.escape(section.title)}</h2>\n'
        f"{_parts(section.parts, section.title)}</section>"
        for section in sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{html.escape(title)}</h1>\n{_parts(lead, title)}</header>\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n<main>\n{body}\n</main>\n'
        "</body>\n</html>\n"
    )


def _parts(parts: Sequence[Part], title: str) -> str:
    return "\n".join(_part(part, title) for part in parts) + "\n"


def _part(part: Part, title: str) -> str:
    match part:
        case str():
            return f"<p>{html.escape(part)}</p>"
        case Table():
            return part.html()
        case Code(text):
            kind = ' class="long"' if text.count("\n") > _LONG else ""
            return f"<pre{kind}>{html.escape(text)}</pre>"
        case Note(text):
            return f'<p class="note">{html.escape(text)}</p>'
        case Diagram():
            return f'<figure class="diagram">{part._repr_svg_()}</figure>'
        case _:
            return _picture(part, title)


def _picture(drawing: Drawing, title: str) -> str:
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=_DPI)
    data = base64.b64encode(file.getvalue()).decode()
    heading = drawing.get_suptitle() or next(
        (axes.get_title(loc="left") for axes in drawing.axes if axes.get_title(loc="left")), title
    )
    width = drawing.get_size_inches()[0] * 96  # as large as it was drawn, where there is room
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(heading)}" '
        f'style="width: {width:.0f}px"></figure>'
    )


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


_STYLE = """
:root { color-scheme: light dark; --text: #202020; --soft: #606060; --back: #ffffff;
  --line: #d9d9d9; --band: #f5f5f5; --link: #0063a5; --note: #fff4e0; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 70rem; color: var(--text);
  background: var(--back); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .5rem;
  border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 48rem; }
a { color: var(--link); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; white-space: nowrap; vertical-align: top; }
th { border-bottom: 1px solid var(--soft); }
tbody tr:nth-child(even) { background: var(--band); }
pre { background: var(--band); padding: .75rem; font-size: .85rem; white-space: pre-wrap; }
pre.long { columns: 20rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img { max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
figure.diagram svg { max-width: 100%; height: auto; color: var(--text); }
.note { background: var(--note); padding: .5rem .75rem; border-radius: 4px; }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --soft: #a8a8a8; --back: #16181b; --line: #3a3d42; --band: #1f2226;
    --link: #7cc0f5; --note: #3a2f18; }
  figure img { padding: .5rem; filter: brightness(.92); } }
@media screen and (max-width: 48rem) { /* a wide picture scrolls, so that its texts are legible */
  figure img, figure.diagram svg { max-width: 38rem !important; } }
@media print { :root { color-scheme: light; --text: #000; --soft: #444; --line: #bbb; }
  body { max-width: none; font-size: 11px; padding: 0; } nav { display: none; }
  figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  table { font-size: 9px; overflow-wrap: break-word; }
  th, td { white-space: normal; padding-right: .5rem; }
  figure img { max-height: 23cm; object-fit: contain; object-position: left top; } }
"""

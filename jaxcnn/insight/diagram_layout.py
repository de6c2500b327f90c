"""The layout of a diagram: where every shape, label and connection is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from jaxcnn.insight.diagram_cells import Cell
from jaxcnn.insight.drawn_shapes import Drawn, Point
from jaxcnn.insight.network_graph import Nodes, Path
from jaxcnn.insight.node_placement import Places, lines_of, place
from jaxcnn.insight.picture_parts import (
    Area,
    Label,
    Line,
    Picture,
    Sign,
    Solid,
    joined,
    text_width,
)

PAGE = 840.0
_GAP, _MARGIN, _LEADING, _ARC = 22.0, 12.0, 14.0, 13.0
_BRACKET, _MOST_SPARE, _LEAD = 24.0, 16.0, 20.0


@dataclass
class _Row:
    """One line of a diagram while it is drawn."""

    cells: Sequence[Cell]
    places: Places
    lefts: Mapping[int, float]
    widths: Mapping[int, float]
    heights: dict[int, float] = field(default_factory=dict)
    captions: dict[int, float] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    solids: list[Solid] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)

    def x(self, path: Path) -> float:
        column = self.places.columns[path]
        return self.lefts[column] + self.widths[column] / 2

    def y(self, path: Path) -> float:
        return self.heights[self.places.lanes.get(path, 0)]

    def caption(self, cell: Cell) -> float:
        """Return the distance from the middle of a cell to its captions."""
        lane = self.places.lanes[cell.node.row.path]
        return max(self.captions[lane] if cell.aligned else 0, cell.half_height)

    def below(self, cell: Cell) -> float:
        """Return the distance from the middle of a cell to its lower end."""
        texts = len(cell.captions)
        return self.caption(cell) + _LEADING * texts + 4 * bool(texts)


def lay_out(cells: Sequence[Cell], *, page: float = PAGE, brackets: bool = True) -> Picture:
    """Return the picture of nodes in lines, each at most a page wide where it can be parted.

    Args:
      cells: The nodes, in an order in which each comes after those that it reads.
      page: The greatest width.
      brackets: Whether to draw a bracket with its name below the layers of a block.
    """
    nodes: Nodes = tuple(cell.node for cell in cells)
    places = place(nodes)
    columns = max(places.columns.values()) + 1
    widths = [0.0] * columns
    for cell in cells:
        column = places.columns[cell.node.row.path]
        widths[column] = max(widths[column], cell.width)
    if brackets:
        for _, name, first, last in _groups(cells, places, range(columns)):
            missing = text_width(name, 11) - sum(widths[first : last + 1]) - _GAP * (last - first)
            widths[first] += max(missing, 0)
    rooms = [width + _GAP for width in widths]
    pictures, top = [], 0.0
    lines = lines_of(rooms, places.breaks, page - 2 * _MARGIN)
    for line in lines:
        picture = _draw_line(cells, places, line, widths, brackets=brackets, last=line == lines[-1])
        pictures.append(picture.moved(0, top))
        top += picture.height
    return joined(pictures, max(picture.width for picture in pictures), top)


def _draw_line(
    cells: Sequence[Cell],
    places: Places,
    line: range,
    widths: Sequence[float],
    *,
    brackets: bool,
    last: bool,
) -> Picture:
    # A picture of text begins and ends with an arrow; one of shapes fills the page.
    spare = PAGE - 2 * _MARGIN - sum(widths[column] + _GAP for column in line)
    gap = _GAP + (max(min(spare / len(line), _MOST_SPARE), 0) if brackets else 0)
    lefts, left = {}, _MARGIN + gap / 2 + (0 if brackets else _LEAD)
    for column in line:
        lefts[column] = left
        left += widths[column] + gap
    own = [cell for cell in cells if places.columns[cell.node.row.path] in line]
    row = _Row(own, places, lefts, dict(enumerate(widths)))
    arcs = _arcs(own, places)
    below = _place_lanes(row, arcs)
    for cell in own:
        _draw_cell(row, cell)
    by_path = {cell.node.row.path: cell for cell in own}
    for cell in own:
        for number, source in enumerate(cell.node.row.inputs):
            _connect(row, by_path.get(source), cell, source, arcs, first=number == 0)
    end = left - gap / 2
    if not last or not brackets:  # it goes on
        tail = own[-1]
        start = row.x(tail.node.row.path) + tail.half_width + 2
        y = row.y(tail.node.row.path)
        row.lines.append(Line(((start, y), (end + 9, y))))
    if brackets:
        below += _draw_brackets(row, line, below + 4)
    return Picture(
        end + 9 + _MARGIN,
        below + 12,
        tuple(row.labels),
        tuple(row.lines),
        tuple(row.areas),
        tuple(row.solids),
        tuple(row.signs),
    )


Arcs = Mapping[tuple[Path, Path], int]


def _arcs(cells: Sequence[Cell], places: Places) -> Arcs:
    """Return the level of every connection that passes above other nodes of its lane."""
    spans: dict[tuple[Path, Path], tuple[int, int, int]] = {}
    for cell in cells:
        path = cell.node.row.path
        for source in cell.node.row.inputs:
            lane = places.lanes.get(source, 0)
            first, last = places.columns.get(source, -1), places.columns[path]
            between = any(
                first < places.columns[other.node.row.path] < last
                and places.lanes[other.node.row.path] == lane
                for other in cells
            )
            if between and places.lanes[path] == lane:
                spans[source, path] = lane, first, last
    levels: dict[tuple[Path, Path], int] = {}
    for key, (lane, first, last) in sorted(spans.items(), key=lambda item: item[1][2] - item[1][1]):
        taken = {
            levels[other]
            for other, (lane_2, first_2, last_2) in spans.items()
            if other in levels and lane_2 == lane and first_2 < last and first < last_2
        }
        levels[key] = next(level for level in range(len(spans) + 1) if level not in taken)
    return levels


def _place_lanes(row: _Row, arcs: Arcs) -> float:
    """Give every lane its height, and return the lower end of the last."""
    lanes = sorted({row.places.lanes[cell.node.row.path] for cell in row.cells} | {0})
    y = 10.0
    for lane in lanes:
        own = [cell for cell in row.cells if row.places.lanes[cell.node.row.path] == lane]
        above = max([cell.half_height + 15 * bool(cell.badge) for cell in own], default=4)
        levels = [level + 1 for (_, path), level in arcs.items() if row.places.lanes[path] == lane]
        row.captions[lane] = max([cell.half_height for cell in own if cell.aligned], default=4)
        lower = max([row.below(cell) for cell in own], default=4)
        y += _ARC * max(levels, default=0) + 4 * bool(levels) + above
        row.heights[lane] = y
        y += lower + 14
    return y - 6


def _draw_cell(row: _Row, cell: Cell) -> None:
    path = cell.node.row.path
    x, y = row.x(path), row.y(path)
    if cell.drawn is None:
        sign = cell.sign
        row.signs.append(sign._replace(x=x, y=y))
    else:
        faces = tuple(
            face._replace(corners=_moved(face.corners, x, y)) for face in cell.drawn.faces
        )
        row.solids.append(Solid(faces, cell.family, cell.title, rounded=bool(cell.inside)))
    for number, (text, size, bold, muted) in enumerate(cell.captions):
        baseline = y + row.caption(cell) + 4 + _LEADING * (number + 1)
        row.labels.append(Label(text, x, baseline, size, bold, muted))
    for number, (text, size, bold, muted) in enumerate(cell.inside):
        baseline = y + _LEADING * (number - (len(cell.inside) - 1) / 2) + 4
        row.labels.append(Label(text, x, baseline, size, bold, muted))
    if cell.badge:
        row.labels.append(Label(cell.badge, x, y - cell.half_height - 5, 12, bold=True))


def _connect(
    row: _Row, source: Cell | None, target: Cell, path: Path, arcs: Arcs, *, first: bool
) -> None:
    own = target.node.row.path
    x1, y1 = row.x(own) - target.half_width - 2, row.y(own)
    if source is None:
        x0, y0 = (
            _MARGIN,
            row.y(path) if row.places.lanes.get(path, 0) in row.heights else row.heights[0],
        )
        turn = x0 + 8
    else:
        x0, y0 = row.x(path) + source.half_width + 2, row.y(path)
        column = row.places.columns[path]
        turn = row.lefts[column] + row.widths[column] + 0.3 * _GAP
    enter = row.lefts[row.places.columns[own]] - 0.3 * _GAP
    if (path, own) in arcs:
        lane = row.places.lanes[own]
        above = max(
            cell.half_height + 15 * bool(cell.badge)
            for cell in row.cells
            if row.places.lanes[cell.node.row.path] == lane
        )
        high = row.heights[lane] - above - 6 - _ARC * arcs[path, own]
        middle, top = row.x(own), y1 - target.half_height - 2
        row.lines.append(Line(((x0, y0), (turn, y0), (turn, high), (middle, high), (middle, top))))
        return
    if y0 != y1 and row.places.lanes[own] > row.places.lanes.get(path, 0):
        row.lines.append(Line(((x0, y0), (turn, y0), (turn, y1), (x1, y1))))
        return
    if y0 != y1:
        row.lines.append(Line(((x0, y0), (enter, y0), (enter, y1), (x1, y1))))
        return
    if source is not None and first:
        areas = _areas(row, source, target)
        row.areas += areas
        if areas:
            return
    row.lines.append(Line(((x0, y0), (x1, y1))))


def _areas(row: _Row, source: Cell, target: Cell) -> list[Area]:
    """Return the window of a layer on its input, with the lines to its output; or those of all."""
    if source.drawn is None or target.drawn is None or not target.windowed:
        return []
    start = row.x(source.node.row.path), row.y(source.node.row.path)
    end = row.x(target.node.row.path), row.y(target.node.row.path)
    shape, window = source.node.row.output_shape, target.node.row.window
    left = end[0] - target.drawn.width / 2
    front = next(face for face in target.drawn.faces[::-1] if face.shade == "front")
    if window:
        corners = _moved(source.drawn.window(shape[:-1], window), *start)
        heights = [y for x, y in front.corners if x == min(x for x, _ in front.corners)]
        tip = left, end[1] + sum(heights) / 2
        fan = Area((corners[1], tip, corners[2]), target.family)
        return [Area(corners, target.family, framed=True), fan]
    right = start[0] + source.half_width
    tops = [(right, start[1] - _reach(source.drawn)), (right, start[1] + _reach(source.drawn))]
    ends = [(left, end[1] + target.drawn.height / 2), (left, end[1] - target.drawn.height / 2)]
    return [Area((*tops, *ends), target.family)]


def _reach(drawn: Drawn) -> float:
    """Return half of the height of the right edge of a shape."""
    right = max(x for face in drawn.faces for x, _ in face.corners)
    heights = [y for face in drawn.faces for x, y in face.corners if abs(x - right) < 0.01]
    return min(-min(heights), max(heights)) if min(heights) < 0 < max(heights) else 0.0


def _groups(cells: Sequence[Cell], places: Places, line: range) -> list[tuple[str, str, int, int]]:
    """Return full and short name, first and last column of the blocks that layers lie in."""
    prefixes: dict[int, Path] = {}
    for cell in cells:
        column, path = places.columns[cell.node.row.path], cell.node.row.path[:-1]
        while path and path[-1] in ("body", "shortcut"):
            path = path[:-1]
        if column in prefixes:
            both = zip(prefixes[column], path, strict=False)
            path = path[: next((i for i, (a, b) in enumerate(both) if a != b), len(path))]
            path = path[: len(prefixes[column])]
        prefixes[column] = path
    groups = []
    for prefix, found in groupby(line, key=lambda column: prefixes.get(column, ())):
        columns = list(found)
        if prefix:
            groups.append(("/".join(prefix), prefix[-1], columns[0], columns[-1]))
    return groups


def _draw_brackets(row: _Row, line: range, y: float) -> float:
    groups = _groups(row.cells, row.places, line)
    for full, short, first, last in groups:
        left, right = row.lefts[first], row.lefts[last] + row.widths[last]
        row.lines.append(
            Line(((left, y), (left, y + 4), (right, y + 4), (right, y)), arrow=False, faint=True)
        )
        fits = text_width(full, 11) <= right - left
        row.labels.append(
            Label(full if fits else short, (left + right) / 2, y + 17, 11, muted=True)
        )
    return _BRACKET if groups else 0.0


def _moved(points: Sequence[Point], right: float, down: float) -> tuple[Point, ...]:
    return tuple((x + right, y + down) for x, y in points)

"""Columns, lanes and lines for the nodes of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxcnn.insight.network_graph import Nodes, Path, readers_of


@dataclass(frozen=True)
class Places:
    """Where nodes stand, in whole numbers.

    Attributes:
      columns: From left to right; each node stands after those that it reads.
      lanes: From top to bottom; branches have lanes of their own.
      breaks: Columns after which a line may end, as only one connection crosses there.
    """

    columns: Mapping[Path, int]
    lanes: Mapping[Path, int]
    breaks: frozenset[int]


def place(nodes: Nodes) -> Places:
    """Return the column and the lane of every node.

    Args:
      nodes: The nodes in an order in which each comes after those that it reads. What they read
        and is not among them is left of the first column.
    """
    columns: dict[Path, int] = {}
    for node in nodes:
        columns[node.row.path] = 1 + max((columns.get(p, -1) for p in node.row.inputs), default=-1)
    lanes = _lanes(nodes, columns)
    last = max(columns.values())
    crossing: list[set[Path]] = [set() for _ in range(last + 1)]
    for node in nodes:
        for path in node.row.inputs:
            for column in range(columns.get(path, -1), columns[node.row.path]):
                if column >= 0:
                    crossing[column].add(path)
    single = {
        column
        for column, paths in enumerate(crossing)
        if len(paths) == 1 and all(columns[path] == column for path in paths)
    }
    return Places(columns, lanes, frozenset(single))


def lines_of(widths: Sequence[float], breaks: frozenset[int], page: float) -> list[range]:
    """Return the columns of each line, filled evenly.

    Args:
      widths: Width of each column.
      breaks: Columns after which a line may end.
      page: Width of a line, which only columns that cannot be parted exceed.
    """
    parts, start = [], 0
    for column in range(len(widths)):
        if column in breaks or column == len(widths) - 1:
            parts.append(range(start, column + 1))
            start = column + 1
    # The best lines of the first parts: few, and then with as much room left in each.
    best: list[tuple[float, list[range]]] = [(0, [])]
    for end in range(1, len(parts) + 1):
        choices = []
        for begin in range(end - 1, -1, -1):
            line = range(parts[begin].start, parts[end - 1].stop)
            used = sum(widths[column] for column in line)
            if used > page and begin < end - 1:
                break
            cost, lines = best[begin]
            choices.append((cost + 1 + max(1 - used / page, 0) ** 2, [*lines, line]))
        best.append(min(choices, key=lambda choice: choice[0]))
    return best[-1][1]


def _lanes(nodes: Nodes, columns: Mapping[Path, int]) -> dict[Path, int]:
    readers = readers_of(nodes)
    known = {node.row.path for node in nodes}
    # What a block reads from outside of it comes in as one.
    counts = {
        node.row.path: len(known & {*node.row.inputs}) + (not known >= {*node.row.inputs})
        for node in nodes
    }
    lanes: dict[Path, int] = {}
    continued: set[Path] = set()
    joined: set[tuple[Path, ...]] = set()
    busy: dict[int, list[tuple[int, int]]] = {}

    def end_of_branch(start: Path) -> int:
        path = start
        while readers[path] and (path == start or counts[path] < 2):
            path = readers[path][0]
        return columns[path] - 1 if counts[path] > 1 and path != start else columns[path]

    for node in nodes:
        path, inputs = node.row.path, node.row.inputs
        before = [lanes[read] for read in inputs if read in lanes]
        if counts[path] > 1 and inputs not in joined:  # another one of the same is a branch
            lanes[path] = min(before, default=0)
            continued |= {*inputs}
            joined.add(inputs)
            continue
        source = inputs[0] if inputs else None
        start = before[0] if before else 0
        if source is not None and source not in continued:
            lanes[path] = start
        else:
            span = columns[path], max(end_of_branch(path), columns[path])
            free = start + 1
            while any(first <= span[1] and span[0] <= last for first, last in busy.get(free, [])):
                free += 1
            lanes[path] = free
            busy.setdefault(free, []).append(span)
        if source is not None:
            continued.add(source)
    return lanes

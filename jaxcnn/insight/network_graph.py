"""The graph of a network as it is drawn: small layers and repeated blocks folded into one node."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from jaxcnn.shapes import Shape

Path: TypeAlias = tuple[str, ...]
INPUT: Path = ()
# Operations that combine the outputs of several layers, and their signs.
SIGNS = {"add": "+", "multiply": "×", "concat": "concat"}
# Parts of the kinds of layers that have a node of their own, even where they keep the shape.
_LARGE = ("conv", "dense", "linear", "depthwise", "separable", "pool", "attention", "pyramid")
# More nodes make a picture that is hard to read on a page; of blocks, which stand for many, fewer.
_MOST_NODES, _MOST_FOLDED = 26, 16


class LayerRow(NamedTuple):
    """One layer of a network, wherever it is from.

    Attributes:
      path: The names of the layer and of those that contain it.
      kind: The kind of layer, such as ``"conv"``.
      input_shape: The shape of one example before it.
      output_shape: The shape of one example after it.
      inputs: The paths of the layers whose outputs it reads; ``()`` is the network's input.
      window: The extent of its window along each spatial axis; empty if it has none.
      detail: Its most important options as text, such as ``"3×3, stride 2"``.
    """

    path: Path
    kind: str
    input_shape: Shape
    output_shape: Shape
    inputs: tuple[Path, ...]
    window: Shape = ()
    detail: str = ""


@dataclass(frozen=True)
class Node:
    """One drawn element: a layer with the small ones after it, or a block of layers.

    Attributes:
      row: The layer; of a block the shapes and inputs of the whole, and its path.
      followers: The layers that keep the shape, which are drawn with it.
      contents: The nodes of a block, of its first repetition; empty for a layer.
      members: The contents of every repetition of a block.
    """

    row: LayerRow
    followers: tuple[LayerRow, ...] = ()
    contents: "Nodes" = ()
    members: "tuple[tuple[Path, Nodes], ...]" = ()

    @property
    def is_block(self) -> bool:
        """Whether it stands for several layers."""
        return bool(self.contents)

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.row.path[-1] if self.row.path else "input"

    @property
    def layers(self) -> tuple[LayerRow, ...]:
        """Every layer that it stands for, of a block those of its first repetition."""
        if self.is_block:
            return tuple(layer for node in self.contents for layer in node.layers)
        return (self.row, *self.followers)


Nodes: TypeAlias = tuple[Node, ...]


def graph_of(rows: Iterable[LayerRow], input_shape: Shape) -> Nodes:
    """Return the nodes of a network, the first of which is its input.

    A layer that keeps the shape, such as an activation or a normalization, is drawn with the layer
    before it, if no other layer reads that one.

    Args:
      rows: The layers in an order in which each comes after those that it reads.
      input_shape: The shape of one example.
    """
    rows = list(rows)
    readers = Counter(path for row in rows for path in {*row.inputs})
    source: dict[Path, Path] = {INPUT: INPUT}  # of each layer the path of its node
    nodes = {INPUT: Node(LayerRow(INPUT, "input", input_shape, input_shape, ()))}
    for row in rows:
        inputs = tuple(dict.fromkeys(source[path] for path in row.inputs))
        first = row.inputs[0] if row.inputs else INPUT
        if row.kind == "identity":
            source[row.path] = inputs[0]
            readers[row.path] += readers[first] - 1
        elif _is_small(row) and len(row.inputs) == 1 and readers[first] == 1:
            node = nodes[inputs[0]]
            nodes[inputs[0]] = replace(node, followers=(*node.followers, row))
            source[row.path] = inputs[0]
        else:
            nodes[row.path] = Node(row._replace(inputs=inputs))
            source[row.path] = row.path
    return tuple(nodes.values())


def fold(nodes: Nodes, depth: int) -> Nodes:
    """Return the nodes with every block below a depth as one, repeated ones counted.

    Args:
      nodes: The nodes of a network, or of a part of it.
      depth: Number of names of the paths that stay apart.
    """
    return nodes if depth >= max(len(node.row.path) for node in nodes) else _fold(nodes, depth)


def foldings(nodes: Nodes, *, apart: bool = False) -> Iterator[Nodes]:
    """Yield the nodes with blocks folded more and more; first those with the most nodes.

    Those with too many nodes are left out, if there are others.

    Args:
      nodes: The nodes of a network, or of a part of it.
      apart: Whether the end of a branch, such as of a residual body, may be folded apart from what
        combines the branches.
    """
    lengths = [len(node.row.path) for node in nodes if node.row.path]
    depths = range(max(lengths, default=1), min(lengths, default=1) - 1, -1)
    choices = [fold(nodes, depth) for depth in depths]
    good = [choice for choice in choices if _is_readable(choice, nodes, apart=apart)]
    yield from good or choices[-1:]


def structure(nodes: Nodes) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return kinds and connections of nodes, which blocks of the same design have in common."""
    places = {node.row.path: number for number, node in enumerate(nodes)}
    return tuple(
        (node.row.kind, tuple(places.get(path, -1) for path in node.row.inputs)) for node in nodes
    )


def readers_of(nodes: Nodes) -> Mapping[Path, list[Path]]:
    """Return the paths of the nodes that read each node."""
    readers: dict[Path, list[Path]] = {node.row.path: [] for node in nodes}
    for node in nodes:
        for path in node.row.inputs:
            readers.setdefault(path, []).append(node.row.path)
    return readers


def _is_small(row: LayerRow) -> bool:
    large = row.window or row.kind in SIGNS or any(part in row.kind.lower() for part in _LARGE)
    return not large and row.input_shape == row.output_shape


def _fold(nodes: Nodes, depth: int) -> Nodes:
    groups: dict[Path, list[Node]] = {}
    for node in nodes:
        groups.setdefault(node.row.path[:depth], []).append(node)
    source: dict[Path, Path] = {}
    folded: list[Node] = []
    closed = {path for path, group in groups.items() if _is_closed(group, nodes)}
    for node in nodes:
        path = node.row.path[:depth]
        if path in closed:
            if node is not groups[path][0]:
                continue
            source.update({member.row.path: path for member in groups[path]})
            node = _block(path, tuple(groups[path]), depth)
        inputs = dict.fromkeys(source.get(read, read) for read in node.row.inputs)
        folded.append(replace(node, row=node.row._replace(inputs=tuple(inputs))))
    return _count_repeats(tuple(folded))


def _is_closed(group: Sequence[Node], nodes: Nodes) -> bool:
    """Return whether only the last of several nodes is read by others, and they are in a row."""
    own = {node.row.path for node in group}
    start = nodes.index(group[0])
    if len(group) == 1 or nodes[start : start + len(group)] != tuple(group):
        return False
    others = {path for node in nodes if node.row.path not in own for path in node.row.inputs}
    return not own & others - {group[-1].row.path}


def _block(path: Path, contents: Nodes, depth: int) -> Node:
    own = {node.row.path for node in contents}
    outside = dict.fromkeys(
        read for node in contents for read in node.row.inputs if read not in own
    )
    row = LayerRow(
        path, "block", contents[0].row.input_shape, contents[-1].row.output_shape, tuple(outside)
    )
    deepest = max(len(node.row.path) for node in contents)
    if depth + 1 < deepest:  # a block that is one block repeated
        inner = _fold(contents, depth + 1)
        if len(inner) == 1 and inner[0].members:
            return Node(row, contents=inner[0].contents, members=inner[0].members)
    return Node(row, contents=contents, members=((path, contents),))


def _count_repeats(nodes: Nodes) -> Nodes:
    """Return the nodes with blocks of one design in a row as one, which has all their contents."""
    readers = readers_of(nodes)
    kept: list[Node] = []
    source: dict[Path, Path] = {}  # of each block the path of the one that stands for it
    before: Node | None = None
    for node in nodes:
        inputs = tuple(source.get(path, path) for path in node.row.inputs)
        if before is not None and _repeats(before, node) and len(readers[before.row.path]) == 1:
            first = kept[-1]
            source[node.row.path] = first.row.path
            row = first.row._replace(output_shape=node.row.output_shape)
            kept[-1] = replace(first, row=row, members=first.members + node.members)
        else:
            kept.append(replace(node, row=node.row._replace(inputs=inputs)))
        before = node
    return tuple(kept)


def _repeats(before: Node, node: Node) -> bool:
    """Return whether a block reads one of the same design.

    They have the same parent, the same size of the output, and on their longest path the same
    layers; one may have a shortcut with layers, or other channels.
    """
    return (
        node.is_block
        and before.is_block
        and node.row.inputs == (before.row.path,)
        and before.row.path[:-1] == node.row.path[:-1]
        and before.row.output_shape[:-1] == node.row.output_shape[:-1]
        and _longest(before.contents) == _longest(node.contents)
    )


def _longest(nodes: Nodes) -> tuple[tuple[str, Shape], ...]:
    """Return kind and window of the layers with a window on the longest way through nodes."""
    ways: dict[Path, tuple[tuple[str, Shape], ...]] = {}
    for node in nodes:
        before = max((ways.get(path, ()) for path in node.row.inputs), key=len, default=())
        own = ((node.row.kind, node.row.window),) if node.row.window else ()
        ways[node.row.path] = before + own
    return ways[nodes[-1].row.path]


def _is_readable(folded: Nodes, nodes: Nodes, *, apart: bool) -> bool:
    if len(folded) > (_MOST_NODES if folded == nodes else _MOST_FOLDED):
        return False
    blocks = {node.row.path for node in folded if node.is_block}
    return apart or not any(
        len(node.row.inputs) > 1 and blocks & {*node.row.inputs} for node in folded
    )

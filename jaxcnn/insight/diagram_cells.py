"""The nodes of a network as they are drawn: their shape, their color and their texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxcnn.insight.drawn_shapes import Drawn, Face, Scale
from jaxcnn.insight.network_graph import SIGNS, Node
from jaxcnn.insight.picture_parts import Caption, Sign

# Colors stand for families of kinds of layers, which are found by parts of their names.
_FAMILIES = {
    "pool": ("pool",),
    "convolution": ("conv", "depthwise", "separable"),
    "dense": ("dense", "linear"),
    "block": ("block",),
}
_SMALL = 11.0


@dataclass(frozen=True)
class Cell:
    """A node with its extent.

    Attributes:
      node: The node.
      drawn: Its shape around the origin; ``None`` for a sign.
      family: The kind of layer by which it is colored.
      captions: The lines of text below it.
      inside: The lines of text within it.
      badge: Text above it, such as ``"×3"``.
      windowed: Whether the window on the input of the layer is drawn.
      aligned: Whether the lines below stand at the height of those of the whole lane.
      title: Text that is shown while the pointer is on it.
    """

    node: Node
    drawn: Drawn | None
    family: str
    captions: tuple[Caption, ...] = ()
    inside: tuple[Caption, ...] = ()
    badge: str = ""
    windowed: bool = False
    aligned: bool = True
    title: str = ""

    @property
    def sign(self) -> Sign:
        """The sign around the origin."""
        return Sign(0, 0, SIGNS[self.node.row.kind], self.title)

    @property
    def half_width(self) -> float:
        """Half of the width of the shape."""
        return self.sign.half_width if self.drawn is None else self.drawn.width / 2

    @property
    def half_height(self) -> float:
        """Half of the height of the shape."""
        return 10.0 if self.drawn is None else self.drawn.height / 2

    @property
    def width(self) -> float:
        """Width with the texts."""
        texts = [caption.width for caption in self.captions]
        return max([2 * self.half_width, *texts])


def map_cell(node: Node, scale: Scale) -> Cell:
    """Return a node as the feature map that it makes, with its texts below."""
    row = node.row
    captions = [
        Caption(shape_text(row.output_shape), bold=True),
        Caption(_name(node)),
    ]
    if row.detail:
        captions.append(Caption(row.detail, _SMALL, muted=True))
    captions += [Caption(follower.path[-1], _SMALL, muted=True) for follower in node.followers]
    return Cell(
        node,
        None if row.kind in SIGNS else scale.draw(row.output_shape),
        _family(row.kind),
        tuple(captions),
        badge=f"×{len(node.members)}" if len(node.members) > 1 else "",
        windowed=not node.is_block,
        title=_title(node),
    )


def text_cell(node: Node) -> Cell:
    """Return a node as a box with its texts, for the design of a block."""
    row = node.row
    if row.kind in SIGNS:
        followers = [Caption(follower.kind, _SMALL, muted=True) for follower in node.followers]
        return Cell(node, None, "other", tuple(followers), aligned=False, title=_title(node))
    count = f" ×{len(node.members)}" if len(node.members) > 1 else ""
    head = node.name if node.is_block else f"{row.kind} {row.detail}".strip()
    lines = [
        Caption(head + count, 11.5, bold=True),
        Caption(shape_text(row.output_shape), _SMALL),
    ]
    if node.followers:
        kinds = ", ".join(follower.kind for follower in node.followers)
        lines.append(Caption(kinds, _SMALL, muted=True))
    width = max(line.width for line in lines) + 14
    height = 14.0 * len(lines) + 8
    corners = (-width / 2, -height / 2), (width / 2, -height / 2)
    face = Face((*corners, (width / 2, height / 2), (-width / 2, height / 2)), "front")
    return Cell(
        node, Drawn(width, height, (face,)), _family(row.kind), inside=tuple(lines),
        title=_title(node),
    )  # fmt: skip


def shape_text(shape: Sequence[int]) -> str:
    """Return sizes as text, such as ``28×28×1``."""
    return "×".join(map(str, shape))


def _family(kind: str) -> str:
    for family, parts in _FAMILIES.items():
        if any(part in kind.lower() for part in parts):
            return family
    return "other"


def _title(node: Node) -> str:
    """Return the text that is shown while the pointer is on a node."""
    path, row = "/".join(node.row.path) or "input", node.row
    detail = f" {row.detail}" * bool(row.detail)
    own = f"{path}: {row.kind}{detail}, {shape_text(row.input_shape)} → "
    followers = ", ".join("/".join(follower.path) for follower in node.followers)
    return own + shape_text(row.output_shape) + f"; {followers}" * bool(followers)


def _name(node: Node) -> str:
    """Return the name of a node; of a repeated block also the last one: ``residual_1…3``."""
    if len(node.members) < 2 or node.members[0][0] != node.row.path:
        return node.name
    first, last = node.members[0][0][-1], node.members[-1][0][-1]
    stem = first.rpartition("_")[0]
    numbered = stem and last.startswith(f"{stem}_")
    return f"{first}…{last.removeprefix(f'{stem}_') if numbered else last}"

"""The picture of a network: feature maps to scale, windows, branches and repeated blocks."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.insight.diagram_cells import Cell, map_cell, shape_text, text_cell
from jaxcnn.insight.diagram_layout import PAGE, lay_out
from jaxcnn.insight.diagram_svg import COLORS, to_svg
from jaxcnn.insight.drawn_shapes import Face, Scale
from jaxcnn.insight.given_network import check_network
from jaxcnn.insight.network_graph import (
    LayerRow,
    Node,
    Nodes,
    fold,
    foldings,
    graph_of,
    structure,
)
from jaxcnn.insight.picture_parts import Label, Picture, Solid, joined, text_width
from jaxcnn.insight.traced_rows import traced_rows
from jaxcnn.interchange.model_file import write_whole
from jaxcnn.layers import Layer
from jaxcnn.layers.layer import WindowLayer

# Designs of blocks that are drawn below a network.
_MOST_DESIGNS = 6


@dataclass(frozen=True)
class Diagram:
    """The picture of a network; a notebook shows it where it is the value of a cell.

    Attributes:
      svg: The text of an SVG file. Text is text, in the color of the page around it, and nothing
        is loaded from elsewhere.
      picture: What is drawn where.
    """

    svg: str
    picture: Picture = field(repr=False)

    def save(self, path: str | FilePath) -> None:
        """Write the picture.

        Args:
          path: A file whose name ends in ``.svg``.

        Raises:
          OSError: the file cannot be written.
          ValueError: the name ends otherwise.
        """
        file = FilePath(path)
        if file.suffix.lower() != ".svg":
            raise ValueError(f"path must end in .svg. Received: path={arguments.shown(str(path))}")
        write_whole(file, self.svg.encode())

    def _repr_svg_(self) -> str:
        """Return the picture as a notebook shows it."""
        return self.svg


def diagram(
    model: Layer | nnx.Module,
    input_shape: Sequence[int] | None = None,
    *,
    depth: int | None = None,
) -> Diagram:
    """Draw a network: feature maps to scale, windows on their inputs, branches, repeated blocks.

    Activations, normalization and dropout are drawn with the layer before them. Of a large network
    blocks are drawn as one, repeated ones once with their number, and their designs below.

    >>> from jax.nn import relu
    >>> from jaxcnn.layers import conv, dense, flatten, max_pool, serial
    >>> net = serial(conv(8, 3), relu, max_pool(2), flatten(), dense(10))
    >>> drawn = diagram(net, (28, 28, 1))
    >>> drawn.svg.startswith("<svg"), "26×26×8" in drawn.svg
    (True, True)

    Args:
      model: A description, or any module. One that was not built from a description is traced;
        its windows are not drawn.
      input_shape: The shape of one example; a model that was built from a description has its own.
      depth: Number of names of the paths, ``stage_1/residual_1/body`` having three, down to which
        blocks are opened. ``None`` means the greatest with which the picture fits on a page.

    Raises:
      TypeError: it is neither, its shape is not known, or the module branches on values.
      ValueError: the shapes do not fit.
    """
    layer, shape = check_network(model, input_shape)
    if layer is not None:
        return draw_rows(_rows(layer, shape), shape, depth=depth)
    assert isinstance(model, nnx.Module)
    return draw_rows(_traced(model, shape), shape, depth=depth)


def draw_rows(
    rows: Iterable[LayerRow], input_shape: shapes.Shape, *, depth: int | None = None
) -> Diagram:
    """Draw a network that is given as rows, wherever they are from.

    Args:
      rows: The layers in an order in which each comes after those that it reads.
      input_shape: The shape of one example.
      depth: As for :func:`diagram`.

    Raises:
      TypeError: the depth is not an integer.
      ValueError: the depth is below 1.
    """
    if depth is not None:
        depth = arguments.check_integer("depth", depth, minimum=1)
    graph = graph_of(rows, input_shape)
    scale = Scale.of(node.row.output_shape for node in graph)
    choices = foldings(graph) if depth is None else [fold(graph, depth)]
    nodes, first = _first_that_fits(choices, lambda node: map_cell(node, scale), brackets=True)
    pictures = [first]
    pictures += _design_pictures(nodes)
    width = max(PAGE, *(picture.width for picture in pictures))
    families = {solid.family for picture in pictures for solid in picture.solids}
    notes = _notes(families, scale, width)
    moved, top = [], 6.0
    for picture in [*pictures, notes]:
        moved.append(picture.moved((width - picture.width) / 2, top))
        top += picture.height
    whole = joined(moved, width, top)
    last = nodes[-1].row.output_shape
    title = f"A network from {shape_text(input_shape)} to {shape_text(last)}"
    return Diagram(to_svg(whole, title), whole)


def _rows(layer: Layer, input_shape: shapes.Shape) -> Iterator[LayerRow]:
    for step in layer.walk(input_shape):
        window, detail = _window(step.layer, step.input_shape)
        yield LayerRow(
            step.path or (step.layer.kind,), step.layer.kind, step.input_shape, step.output_shape,
            step.inputs, window, detail,
        )  # fmt: skip


def _traced(model: nnx.Module, input_shape: shapes.Shape) -> Iterator[LayerRow]:
    known: dict[str, shapes.Shape] = {"": input_shape}
    for row in traced_rows(model, input_shape, ()):
        if not row.inputs:  # a module that is not called
            continue
        known[row.name] = row.output_shape
        inputs = tuple(tuple(name.split("/")) if name else () for name in row.inputs)
        path = tuple(row.name.split("/"))
        yield LayerRow(path, row.kind.lower(), known[row.inputs[0]], row.output_shape, inputs)


def _window(layer: Layer, input_shape: shapes.Shape) -> tuple[shapes.Shape, str]:
    """Return the extent of the window of a layer, and window and strides as text."""
    while hasattr(layer, "body"):
        layer = layer.body
    given = getattr(layer, "kernel_size", getattr(layer, "window", None))
    if given is None or len(input_shape) < 2:
        return (), ""
    axes = len(input_shape) - 1
    extent = size = shapes.per_axis("window", given, axes)
    steps, spread = getattr(layer, "strides", None) or 1, getattr(layer, "dilation", 1)
    pools = "pool" in layer.kind
    if isinstance(layer, WindowLayer):
        resolved = layer.windows(input_shape)
        steps, spread = resolved.strides, resolved.dilation
        extent = tuple(map(shapes.extent, size, spread))
    elif not pools:
        extent = ()  # a transposed convolution has its window on the output
    parts = [shape_text(size) if axes > 1 else f"{'window' if pools else 'kernel'} {size[0]}"]
    for name, option in (("stride", steps), ("dilation", spread)):
        values = shapes.per_axis(name, option, axes)
        if any(value != 1 for value in values) and not (pools and values == size):
            parts.append(f"{name} {values[0] if len({*values}) == 1 else shape_text(values)}")
    return extent, ", ".join(parts)


def _first_that_fits(
    choices: Iterable[Nodes], cell_of: Callable[[Node], Cell], *, brackets: bool
) -> tuple[Nodes, Picture]:
    """Return the first choice whose picture is not wider than a page, or the narrowest."""
    found = []
    for nodes in choices:
        picture = lay_out([cell_of(node) for node in nodes], brackets=brackets)
        found.append((nodes, picture))
        if picture.width <= PAGE * 1.03:
            return found[-1]
    return min(found, key=lambda choice: choice[1].width)


def _design_pictures(nodes: Nodes) -> list[Picture]:
    """Return a picture of each design of the blocks, several beside each other."""
    names: dict[object, list[str]] = {}
    drawings: dict[object, Picture] = {}
    opened: dict[object, Nodes] = {}
    waiting = [member for node in nodes for member in node.members]
    while waiting:
        path, contents = waiting.pop(0)
        key: object = structure(contents)
        if key not in opened:
            choices = foldings(contents, apart=True)
            opened[key], drawing = _first_that_fits(choices, text_cell, brackets=False)
            drawings.setdefault(structure(opened[key]), drawing)
            waiting += [member for node in opened[key] for member in node.members]
        names.setdefault(structure(opened[key]), []).append("/".join(path))
    pictures = []
    for design, (first, *others) in list(names.items())[:_MOST_DESIGNS]:
        drawn = drawings[design]
        text = first + (f", and {len(others)} more of this design" if others else "")
        width = max(drawn.width, text_width(text, 12, bold=True) + 24)
        label = Label(text, width / 2, 22, 12, bold=True)
        parts = [drawn.moved((width - drawn.width) / 2, 30), Picture(0, 0, labels=(label,))]
        pictures.append(joined(parts, width, drawn.height + 34))
    return _beside_each_other(pictures)


def _beside_each_other(pictures: Sequence[Picture]) -> list[Picture]:
    rows: list[list[Picture]] = []
    for picture in pictures:
        if rows and sum(other.width for other in rows[-1]) + picture.width <= PAGE:
            rows[-1].append(picture)
        else:
            rows.append([picture])
    joined_rows = []
    for row in rows:
        left, moved = 0.0, []
        for picture in row:
            moved.append(picture.moved(left, 0))
            left += picture.width
        joined_rows.append(joined(moved, left, max(picture.height for picture in row)))
    return joined_rows


def _notes(families: Collection[str], scale: Scale, width: float) -> Picture:
    """Return the legend of the colors and the scale in words."""
    found = [family for family in COLORS if family in families and family != "other"]
    lengths = [text_width(family, 11) + 34 for family in found]
    labels, solids, left = [], [], (width - sum(lengths)) / 2
    for family, length in zip(found, lengths, strict=True):
        corners = ((left, 8.0), (left + 11, 8.0), (left + 11, 19.0), (left, 19.0))
        solids.append(Solid((Face(corners, "front"),), family, family))
        labels.append(Label(family, left + 16 + text_width(family, 11) / 2, 17, 11))
        left += length
    labels.append(Label(scale.text, width / 2, 38, 11, muted=True))
    return Picture(width, 50, labels=tuple(labels), solids=tuple(solids))

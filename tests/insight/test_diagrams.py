"""Diagrams of networks: what is in them, to which scale, and that nothing overlaps."""

import itertools
import math
import re
import xml.etree.ElementTree

import numpy as np
import pytest
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn
from jaxcnn.insight import diagram
from jaxcnn.insight.diagrams import draw_rows
from jaxcnn.insight.network_graph import LayerRow, Node, fold, graph_of
from jaxcnn.insight.node_placement import place

MNIST = cnn.models.create("mnist_cnn")


def drawn(name, **options):
    return diagram(cnn.models.create(name), cnn.models.input_shape(name), **options)


def texts(result):
    """Return every text that is shown, from the SVG."""
    root = xml.etree.ElementTree.fromstring(result.svg)
    return [element.text for element in root.iter() if element.tag.endswith("}text")]


def titles(result):
    root = xml.etree.ElementTree.fromstring(result.svg)
    return [element.text for element in root.iter() if element.tag.endswith("}title")]


def overlaps(picture):
    """Return the pairs of labels whose boxes overlap."""
    boxes = [(label.text, label.bounds) for label in picture.labels]
    return [
        (name, other)
        for (name, a), (other, b) in itertools.combinations(boxes, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] - 0.01 and b[1] < a[3] - 0.01
    ]


def corners(picture):
    yield from (point for solid in picture.solids for face in solid.faces for point in face.corners)
    yield from (point for area in picture.areas for point in area.corners)
    yield from (point for line in picture.lines for point in line.points)
    for label in picture.labels:
        yield from (label.bounds[:2], label.bounds[2:])


def check(result):
    """Check that an SVG is one, that nothing lies outside of it, and that no labels overlap."""
    root = xml.etree.ElementTree.fromstring(result.svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    points = np.array(list(corners(result.picture)))
    assert (points >= 0).all()
    assert (points <= (width + 0.5, height + 0.5)).all()
    assert overlaps(result.picture) == []
    drawn_points = [float(n) for n in re.findall(r'[ "](-?[\d.]+),', result.svg)]
    assert min(drawn_points) >= 0
    assert max(drawn_points) <= width


def test_every_layer_of_the_course_s_network_is_in_it():
    result = drawn("mnist_cnn")
    check(result)
    shown = texts(result)
    for step in MNIST.walk((28, 28, 1)):
        assert step.path[-1] in shown
        assert "×".join(map(str, step.output_shape)) in shown
    assert {"28×28×1", "input"} <= {*shown}
    assert shown.count("3×3") == 3
    assert "conv_1: conv 3×3, 28×28×1 → 26×26×64; relu_1" in titles(result)
    assert result.picture.width <= 860  # legible at 700 pixels


def height_of(solid):
    front = next(face for face in solid.faces if face.shade == "front")
    return max(y for _, y in front.corners) - min(y for _, y in front.corners)


def length_of(solid):
    front = next(face for face in solid.faces if face.shade == "front")
    return max(x for x, _ in front.corners) - min(x for x, _ in front.corners)


def solids_of(result):
    return {solid.title.partition(":")[0]: solid for solid in result.picture.solids}


def test_sizes_are_to_scale():
    result, steps = drawn("mnist_cnn"), {"/".join(s.path): s for s in MNIST.walk((28, 28, 1))}
    solids = solids_of(result)
    unit = height_of(solids["input"]) / 28
    for name in ("conv_1", "max_pool_1", "conv_2", "max_pool_2", "conv_3"):
        height, width, channels = steps[name].output_shape
        assert height_of(solids[name]) == pytest.approx(unit * height)
        (side,) = (face for face in solids[name].faces if face.shade == "side")
        across = max(x for x, _ in side.corners) - min(x for x, _ in side.corners)
        assert across == pytest.approx(0.4 * unit * width)
        per_channel = length_of(solids[name]) / math.sqrt(channels)
        assert per_channel == pytest.approx(length_of(solids["conv_1"]) / 8)
    assert "drawn to one scale" in texts(result)[-1]
    assert len(solids["dense_1"].faces) == 10


def test_great_ratios_are_drawn_by_their_square_root():
    result = drawn("resnet50")
    solids = solids_of(result)
    ratio = height_of(solids["input"]) / height_of(solids["stem/conv_1"])
    assert ratio == pytest.approx(math.sqrt(2))
    assert "drawn by their square root" in texts(result)[-1]


def test_a_window_is_drawn_to_scale_on_its_input():
    result = diagram(cnn.serial(cnn.conv(4, (5, 3))), (20, 12, 1))
    window, fan = result.picture.areas
    (side,) = (face for face in solids_of(result)["input"].faces if face.shade == "side")
    heights = [max(y for _, y in p) - min(y for _, y in p) for p in (window.corners, side.corners)]
    widths = [max(x for x, _ in p) - min(x for x, _ in p) for p in (window.corners, side.corners)]
    assert widths[0] / widths[1] == pytest.approx(3 / 12)
    upright = window.corners[3][1] - window.corners[0][1]
    assert upright == pytest.approx(5 / 20 * (side.corners[3][1] - side.corners[0][1]))
    assert heights[0] > upright  # it is slanted as its face is
    left = min(x for f in solids_of(result)["conv_1"].faces for x, _ in f.corners)
    assert max(x for x, _ in fan.corners) == pytest.approx(left)


def ends(line):
    return line.points[0], line.points[-1]


def test_a_residual_path_is_an_arc_to_the_sum():
    net = cnn.serial(
        cnn.conv(4, 1), cnn.residual(cnn.serial(cnn.conv(4, 1), relu, cnn.conv(4, 1))), relu
    )
    result = diagram(net, (8, 8, 4))
    check(result)
    (sign,) = result.picture.signs
    assert (sign.text, sign.title) == ("+", "residual_1/add: add, 8×8×4 → 8×8×4; relu_1")
    (arc,) = (line for line in result.picture.lines if len(line.points) == 5)
    (start, _), (end, bottom) = ends(arc)
    solids = solids_of(result)
    assert start == pytest.approx(max(x for f in solids["conv_1"].faces for x, _ in f.corners) + 2)
    assert (end, bottom < sign.y) == (pytest.approx(sign.x), True)
    top = min(y for _, y in arc.points)
    assert all(
        top < y for solid in result.picture.solids for f in solid.faces for _, y in f.corners
    )


def test_a_shortcut_with_layers_and_branches_have_lanes():
    shortcut = cnn.residual(cnn.serial(cnn.conv(4, 1), cnn.conv(4, 1)), cnn.conv(4, 1))
    branches = cnn.parallel(cnn.conv(2, 1), cnn.serial(cnn.conv(2, 1), cnn.conv(3, 1)), relu)
    gate = cnn.parallel(cnn.identity(), cnn.global_avg_pool(keepdims=True), combine="multiply")
    result = diagram(cnn.serial(shortcut, branches, gate), (8, 8, 1))
    check(result)
    assert [sign.text for sign in result.picture.signs] == ["+", "concat", "×"]
    solids = solids_of(result)

    def middle(name):
        points = [point for face in solids[name].faces for point in face.corners]
        return [(min(p[i] for p in points) + max(p[i] for p in points)) / 2 for i in (0, 1)]

    body, added = middle("residual_1/body/conv_1"), middle("residual_1/shortcut")
    assert body[0] == pytest.approx(added[0])
    assert added[1] > body[1]
    lanes = {middle(f"parallel_1/{name}")[1] for name in ("conv_1", "serial_1/conv_1", "relu_1")}
    assert len(lanes) == 3
    concat = result.picture.signs[1]
    left = concat.x - concat.half_width - 2, concat.y
    joining = [line.points[0] for line in result.picture.lines if line.points[-1] == left]
    assert {y for _, y in joining} == lanes


def test_repeated_blocks_are_drawn_once_with_their_number():
    result = drawn("resnet50")
    check(result)
    shown = texts(result)
    assert [text for text in shown if re.fullmatch(r"×\d+", text)] == ["×3", "×4", "×6", "×3"]
    assert {"residual_1…6", "stage_3", "14×14×1024", "7×7, stride 2"} <= {*shown}
    assert "stage_1/residual_1, and 3 more of this design" in shown
    assert "stage_1/residual_2, and 11 more of this design" in shown
    assert [sign.text for sign in result.picture.signs] == ["+", "+"]
    assert result.picture.width <= 870


def test_depth_opens_blocks():
    folded, opened = drawn("resnet18", depth=1), drawn("resnet18", depth=9)
    check(folded)
    check(opened)
    assert "stage_1" in texts(folded)
    shown = titles(opened)
    for step in cnn.models.create("resnet18").walk((224, 224, 3)):
        assert any("/".join(step.path) in title for title in shown)
    assert len([sign for sign in opened.picture.signs if sign.text == "+"]) == 8
    nodes = graph_of(
        [LayerRow(("a", "b"), "conv", (4, 4, 1), (4, 4, 2), ((),)),
         LayerRow(("a", "c"), "conv", (4, 4, 2), (4, 4, 2), (("a", "b"),)),
         LayerRow(("d",), "conv", (4, 4, 2), (4, 4, 2), (("a", "b"), ("a", "c")))],
        (4, 4, 1),
    )  # fmt: skip
    assert fold(nodes, 1) == nodes  # another layer reads from the middle of the block


def test_blocks_that_are_entered_twice_stay_open():
    rows = [
        LayerRow(("a", "one"), "conv", (4, 4, 1), (4, 4, 2), ((),)),
        LayerRow(("b",), "conv", (4, 4, 2), (4, 4, 3), (("a", "one"),)),
        LayerRow(("a", "two"), "conv", (4, 4, 3), (4, 4, 4), (("b",),)),
    ]
    nodes = fold(graph_of(rows, (4, 4, 1)), 1)
    assert [node.row.path for node in nodes] == [(), *(row.path for row in rows)]
    check(draw_rows(rows, (4, 4, 1), depth=1))


@pytest.mark.parametrize("name", ["letters_cnn", "fcn", "inception_time", "r3d_18", "inception_v3"])
def test_kinds_of_networks(name):
    check(drawn(name))


@pytest.mark.long
@pytest.mark.parametrize("depth", [None, 1, 2, 9])
@pytest.mark.parametrize("name", cnn.models.names())
def test_every_model_of_the_zoo(name, depth):
    result = drawn(name, depth=depth)
    check(result)
    if depth is None:
        assert result.picture.width <= 870


def test_a_model_is_drawn_as_its_description():
    model = cnn.serial(cnn.conv(4, 3), relu).build((8, 8, 1), rngs=nnx.Rngs(0))
    assert diagram(model).svg == diagram(model.description, (8, 8, 1)).svg
    assert diagram(model, (9, 9, 1)).svg == diagram(model.description, (9, 9, 1)).svg


def test_single_layers():
    check(diagram(cnn.dense(5), (7,)))
    check(diagram(cnn.conv(4, 3), (9, 1)))
    check(diagram(cnn.identity(), (9, 9, 1)))
    check(diagram(cnn.residual(cnn.conv(1, 1)), (9, 9, 1)))


def test_rows_of_other_modules():
    rows = [
        LayerRow(("first",), "Conv", (8, 8, 3), (8, 8, 4), ((),)),
        LayerRow(("norm",), "LayerNorm", (8, 8, 4), (8, 8, 4), (("first",),)),
        LayerRow(("head",), "Linear", (4,), (2,), (("norm",),)),
    ]
    result = draw_rows(rows, (8, 8, 3))
    check(result)
    assert {"first", "norm", "head", "8×8×4"} <= {*texts(result)}
    assert "first: Conv, 8×8×3 → 8×8×4; norm" in titles(result)


def test_names_are_escaped_and_nothing_is_loaded(tmp_path):
    result = draw_rows([LayerRow(("a<b&c",), "conv", (4, 4, 1), (4, 4, 1), ((),))], (4, 4, 1))
    assert "a<b&c" in texts(result)
    assert result._repr_svg_() == result.svg
    for text in ("href", "url(", "<script", "@import", "font-face", "<image"):
        assert text not in result.svg
    for scheme in ("prefers-color-scheme:dark", "currentColor"):
        assert scheme in result.svg
    result.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == result.svg
    assert [path.name for path in tmp_path.iterdir()] == ["net.svg"]


def test_module_without_a_description_is_drawn():
    class Own(nnx.Module):
        def __init__(self):
            self.stem = nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0))
            self.body = nnx.Conv(4, 4, (3, 3), rngs=nnx.Rngs(0))
            self.spare = nnx.Linear(4, 4, rngs=nnx.Rngs(0))

        def __call__(self, x):
            x = self.stem(x)
            return x + self.body(x)

    words = texts(diagram(Own(), (8, 8, 1)))
    assert {"stem", "body", "output", "8×8×4"} <= set(words)
    assert "spare" not in words


def test_errors(tmp_path):
    with pytest.raises(TypeError, match=r"model must be a description .*Received: 3"):
        diagram(3, (28, 28, 1))
    with pytest.raises(TypeError, match="input_shape must be given"):
        diagram(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match="input_shape must be given"):
        diagram(MNIST)
    with pytest.raises(ValueError, match="conv_1"):
        diagram(MNIST, (2, 2, 1))
    with pytest.raises(ValueError, match="depth must be at least 1"):
        diagram(MNIST, (28, 28, 1), depth=0)
    with pytest.raises(ValueError, match=r"path must end in \.svg"):
        drawn("mnist_cnn").save(tmp_path / "net.png")


@pytest.mark.parametrize("outside", [True, False])
def test_branches_that_read_the_same_layers_stand_apart(outside):
    """Two towers over several levels, as of a detector's head: no two layers in one place."""

    def node(name, *inputs):
        shape = (8, 8, 1)
        return Node(LayerRow((name,), "conv", shape, shape, tuple((each,) for each in inputs)))

    towers = [
        node("a_1", "x", "y"), node("a_2", "a_1"), node("a_3", "a_1"), node("a", "a_2", "a_3"),
        node("b_1", "x", "y"), node("b_2", "b_1"), node("out", "a", "b_2"),
    ]  # fmt: skip
    nodes = tuple(towers if outside else [node("x"), node("y", "x"), *towers])
    places = place(nodes)
    found = [(places.columns[each.row.path], places.lanes[each.row.path]) for each in nodes]
    assert len({*found}) == len(nodes)

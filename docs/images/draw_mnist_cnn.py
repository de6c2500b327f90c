"""Draw ``mnist_cnn.svg``: the network of the README beside its code, feature maps to scale.

    python docs/images/draw_mnist_cnn.py

Shapes and parameter counts are read from the description of the network.
"""

from pathlib import Path

import jaxcnn as cnn

FILE = Path(__file__).with_name("mnist_cnn.svg")
WIDTH, HEIGHT = 1120, 400
FLOOR = 282  # y of the line on which the feature maps stand
LEFT, COLUMN = 296, 101  # x of the first column, and the width of each
# Lengths of a pixel, of a channel and of a feature of a vector; width is drawn slanted, shortened.
PIXEL, CHANNEL, FEATURE, SLANT = 4.6, 0.62, 0.4, 0.3
GRAY, BLUE, ORANGE, GREEN, INK = "#7b8794", "#3b7dd8", "#e08a2e", "#2f9668", "#1f2933"
COLORS = {"conv": BLUE, "max_pool": ORANGE, "flatten": GRAY, "dense": GREEN}
CODE = """\
network = cnn.serial(
    cnn.conv(64, 3), relu,
    cnn.max_pool(2),
    cnn.conv(64, 3), relu,
    cnn.max_pool(2),
    cnn.conv(64, 3), relu,
    cnn.flatten(),
    cnn.dropout(0.5),
    cnn.dense(10),
)"""
Point = tuple[float, float]


def draw() -> str:
    """Return the picture as the text of an SVG file."""
    shape = cnn.models.input_shape("mnist_cnn")
    summary = cnn.summarize(cnn.models.create("mnist_cnn"), shape)
    rows = [row for row in summary.rows if row.kind in COLORS]  # the others keep the shape
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>mnist_cnn: its code, and its feature maps to scale</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<rect x="16" y="16" width="262" height="{HEIGHT - 32}" fill="#f3f5f7"/>',
        *code_lines(),
        text(32, 318, f"{summary.parameters:,} parameters", size=14, weight="bold"),
        text(32, 342, "All shapes are known", size=12),
        text(32, 359, "before anything is built.", size=12),
        text(308, 42, "n = ⌊(n_prev − f + 2·pad) / stride⌋ + 1", size=15, weight="bold"),
        *feature_maps(0, shape, GRAY),
        *labels(0, shape, "input", GRAY, ""),
    ]
    for column, row in enumerate(rows, start=1):
        color = COLORS[row.kind]
        shape_drawn = feature_maps if len(row.output_shape) == 3 else vector
        parts += shape_drawn(column, row.output_shape, color)
        count = f"{row.parameters:,} parameters" if row.parameters else ""
        parts += labels(column, row.output_shape, row.name, color, count)
    scale = "Height and width to one scale, channels to another; the 10 classes are enlarged."
    parts.append(text(WIDTH - 20, HEIGHT - 16, scale, size=11, anchor="end", color=GRAY))
    return "\n".join([*parts, "</svg>", ""])


def code_lines() -> list[str]:
    """Return the lines of code, each in the color of the feature maps that it makes."""
    lines = []
    for number, line in enumerate(CODE.splitlines()):
        kind = line.strip().removeprefix("cnn.").partition("(")[0]
        color = COLORS.get(kind, INK)
        y = 52 + 24 * number
        lines.append(text(32, y, line, size=14, color=color, family="monospace"))
    return lines


def middle(column: int) -> float:
    """Return the x of the middle of a column."""
    return LEFT + COLUMN * (column + 0.5)


def feature_maps(column: int, shape: tuple[int, ...], color: str) -> list[str]:
    """Return a box of height, width (slanted) and channels (from left to right)."""
    rows, columns, channels = shape
    height, depth, length = PIXEL * rows, PIXEL * columns * SLANT, max(CHANNEL * channels, 2)
    left = middle(column) - (length + depth) / 2
    right, top = left + length, FLOOR - height
    back, back_top, back_floor = right + depth, top - depth, FLOOR - depth
    return [
        polygon(
            [(left, top), (right, top), (back, back_top), (left + depth, back_top)], color, 0.4
        ),
        polygon([(left, top), (right, top), (right, FLOOR), (left, FLOOR)], color, 0.7),
        polygon([(right, FLOOR), (right, top), (back, back_top), (back, back_floor)], color, 0.95),
    ]


def vector(column: int, shape: tuple[int, ...], color: str) -> list[str]:
    """Return a vector as a bar, or as numbered cells if it has few features."""
    (features,) = shape
    x = middle(column)
    if features > 10:
        return [bar(x, FLOOR - FEATURE * features, FLOOR, color)]
    parts = []
    for number in range(features):
        y = FLOOR - 16 * (features - number)
        parts.append(bar(x, y, y + 14, color))
        parts.append(text(x, y + 11, str(number), size=10, anchor="middle", color="#ffffff"))
    return parts


def bar(x: float, top: float, floor: float, color: str) -> str:
    """Return an upright bar around ``x``."""
    return polygon([(x - 9, top), (x + 9, top), (x + 9, floor), (x - 9, floor)], color, 0.8)


def labels(column: int, shape: tuple[int, ...], name: str, color: str, count: str) -> list[str]:
    """Return the lines of text below a shape."""
    x = middle(column)
    return [
        text(x, FLOOR + 26, "×".join(map(str, shape)), size=14, anchor="middle", weight="bold"),
        text(x, FLOOR + 46, name, size=13, anchor="middle", color=color),
        text(x, FLOOR + 64, count, size=11, anchor="middle", color=GRAY),
    ]


def polygon(corners: list[Point], color: str, opacity: float) -> str:
    """Return a filled polygon with thin white edges."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="{color}" fill-opacity="{opacity}" stroke="#ffffff"/>'


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: int,
    color: str = INK,
    anchor: str = "start",
    weight: str = "normal",
    family: str = "sans-serif",
) -> str:
    """Return a line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-family="{family}" '
        f'font-weight="{weight}" text-anchor="{anchor}" fill="{color}" '
        f'xml:space="preserve">{content}</text>'
    )


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf-8")

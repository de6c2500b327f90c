"""The command ``jaxcnn filter``: a kernel on a picture of the user's."""

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxcnn import arguments

if TYPE_CHECKING:
    import numpy as np

    from jaxcnn.layers import Layer

_KERNEL_RULE = (
    '--kernel must be a name, or rows of as many numbers each with ; between: "1 0 -1; 2 0 -2; '
    '1 0 -1"'
)


def filter_picture(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")],
    kernel: Annotated[
        str,
        typer.Option(
            help='A name, such as sobel_x or sharpen, or the rows of a matrix: "1 0 -1; 2 0 -2; '
            '1 0 -1". Three matrices with | between are weights of red, green and blue, whose '
            "sums are added, as a convolutional layer does.",
        ),
    ],
    strides: Annotated[str, typer.Option(help="Step of the window: 2, or 2,1.")] = "1",
    padding: Annotated[
        str, typer.Option(help="same, valid, or the number of zeros on each side.")
    ] = "same",
    bias: Annotated[float, typer.Option(help="A number that is added to each output.")] = 0.0,
    flip: Annotated[
        bool, typer.Option("--flip", help="Flip the kernel: the mathematical convolution.")
    ] = False,
    gray: Annotated[bool, typer.Option("--gray", help="Make a color picture gray first.")] = False,
    pool: Annotated[
        str | None,
        typer.Option(help="Pool the output: max or avg, and its window, such as max:2 or avg:3,2."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="Y,X",
            help="Print the numbers of the window behind the output in this row and column.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File of the drawing, .png or .svg.", show_default="IMAGE-KERNEL.png"),
    ] = None,
) -> None:
    """Convolve a picture with a kernel, and draw it before and after."""
    name = kernel if _is_name(kernel) else "kernel"
    file = Path(f"{image.stem}-{name}.png") if out is None else out
    if file.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"--out must end in .png or .svg. Received: {arguments.shown(str(file))}")
    position = None if window is None else _parse_integers("--window", window, "3,5", counts=(2,))
    steps_of_window = _parse_integers("--strides", strides, "2 or 2,1")
    is_number = padding.lstrip("-").isdecimal()

    import numpy as np

    from jaxcnn.data.decoding.pictures import read_picture
    from jaxcnn.insight import filter_steps, plots

    pixels = np.asarray(read_picture(image).convert("L") if gray else read_picture(image))
    steps = filter_steps(
        pixels,
        kernel if _is_name(kernel) else _parse_matrices(kernel),
        bias=bias,
        strides=steps_of_window[0] if len(steps_of_window) == 1 else steps_of_window,
        padding=int(padding) if is_number else padding,
        flip_kernel=flip,
        pool=None if pool is None else _parse_pool(pool),
    )
    worked = None if position is None else steps.window(position)
    drawing = plots.filtered_picture(steps, window=position)
    drawing.savefig(file)
    sizes = [steps.image.shape, steps.output.shape]
    formulas = [steps.formula]
    if steps.pooled is not None:
        sizes.append(steps.pooled.shape)
        formulas.append(steps.pool_formula)
    print(" → ".join("×".join(map(str, size)) for size in sizes))
    print("\n".join(formulas))
    if worked is not None:
        print(f"\n{worked}\n")
    print(f"The drawing is in {file}")


def _is_name(kernel: str) -> bool:
    return re.search("[a-z]{2}", kernel, re.IGNORECASE) is not None


def _parse_matrices(text: str) -> "np.ndarray":
    """Return ``(rows, columns)`` numbers, or ``(rows, columns, matrices)`` of several."""
    import numpy as np

    received = f"Received: {arguments.shown(text)}"
    matrices = []
    for matrix in text.split("|"):
        rows = [row.replace(",", " ").split() for row in matrix.strip().strip(";").split(";")]
        if not rows[0] or len({len(row) for row in rows}) > 1:
            counts = ", ".join(str(len(row)) for row in rows)
            raise ValueError(f"{_KERNEL_RULE}. {received}, with {counts} numbers in its rows")
        matrices.append([[_parse_number(number, received) for number in row] for row in rows])
    if len({(len(rows), len(rows[0])) for rows in matrices}) > 1:
        raise ValueError(f"the matrices of --kernel must have one size. {received}")
    numbers = np.asarray(matrices)
    return numbers[0] if len(matrices) == 1 else np.moveaxis(numbers, 0, -1)


def _parse_number(number: str, received: str) -> float:
    """Return a number or a fraction, such as 0.5 or 1/9."""
    try:
        return float(Fraction(number))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"{_KERNEL_RULE}. {received}, in which {arguments.shown(number)} is not a number"
        ) from None


def _parse_pool(text: str) -> "Layer":
    from jaxcnn.layers import avg_pool, max_pool

    kind, _, window = text.partition(":")
    pools = {"max": max_pool, "avg": avg_pool}
    if kind not in pools:
        raise ValueError(
            "--pool must be max or avg, and its window, such as max:2 or avg:3,2. "
            f"Received: {arguments.shown(text)}"
        )
    sizes = _parse_integers("the window of --pool", window or "2", "max:2 or avg:3,2")
    return pools[kind](sizes[0] if len(sizes) == 1 else sizes)


def _parse_integers(
    name: str, text: str, example: str, *, counts: tuple[int, ...] = (1, 2)
) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in counts:
        raise ValueError(
            f"{name} must be integers with a comma between, such as {example}. "
            f"Received: {arguments.shown(text)}"
        )
    return numbers

"""Commands about models: ``jaxcnn models | summary``."""

from typing import Annotated

import typer

from jaxcnn import arguments, shapes
from jaxcnn.cli.option_types import MODEL_HELP
from jaxcnn.cli.tables import print_table


def summary(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    input_shape: Annotated[
        str | None,
        typer.Option(help="Shape of an image, such as 28,28,1.", show_default="the model's own"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the formula behind every size.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="Fold what is deeper into one row.", show_default="every layer"),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Measure the share of time of each layer.")
    ] = False,
    form: Annotated[str, typer.Option("--format", help="table, markdown, html or json.")] = "table",
) -> None:
    """Print the table of a model: sizes, parameters, multiply-adds and memory of every layer."""
    from rich.console import Console

    from jaxcnn import models
    from jaxcnn.insight import summarize

    arguments.check_choice("--format", form, ("table", "markdown", "html", "json"))
    network = models.create(model)
    shape = models.input_shape(model) if input_shape is None else _parse_shape(input_shape)
    table = summarize(network, shape, depth=depth, explain=explain, profile=profile)
    console = Console()
    if form != "table":
        print(getattr(table, f"to_{form}")())
    elif console.is_terminal:  # in color, and as wide as it is
        console.print(table)
    else:
        print(table)


def list_models(
    pattern: Annotated[
        str, typer.Argument(help="Names to list, with * for any letters, such as 'resnet*'.")
    ] = "*",
) -> None:
    """List the models: image, parameters, multiply-adds, readable weights, and paper."""
    from jaxcnn import models
    from jaxcnn.insight import summarize

    names = models.names(pattern)
    if not names:
        raise ValueError(f"no model has a name like {pattern!r}: `jaxcnn models` lists them all")
    rows = [("model", "input", "parameters", "multiply-adds", "weights", "paper")]
    for info in map(models.info, names):
        assert info.input_shape is not None  # every registered model has one
        parameters, multiply_adds = info.parameters, info.multiply_adds
        if parameters is None or multiply_adds is None:  # a model of the user's
            network = models.create(info.name)
            parameters = summarize(network, info.input_shape).trainable
            multiply_adds = network.multiply_adds(info.input_shape)
        rows.append(
            (
                info.name,
                ",".join(map(str, info.input_shape)),
                f"{parameters:,}",
                f"{multiply_adds:,}",
                ", ".join(info.weights) or "–",
                info.paper or "–",
            )
        )
    print_table(rows, numbers=(2, 3))


def _parse_shape(text: str) -> shapes.Shape:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "--input-shape must be integers with commas between, such as 28,28,1. "
            f"Received: {arguments.shown(text)}"
        ) from None
    return shapes.check_shape(numbers)

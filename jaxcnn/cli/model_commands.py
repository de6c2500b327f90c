"""Commands about models: ``jaxcnn models | summary``."""

from typing import Annotated

import typer

from jaxcnn import arguments, shapes
from jaxcnn.cli.option_types import MODEL_HELP


def summary(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    input_shape: Annotated[
        str | None,
        typer.Option(help="Shape of an image, such as 28,28,1.", show_default="the model's own"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the formula behind every shape.")
    ] = False,
) -> None:
    """Print the table of a model: every layer's output shape and parameters."""
    from jaxcnn import models
    from jaxcnn.insight import summarize

    network = models.create(model)
    shape = models.input_shape(model) if input_shape is None else _parse_shape(input_shape)
    print(summarize(network, shape, explain=explain))


def list_models() -> None:
    """List the models that can be trained."""
    from jaxcnn import models
    from jaxcnn.insight import summarize

    names = models.names()
    width = max(map(len, names))
    for name in names:
        shape = models.input_shape(name)
        parameters = summarize(models.create(name), shape).trainable
        print(f"{name:<{width}}  {','.join(map(str, shape)):<10}  {parameters:>10,} parameters")


def _parse_shape(text: str) -> shapes.Shape:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "--input-shape must be integers with commas between, such as 28,28,1. "
            f"Received: {arguments.shown(text)}"
        ) from None
    return shapes.check_shape(numbers)

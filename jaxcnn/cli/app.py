"""The command line: ``jaxcnn train | evaluate | predict | summary | models | runs | data | …``."""

import os
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import typer

from jaxcnn import data as datasets
from jaxcnn import models, shapes, training
from jaxcnn.cli import data_commands, training_commands
from jaxcnn.cli.data_commands import CacheDir, DataDir, OnError
from jaxcnn.data.pictures import read_picture
from jaxcnn.insight import summarize
from jaxcnn.recipes import run as runs
from jaxcnn.runtime import keep_freed_memory

app = typer.Typer(
    help="Convolutional networks in JAX as plain functions.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(training_commands.train)
app.command(name="recipes")(training_commands.list_recipes)
app.command(name="runs")(training_commands.list_runs)
app.command()(training_commands.compare)
app.command()(training_commands.find_rate)
app.add_typer(data_commands.app, name="data")
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


def main() -> None:
    """Runs the command line; a mistake of the user's is one line and exit code 2."""
    _prepare()
    try:
        sys.exit(app(standalone_mode=False))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except typer.TyperException as error:
        message = error.format_message()
    except (ValueError, TypeError, ConnectionError) as error:
        message = str(error)
    except FloatingPointError as error:  # the training failed
        print("Error:", error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        message = f"{error.filename or 'a file'}: {error.strerror or error}"
    print("Error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


def _prepare() -> None:
    """Settings of this process, which is the command's own: its memory, and kept programs.

    JAX keeps compiled programs in ``$XDG_CACHE_HOME/jaxcnn``, or where its own setting says.
    """
    keep_freed_memory()
    warnings.showwarning = lambda message, *_, **__: print("Warning:", message, file=sys.stderr)
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxcnn"
        jax.config.update("jax_compilation_cache_dir", str(cache))


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"jaxcnn {metadata.version('jaxcnn')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option(help="Another data set.", show_default="the run's own")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, test, all, …", show_default="the images held out for testing"),
    ] = None,
    on_error: OnError | None = None,
    data_dir: DataDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Evaluate a trained model on held-out images, each counted once."""
    described, model = runs.describe(run), runs.load(run)
    source = data or described.data["source"]
    folder = data_dir if data else data_dir or described.data["data_dir"]
    own = {} if data else described.training.get("data", {})
    split = split or own.get("test") or datasets.describe(source, data_dir=folder).test
    *image_size, channels = described.input_shape
    test_set = datasets.load(
        source,
        split=split,
        image_size=image_size,
        channels=channels if channels in (1, 3) else None,
        on_error=on_error or own.get("on_error", "raise"),
        data_dir=folder,
        cache_dir=cache_dir,
    )
    test_set = datasets.match_classes(test_set, described.class_names)
    result = training.evaluate(model, test_set)
    print(f"data      {source} ({split}, {result.examples:,} images)")
    print(f"loss      {result.loss:.4f}")
    print(f"accuracy  {result.accuracy:.2%}")


@app.command()
def predict(
    run: RunFolder,
    pictures: Annotated[
        list[Path], typer.Argument(metavar="IMAGE…", help="Picture files of any size.")
    ],
) -> None:
    """Say what pictures show: the most probable class of each, and its probability."""
    described, model = runs.describe(run), runs.load(run)
    images = np.stack([described.framing.apply(read_picture(path)) for path in pictures])
    unlabeled = datasets.Dataset(images, np.zeros(len(images), int), described.class_names)
    probabilities = training.predict(model, unlabeled.resize(described.input_shape[:2]).images)
    width = max(len(str(path)) for path in pictures)
    for path, row in zip(pictures, probabilities, strict=True):
        print(f"{path!s:<{width}}  {described.class_names[row.argmax()]}  {row.max():.1%}")


@app.command()
def summary(
    model: Annotated[str, typer.Argument(help="A model; `jaxcnn models` lists them.")],
    input_shape: Annotated[
        str | None,
        typer.Option(help="Shape of an image, such as 28,28,1.", show_default="the model's own"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the formula behind every shape.")
    ] = False,
) -> None:
    """Print the table of a model: every layer's output shape and parameters."""
    network = models.create(model)
    shape = models.input_shape(model) if input_shape is None else _shape(input_shape)
    print(summarize(network, shape, explain=explain))


@app.command(name="models")
def list_models() -> None:
    """List the models that can be trained."""
    names = models.names()
    width = max(map(len, names))
    for name in names:
        shape = models.input_shape(name)
        parameters = summarize(models.create(name), shape).trainable
        print(f"{name:<{width}}  {','.join(map(str, shape)):<10}  {parameters:>10,} parameters")


def _shape(text: str) -> shapes.Shape:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "--input-shape must be integers with commas between, such as 28,28,1. "
            f"Received: {text!r}"
        ) from None
    return shapes.check_shape(numbers)

"""The command line: ``jaxcnn train | evaluate | predict | summary | models | data``."""

import functools
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import typer
from flax import nnx

from jaxcnn import data as datasets
from jaxcnn import data_commands, models, shapes, training
from jaxcnn.data.pictures import Framing, read_picture
from jaxcnn.data_commands import DataDir
from jaxcnn.insight import plots, summarize
from jaxcnn.memory import keep_freed_memory
from jaxcnn.training import run as runs
from jaxcnn.training.metrics import confusion_matrix

app = typer.Typer(
    help="Convolutional networks in JAX as plain functions.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
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
    except OSError as error:
        message = f"{error.filename or 'a file'}: {error.strerror or error}"
    print("Error:", " ".join(message.split()), file=sys.stderr)
    sys.exit(2)


def _prepare() -> None:
    """Settings of this process, which is the command's own: its memory, and kept programs.

    JAX keeps compiled programs in ``$XDG_CACHE_HOME/jaxcnn``, or where its own setting says.
    """
    keep_freed_memory()
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
def train(
    model: Annotated[str, typer.Option(help="A model; `jaxcnn models` lists them.")] = "mnist_cnn",
    data: Annotated[
        str,
        typer.Option(help="A folder of pictures, a .npz file, or a name in `jaxcnn data list`."),
    ] = "digits",
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 64,
    learning_rate: Annotated[
        float, typer.Option(help="Peak of the one-cycle learning rate.")
    ] = 3e-3,
    augment: Annotated[
        str,
        typer.Option(
            help="How training images are changed: " + ", ".join(datasets.recipe_names()) + "."
        ),
    ] = "digits",
    seed: Annotated[int, typer.Option(help="Decides all randomness.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/MODEL-DATA-N")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run that is there.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Train a model, and write the run into a folder."""
    folder = _next_folder(f"{model}-{Path(data).stem}") if out is None else out
    runs.check_new_folder(folder, overwrite=overwrite)
    recipe = datasets.recipe(augment)
    *image_size, _ = models.input_shape(model)
    load = functools.partial(datasets.load, data, data_dir=data_dir)
    # A set is measured as it is stored; the pictures in a folder may have any size.
    in_folder = data_dir is None and Path(data).is_dir()
    stored = load(split="train", image_size=image_size if in_folder else None)
    train_set, test_set = stored.resize(image_size), load(split="test", image_size=image_size)
    options = {"num_classes": len(train_set.class_names)}
    network = models.create(model, **options)
    print(summarize(network, train_set.image_shape))
    print(f"\nTraining on {len(train_set):,} images of {data}, testing on {len(test_set):,}\n")

    started = time.monotonic()
    result = training.fit(
        network.build(train_set.image_shape, rngs=nnx.Rngs(seed)),
        train_set,
        validation=test_set,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        augment=recipe,
        seed=seed,
    )
    seconds = time.monotonic() - started
    tested = training.evaluate(result.model, test_set)
    probabilities = training.predict(result.model, test_set.images)
    names = train_set.class_names
    with runs.new_folder(folder, overwrite=overwrite) as staging:
        run = runs.Run(
            model=model,
            options=options,
            input_shape=train_set.image_shape,
            class_names=names,
            framing=Framing.measure(stored),
            data={"source": data, "data_dir": None if data_dir is None else str(data_dir)},
            training={
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "augment": augment,
                "seed": seed,
            },
            metrics=tested._asdict() | {"seconds": round(seconds, 1)},
        )
        runs.write(staging, run, result.model, result.history)
        matrix = confusion_matrix(test_set.labels, probabilities.argmax(axis=1), len(names))
        figures = {
            "learning_curves": plots.learning_curves(result.history),
            "confusion_matrix": plots.confusion(matrix, names),
            "worst_mistakes": plots.worst_mistakes(
                test_set.images, test_set.labels, probabilities, names
            ),
        }
        (staging / "plots").mkdir()
        for name, figure in figures.items():
            figure.savefig(staging / "plots" / f"{name}.png", dpi=120)
    print(f"\n{tested.accuracy:.2%} of {tested.examples:,} test images right, {seconds:.0f} s")
    print(f"The run is in {folder}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option(help="Another data set.", show_default="the run's own")
    ] = None,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "test",
    data_dir: DataDir = None,
) -> None:
    """Evaluate a trained model on held-out images, each counted once."""
    described, model = runs.describe(run), runs.load(run)
    source = data or described.data["source"]
    folder = data_dir or described.data["data_dir"]
    test_set = datasets.load(
        source, split=split, image_size=described.input_shape[:2], data_dir=folder
    )
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
    unlabelled = datasets.Dataset(images, np.zeros(len(images), int), described.class_names)
    probabilities = training.predict(model, unlabelled.resize(described.input_shape[:2]).images)
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
            "--input-shape must be whole numbers with commas between, such as 28,28,1. "
            f"Received: {text!r}"
        ) from None
    return shapes.check_shape(numbers)


def _next_folder(name: str) -> Path:
    """Returns the first of runs/NAME-1, runs/NAME-2, … that is free."""
    number = 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder

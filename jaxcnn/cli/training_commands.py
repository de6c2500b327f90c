"""Commands that train: ``jaxcnn train | recipes | find-learning-rate``."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from jaxcnn.cli.option_types import (
    MODEL_HELP,
    Assignments,
    CacheDir,
    DataDir,
    OnError,
    Plot,
    RecipeName,
)


def train(
    recipe: RecipeName = None,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A folder of pictures, a .npz file, or a name in `jaxcnn data list`."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the learning rate.")] = None,
    augment: Annotated[str | None, typer.Option(help="Name of an augmentation policy.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.")] = None,
    assignments: Assignments = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/MODEL-DATA-N")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing run.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Resume an unfinished run.")
    ] = None,
    on_error: OnError | None = None,
    data_dir: DataDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Train a model, and keep the run in a folder."""
    from jaxcnn import recipes
    from jaxcnn.training import run_folder

    options = {
        "--model": ("model.name", model),
        "--data": ("data.source", data),
        "--data-dir": ("data.data_dir", data_dir and str(data_dir)),
        "--cache-dir": ("data.cache_dir", cache_dir and str(cache_dir)),
        "--on-error": ("data.on_error", on_error),
        "--augment": ("data.augment", augment),
        "--learning-rate": ("optimizer.learning_rate", learning_rate),
        "--epochs": ("training.epochs", epochs),
        "--batch-size": ("training.batch_size", batch_size),
        "--seed": ("training.seed", seed),
    }
    given = {flag: option for flag, option in options.items() if option[1] is not None}
    if resume is None:
        # Options and assignments may depend on one another, so they are checked together.
        chosen = recipes.read(
            recipe or "digits", options=dict(given.values()), assignments=assignments or ()
        )
        recipes.train(chosen, out, overwrite=overwrite)
        return
    others = {"RECIPE": recipe, "--set": assignments, "--out": out, "--overwrite": overwrite}
    received = [*(flag for flag, value in others.items() if value), *given]
    if received:
        raise ValueError(
            "--resume uses the run's own recipe; no option can be changed. "
            f"Received: {', '.join(received)}"
        )
    if run_folder.is_finished(resume):
        print(f"The run in {resume} has ended; there is nothing to resume.")
    else:
        recipes.resume(resume)


def list_recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe.")] = None,
) -> None:
    """List the recipes that come with jaxcnn, or print one."""
    from jaxcnn import recipes
    from jaxcnn.recipes.toml_options import dump

    if name is not None:
        print(dump(recipes.read(name)), end="")
        return
    files = recipes.recipe_files()
    width = max(map(len, files))
    for name, path in files.items():
        summary = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        print(f"{name:<{width}}  {summary}")


def find_learning_rate(
    recipe: RecipeName = None,
    assignments: Assignments = None,
    highest: Annotated[float, typer.Option(help="The largest rate to try.")] = 10.0,
    steps: Annotated[int, typer.Option(help="Number of rates to try.")] = 100,
    plot: Plot = Path("learning_rate.png"),
) -> None:
    """Find a learning rate for a recipe by a short training under a growing one."""
    from jaxcnn import recipes, training
    from jaxcnn.insight import plots
    from jaxcnn.recipes.assembly import assemble

    assembly = assemble(recipes.read(recipe or "digits", assignments=assignments or ()))
    task, decided = assembly.task, assembly.recipe
    search = training.find_learning_rate(
        task.model,
        task.data,
        optimizer=functools.partial(decided.optimizer.rule, freeze=decided.model.freeze),
        loss=task.loss,
        highest=highest,
        steps=steps,
        batch_size=task.options.batch_size,
        augment=task.augment,
        seed=task.options.seed,
    )
    plots.learning_rate_search(search).savefig(plot, dpi=120)
    print(f"learning rate  {search.suggestion:.2g}")
    print(f"The search is in {plot}")

"""The commands that train, and that look at what was trained."""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxcnn import training
from jaxcnn.cli.data_commands import CacheDir, DataDir, OnError
from jaxcnn.insight import plots, summarize
from jaxcnn.recipes import run as runs
from jaxcnn.recipes import schema as recipes
from jaxcnn.recipes.assembly import Assembled, assemble
from jaxcnn.recipes.toml_options import dump
from jaxcnn.training.metrics import confusion_matrix

# Options of the command that set one of a recipe's.
_SHORTCUTS = {
    "model": "model.name",
    "data": "data.source",
    "data_dir": "data.data_dir",
    "cache_dir": "data.cache_dir",
    "on_error": "data.on_error",
    "augment": "data.augment",
    "learning_rate": "optimizer.learning_rate",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "seed": "training.seed",
}
RecipeName = Annotated[
    str | None,
    typer.Argument(metavar="RECIPE", help="A TOML file, or a name in `jaxcnn recipes`."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="OPTION=VALUE", help="Set an option of the recipe."),
]


def train(
    recipe: RecipeName = None,
    model: Annotated[str | None, typer.Option(help="A model; `jaxcnn models` lists them.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A folder of pictures, a .npz file, or a name in `jaxcnn data list`."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the learning rate.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="How training images are changed, by name.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides all randomness.")] = None,
    assignments: Assignments = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/MODEL-DATA-N")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run that is there.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that has not ended.")
    ] = None,
    on_error: OnError | None = None,
    data_dir: DataDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Train a model, and keep the run in a folder."""
    given = locals()
    chosen = {name: given[name] for name in _SHORTCUTS if given[name] is not None}
    if resume is not None:
        others = {"recipe": recipe, "--set": assignments or None, "out": out}
        _check_resumes_alone(chosen | others | {"overwrite": overwrite or None})
        if runs.is_finished(resume):
            print(f"The run in {resume} has ended; there is nothing to go on with.")
            return
        _train(assemble(runs.read_recipe(resume), goes_on=runs.can_go_on(resume)), resume)
        return
    short = [f"{_SHORTCUTS[name]}={_toml(value)}" for name, value in chosen.items()]
    assembled = assemble(
        recipes.read(recipe or "digits", assignments=[*short, *(assignments or ())])
    )
    decided = assembled.recipe
    name = f"{decided.model.name}-{Path(decided.data.source).stem}"
    folder = _next_folder(name) if out is None else out
    with runs.begun(folder, decided, overwrite=overwrite):
        _train(assembled, folder)


def _train(assembled: Assembled, folder: Path) -> None:
    """Trains, or goes on, and finishes the run."""
    recipe, train_set, test_set = assembled.recipe, assembled.train, assembled.test
    print(summarize(assembled.network, train_set.image_shape))
    if assembled.fresh:
        print(f"\nNot from {recipe.model.weights}: {', '.join(assembled.fresh)}")
    source = recipe.data.source
    print(f"\nTraining on {len(train_set):,} images of {source}, testing on {len(test_set):,}\n")
    callbacks = []
    if recipe.training.tensorboard:
        callbacks.append(training.tensorboard(folder / "tensorboard"))
    try:
        result = training.fit(
            assembled.model,
            train_set,
            run=folder,
            checkpoint_every=recipe.training.checkpoint_every,
            keep_best=recipe.training.keep_best,
            callbacks=callbacks,
            **assembled.options,
        )
    except (KeyboardInterrupt, SystemExit):
        if runs.can_go_on(folder):
            print(f"\nThe training is saved. Go on with it: jaxcnn train --resume {folder}")
        raise
    seconds = sum(row.seconds for row in result.history)  # a resumed run's from its beginning on
    measured = assembled.options["metrics"]
    loss = assembled.options["loss"]
    tested = training.evaluate(result.model, test_set, loss=loss, metrics=measured)
    _draw(folder, result, assembled)
    run = runs.Run(
        model=recipe.model.name,
        options={"num_classes": len(train_set.class_names)} | recipe.model.options,
        input_shape=train_set.image_shape,
        class_names=train_set.class_names,
        framing=assembled.framing,
        data={"source": source, "data_dir": recipe.data.data_dir},
        training=dataclasses.asdict(recipe),
        metrics=_plain(tested._asdict() | {"seconds": round(seconds, 1)}),
    )
    runs.finish(folder, run, result.model)
    print(f"\n{tested.accuracy:.2%} of {tested.examples:,} test images right, {seconds:.0f} s")
    print(f"The run is in {folder}")


def list_recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one, whole.")] = None,
) -> None:
    """List the recipes that come with jaxcnn, or print one."""
    if name is not None:
        print(dump(recipes.read(name)), end="")
        return
    files = recipes.recipe_files()
    width = max(map(len, files))
    for name, path in files.items():
        summary = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        print(f"{name:<{width}}  {summary}")


def list_runs(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
) -> None:
    """List the runs in a folder: what was trained on what, and how well."""
    # Runs of `fit(…, run=…)` have no recipe.
    found = sorted(
        {path.parent for name in (runs.RECIPE, runs.HISTORY) for path in folder.glob(f"*/{name}")}
    )
    if not found:
        raise ValueError(f"there are no runs in {str(folder)!r}")
    header = ("run", "model", "data", "epochs", "loss", "accuracy", "seconds", "")
    _print_table([header, *map(_row, found)])


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Folders of runs.")],
    picture: Annotated[Path, typer.Option(help="Where to draw the curves, such as a PNG.")] = Path(
        "compare.png"
    ),
) -> None:
    """Show runs side by side: the options that differ, the results, and the curves."""
    if len(folders) < 2:
        raise ValueError("compare needs at least two runs")
    if len({folder.resolve() for folder in folders}) < len(folders):
        received = ", ".join(map(str, folders))
        raise ValueError(f"compare needs runs that are not the same. Received: {received}")
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    options = [_flat(dataclasses.asdict(runs.read_recipe(folder))) for folder in folders]
    histories = {
        name: runs.read_history(folder) for name, folder in zip(names, folders, strict=True)
    }
    differing = [
        option
        for option in dict.fromkeys(name for run in options for name in run)
        if len({str(run.get(option)) for run in options}) > 1
    ]
    measured = [[row.numbers() for row in history[-1:]] for history in histories.values()]
    results = dict.fromkeys(name for rows in measured for row in rows for name in row)
    rows = [("", *names)]
    rows += [(option, *(_short(run.get(option)) for run in options)) for option in differing]
    rows += [
        (name, *(_short(row.get(name)) for (row,) in (rows or [{}] for rows in measured)))
        for name in results
    ]
    _print_table(rows)
    plots.comparison(histories).savefig(picture, dpi=120)
    print(f"\nThe curves are in {picture}")


def find_rate(
    recipe: RecipeName = None,
    assignments: Assignments = None,
    highest: Annotated[float, typer.Option(help="The largest rate to try.")] = 10.0,
    steps: Annotated[int, typer.Option(help="How many rates to try.")] = 100,
    picture: Annotated[Path, typer.Option(help="Where to draw the search, such as a PNG.")] = Path(
        "learning_rate.png"
    ),
) -> None:
    """Find a learning rate for a recipe by a short training under a growing one."""
    assembled = assemble(recipes.read(recipe or "digits", assignments=assignments or ()))
    options, decided = assembled.options, assembled.recipe
    search = training.find_learning_rate(
        assembled.model,
        assembled.train,
        optimizer=functools.partial(decided.optimizer.rule, freeze=decided.model.freeze),
        loss=options["loss"],
        highest=highest,
        steps=steps,
        batch_size=options["batch_size"],
        augment=options["augment"],
        seed=options["seed"],
    )
    plots.rate_search(search).savefig(picture, dpi=120)
    print(f"learning rate  {search.suggestion:.2g}")
    print(f"The search is in {picture}")


def _check_resumes_alone(others: Mapping[str, Any]) -> None:
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ValueError(
            "--resume goes on with a run's own recipe; nothing can be set anew. "
            f"Received: {', '.join(given)}"
        )


def _draw(folder: Path, result: training.FitResult, assembled: Assembled) -> None:
    """Draws the plots of a run."""
    data = assembled.test
    probabilities = training.predict(result.model, data.images)
    matrix = confusion_matrix(data.labels, probabilities.argmax(axis=1), len(data.class_names))
    figures = {
        "learning_curves": plots.learning_curves(result.history),
        "confusion_matrix": plots.confusion(matrix, data.class_names),
        "worst_mistakes": plots.worst_mistakes(
            data.images, data.labels, probabilities, data.class_names
        ),
    }
    (folder / "plots").mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / "plots" / f"{name}.png", dpi=120)


def _row(folder: Path) -> tuple[str, ...]:
    """Returns what the table of runs says of one: of a damaged one, what is wrong with it."""
    try:
        return (folder.name, *_cells(folder))
    except (OSError, TypeError, ValueError) as error:
        return (folder.name, *[""] * 6, str(error))


def _cells(folder: Path) -> tuple[str, ...]:
    history = runs.read_history(folder) if (folder / runs.HISTORY).is_file() else ()
    seconds = f"{sum(row.seconds for row in history):.0f}"
    loss = history[-1].validation_loss if history else None
    accuracy = history[-1].validation_accuracy if history else None
    start, note = ("", "", str(len(history))), "made in Python"
    if (folder / runs.RECIPE).is_file():
        recipe = runs.read_recipe(folder)
        epochs = f"{len(history)}/{recipe.training.epochs}"
        start, note = (recipe.model.name, recipe.data.source, epochs), "has not ended"
    if runs.is_finished(folder):
        metrics, note = runs.describe(folder).metrics, ""
        loss, accuracy = metrics.get("loss", math.nan), metrics.get("accuracy", math.nan)
    measured = (
        "" if loss is None else f"{loss:.4f}",
        "" if accuracy is None else f"{accuracy:.2%}",
    )
    return (*start, *measured, seconds, note)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in tables.items():
        if isinstance(value, Mapping):
            options |= _flat(value, f"{prefix}{name}.")
        else:
            options[prefix + name] = value
    return options


def _short(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Returns what JSON can hold of a metric."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _toml(value: Any) -> str:
    return (
        str(value) if isinstance(value, int | float) else json.dumps(str(value), ensure_ascii=False)
    )


def _next_folder(name: str) -> Path:
    """Returns the first of runs/NAME-1, runs/NAME-2, … that is free."""
    number = 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder

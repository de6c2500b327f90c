"""Commands that use finished runs: ``jaxcnn runs | compare | evaluate``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from jaxcnn.cli.option_types import (
    CacheDir,
    DataDir,
    DeviceCount,
    ModelOfWeights,
    OnError,
    Plot,
    RunOrModel,
    Weights,
    chosen_devices,
)
from jaxcnn.cli.tables import format_value, print_table


def list_runs(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
) -> None:
    """List the runs in a folder: their model, data and results."""
    from jaxcnn.cli.run_table import row_of
    from jaxcnn.training import run_folder

    found = run_folder.find_runs(folder)
    if not found:
        raise ValueError(f"there are no runs in {str(folder)!r}")
    header = ("run", "model", "data", "epochs", "loss", "accuracy", "seconds", "")
    print_table([header, *map(row_of, found)])


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Folders of runs.")],
    plot: Plot = Path("compare.png"),
) -> None:
    """Compare runs: the options that differ, the results, and the curves."""
    from jaxcnn.cli.run_table import options_of, result_of
    from jaxcnn.insight import plots
    from jaxcnn.training.history_file import read_history

    if len(folders) < 2:
        raise ValueError("compare needs at least two runs")
    if len({folder.resolve() for folder in folders}) < len(folders):
        received = ", ".join(map(str, folders))
        raise ValueError(f"compare needs different runs. Received: {received}")
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    options = [options_of(folder) for folder in folders]
    histories = {name: read_history(folder) for name, folder in zip(names, folders, strict=True)}
    differing = [
        option
        for option in dict.fromkeys(name for run in options for name in run)
        if len({str(run.get(option)) for run in options}) > 1
    ]
    measured = [
        result_of(folder, history)
        for folder, history in zip(folders, histories.values(), strict=True)
    ]
    results = dict.fromkeys(name for row in measured for name in row)
    rows = [("", *names)]
    rows += [(option, *(format_value(run.get(option)) for run in options)) for option in differing]
    rows += [(name, *(format_value(row.get(name)) for row in measured)) for name in results]
    print_table(rows)
    plots.comparison(histories).savefig(plot, dpi=120)
    print(f"\nThe curves are in {plot}")


def evaluate(
    run: RunOrModel = None,
    data: Annotated[
        str | None, typer.Option(help="Another data set.", show_default="the run's own")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, test, all, …",
            show_default="the images held out for testing; all with --weights",
        ),
    ] = None,
    on_error: OnError | None = None,
    data_dir: DataDir = None,
    cache_dir: CacheDir = None,
    devices: DeviceCount = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the confusion matrix, results per class and mistakes by file here.",
        ),
    ] = None,
    model: ModelOfWeights = None,
    weights: Weights = None,
) -> None:
    """Evaluate a trained model on images that it was not trained on, each counted once.

    Loss and metrics are those of the run.
    """
    from jaxcnn import training
    from jaxcnn.cli.mistakes import write_mistakes
    from jaxcnn.cli.trained_models import load_trained
    from jaxcnn.recipes.run_images import load_images, over_clips_of
    from jaxcnn.training.named_losses import loss_from_json, loss_of_labels

    described, trained = load_trained(run, model, weights)
    if weights is not None:  # none of the images was for their training
        split = split or "all"
    images = load_images(
        described,
        run,
        source=data,
        split=split,
        on_error=on_error,
        data_dir=data_dir,
        cache_dir=cache_dir,
    )
    test_set = images.data
    loss = loss_from_json(described.loss or {"name": loss_of_labels(test_set)})
    trained = over_clips_of(described.clips, trained)
    result = training.evaluate(
        trained,
        test_set,
        loss=loss,
        metrics=described.measures,
        devices=chosen_devices(devices),
    )
    rows = {"data": f"{images.source} ({images.split}, {result.examples:,} images)"}
    rows["loss"] = f"{result.loss:.4f}"
    if described.loss is None:
        rows["loss"] += f"  ({loss_of_labels(test_set)}; the run names no loss)"
    if not math.isnan(result.accuracy) and test_set.task in ("classify", "segment"):
        rows["accuracy"] = f"{result.accuracy:.2%}"
    rows |= {name: format_value(value) for name, value in result.metrics.items()}
    print_table(list(rows.items()))
    if out is not None:
        print(f"\nWriting the mistakes into {out}")
        write_mistakes(out, trained, test_set, images.name_of)

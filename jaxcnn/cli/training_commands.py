"""Commands that train: ``jaxcnn train | recipes | find-learning-rate``."""

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxcnn.cli.option_types import (
    MODEL_HELP,
    Assignments,
    CacheDir,
    Coordinator,
    DataDir,
    DeviceCount,
    JoinTimeout,
    OnError,
    Plot,
    Processes,
    ProcessId,
    RecipeName,
    Weights,
    chosen_devices,
    parse_size,
)


def train(
    recipe: RecipeName = None,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    weights: Weights = None,
    data: Annotated[
        str | None,
        typer.Option(help="A folder of pictures, a .npz file, or a name in `jaxcnn data list`."),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Resize images to a square such as 128, or to HEIGHTxWIDTH.",
            show_default="the recipe's",
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames of a clip, for a folder of videos.")
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(help="squash, crop or pad pictures of another ratio of width to height."),
    ] = None,
    augment: Annotated[str | None, typer.Option(help="Name of an augmentation policy.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data; with --resume of a whole run, more.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adam, adamw, lion or muon; each has rates of its own.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the learning rate.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Compute in float32, bfloat16 or float16.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="End after this number of epochs without improvement.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.")] = None,
    assignments: Assignments = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/MODEL-DATA-N")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing run.")] = False,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Resume an unfinished run; with --epochs, train any run on to that many.",
        ),
    ] = None,
    devices: DeviceCount = None,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process_id: ProcessId = None,
    join_timeout: JoinTimeout = 300,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the run's folder alone.")] = False,
    on_error: OnError | None = None,
    data_dir: DataDir = None,
    cache_dir: CacheDir = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--cache",
            help="Decode training pictures as they come, or once.",
            show_default="by the free space of the disk",
        ),
    ] = None,
) -> None:
    """Train a model, and keep the run in a folder.

    Without a recipe and a model, they are chosen by the data: the recipe pictures for photographs,
    digits for small gray images, signals for series and sounds, video for clips, segmentation for
    masks and detection for boxes.
    """
    from jaxcnn import recipes
    from jaxcnn.training import run_folder
    from jaxcnn.training.several_processes import is_first, join_processes

    join_processes(coordinator, processes, process_id, timeout=join_timeout)
    says = is_first() and not quiet
    size = None if image_size is None else parse_size(image_size)
    options = {
        "--model": ("model.name", model),
        "--weights": ("model.weights", weights),
        "--data": ("data.source", data),
        "--data-dir": ("data.data_dir", data_dir and str(data_dir)),
        "--cache-dir": ("data.cache_dir", cache_dir and str(cache_dir)),
        "--stream" if stream else "--cache": ("data.stream", stream),
        "--image-size": ("data.image_size", size),
        "--frames": ("data.frames", frames),
        "--aspect": ("data.aspect", aspect),
        "--on-error": ("data.on_error", on_error),
        "--augment": ("data.augment", augment),
        "--optimizer": ("optimizer.name", optimizer),
        "--learning-rate": ("optimizer.learning_rate", learning_rate),
        "--epochs": ("training.epochs", epochs),
        "--batch-size": ("training.batch_size", batch_size),
        "--precision": ("training.precision", precision),
        "--patience": ("training.patience", patience),
        "--seed": ("training.seed", seed),
    }
    given = {flag: option for flag, option in options.items() if option[1] is not None}
    if resume is not None:
        others = {"RECIPE": recipe, "--set": assignments, "--out": out, "--overwrite": overwrite}
        received = [flag for flag, value in others.items() if value]
        received += [flag for flag in given if flag != "--epochs"]
        if received:
            raise ValueError(
                "--resume uses the run's own recipe; no option can be changed but --epochs. "
                f"Received: {', '.join(received)}"
            )
        if run_folder.is_finished(resume) and epochs is None:
            print(
                f"The run in {resume} has ended; there is nothing to resume. To train it further, "
                "give --epochs"
            )
            return
        trained = recipes.resume(
            resume, epochs=epochs, devices=chosen_devices(devices), progress=says
        )
    else:
        chosen: dict[str, Any] = {}
        if data is not None and recipe is None and model is None and not _names_model(assignments):
            choice = recipes.choose(data, image_size=size, data_dir=data_dir, frames=frames)
            recipe, chosen = choice.recipe, dict(choice.options)
            if says:
                print(choice.reason, end="\n\n")
        # Options and assignments may depend on one another, so they are checked together.
        read = recipes.read(
            recipe or ("digits" if weights is None else "fine_tune"),
            options=chosen | dict(given.values()),
            assignments=assignments or (),
            flags={name: flag for flag, (name, _) in given.items()},
        )
        trained = recipes.train(
            read, out, overwrite=overwrite, devices=chosen_devices(devices), progress=says
        )
    if quiet and is_first():
        print(trained.folder)


def _names_model(assignments: list[str] | None) -> bool:
    return any(each.strip().startswith("model") for each in assignments or ())


def list_recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe.")] = None,
) -> None:
    """List the recipes that come with jaxcnn, or print one."""
    from jaxcnn import recipes
    from jaxcnn.recipes.toml_comments import dump_commented

    if name is not None:
        print(dump_commented(recipes.read(name)), end="")
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
    devices: DeviceCount = None,
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
        devices=chosen_devices(devices),
    )
    plots.learning_rate_search(search).savefig(plot, dpi=120)
    print(f"learning rate  {search.suggestion:.2g}")
    print(f"The search is in {plot}")

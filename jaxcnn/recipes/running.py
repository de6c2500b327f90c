"""Training a recipe in a folder, and resuming such a training."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from jaxcnn import arguments, training
from jaxcnn.data import Dataset
from jaxcnn.insight import summarize
from jaxcnn.recipes.assembly import Assembly, assemble
from jaxcnn.recipes.reading import read
from jaxcnn.recipes.run_images import over_clips_of
from jaxcnn.recipes.schema import Recipe
from jaxcnn.recipes.toml_options import dump, override
from jaxcnn.runtime import printable
from jaxcnn.training import run_folder
from jaxcnn.training.agreement import gather_texts
from jaxcnn.training.evaluation import Evaluation
from jaxcnn.training.fitting import run_task
from jaxcnn.training.history import Epoch
from jaxcnn.training.history_file import read_history
from jaxcnn.training.named_losses import loss_to_json
from jaxcnn.training.named_metrics import name_metrics
from jaxcnn.training.run_description import Run

_EPOCHS = {"training.epochs": "epochs"}


@dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Attributes:
      folder: Folder of the run.
      recipe: The recipe, with everything decided that it left open.
      model: The trained model.
      history: One row per epoch.
      evaluation: Result on the held-out images.
    """

    folder: Path
    recipe: Recipe
    model: nnx.Module
    history: tuple[Epoch, ...]
    evaluation: Evaluation


def train(
    recipe: Recipe | str | Path,
    folder: str | Path | None = None,
    *,
    assignments: Sequence[str] = (),
    overwrite: bool = False,
    devices: training.Devices = "all",
    callbacks: Sequence[training.Callback] = (),
    progress: bool = True,
) -> TrainedRun:
    """Train a recipe and keep the run in a folder, as ``jaxcnn train`` does.

    The folder holds the recipe, checkpoints, the history, plots, the weights and a description;
    :func:`jaxcnn.load` returns its model, and :func:`resume` continues an interrupted run.

    Args:
      recipe: A recipe, the path of a TOML file, or the name of a recipe that comes with jaxcnn.
      folder: Folder of the run; ``None`` means ``runs/MODEL-DATA-N`` with the first free N.
      assignments: Options to change in the recipe, such as ``"optimizer.learning_rate=0.01"``.
      overwrite: Whether to replace an existing run in `folder`.
      devices: The devices that share each batch, as for :func:`jaxcnn.fit`.
      callbacks: Functions that receive every event; see :data:`jaxcnn.training.Event`.
      progress: Whether to print the summary of the model, the progress and the result.

    Returns:
      The finished run.

    Raises:
      FloatingPointError: a loss or gradient was not finite.
      OSError: the folder cannot be written to.
      TypeError: an option has the wrong type.
      ValueError: there is no such recipe or data, an option is out of range or does not fit the
        data, or `folder` exists.
    """
    if isinstance(recipe, Recipe):
        recipe = override(recipe, assignments)
    else:
        recipe = read(recipe, assignments=assignments)
    placement = training.Placement.over(devices)
    if folder is not None and placement.leads:
        run_folder.check_new_folder(folder, overwrite=overwrite)
    assembly = assemble(recipe, devices=devices)
    target = _agree(_next_folder(assembly.recipe) if folder is None else Path(folder), placement)
    with ExitStack() as started:
        if placement.leads:
            text = dump(assembly.recipe)
            started.enter_context(run_folder.start_run(target, text, overwrite=overwrite))
        return _run(assembly, target, callbacks, progress)


def resume(
    folder: str | Path,
    *,
    epochs: int | None = None,
    devices: training.Devices = "all",
    callbacks: Sequence[training.Callback] = (),
    progress: bool = True,
) -> TrainedRun:
    """Resume the training of a recipe from its last checkpoint, as ``jaxcnn train --resume``.

    With `epochs`, a run that has ended is trained on. Under a constant learning rate it becomes,
    bit for bit on CPU, the run that had been begun with this number of epochs; any other schedule
    follows the new number only from the next epoch on, which a line says.

    Args:
      folder: Folder of the run.
      epochs: Passes over the data from the beginning, more than the run has; ``None`` means those
        of its recipe.
      devices: As for :func:`train`; any number goes on with the same training.
      callbacks: Functions that receive every event; see :data:`jaxcnn.training.Event`.
      progress: Whether to print the summary of the model, the progress and the result.

    Returns:
      The finished run.

    Raises:
      FloatingPointError: a loss or gradient was not finite.
      OSError: the folder cannot be written to.
      ValueError: there is no run, it is damaged, it has ended and `epochs` is not given or not
        more than it has, or it ended early for lack of improvement.
    """
    recipe, folder = recipe_of_run(folder), Path(folder)
    source = run_folder.locate_data(recipe.data.source, folder)
    recipe = replace(recipe, data=replace(recipe.data, source=source))
    if epochs is None:
        if run_folder.is_finished(folder):
            raise ValueError(
                f"the run in {str(folder)!r} has ended; there is nothing to resume. To train it "
                "further, give epochs"
            )
        assembly = assemble(recipe, resumes=run_folder.can_resume(folder), devices=devices)
        folder = _agree(folder, assembly.task.placement)
        return _run(assembly, folder, callbacks, progress)
    longer, note = _lengthen(recipe, folder, epochs)
    assembly = assemble(longer, resumes=True, devices=devices)
    if progress and note and assembly.task.placement.leads:
        _say(f"{note}\n")
    folder = _agree(folder, assembly.task.placement)
    with ExitStack() as reopened:
        if assembly.task.placement.leads:
            reopened.enter_context(run_folder.reopen_run(folder, dump(assembly.recipe)))
        return _run(assembly, folder, callbacks, progress)


def _lengthen(recipe: Recipe, folder: Path, epochs: int) -> tuple[Recipe, str]:
    """Return the recipe of a run with more epochs, and a line about its learning rate."""
    done, planned = len(read_history(folder)), recipe.training.epochs
    epochs = arguments.check_integer("epochs", epochs, minimum=1)
    if epochs <= done:
        raise ValueError(f"epochs must be more than the {done} of the run. Received: {epochs}")
    if run_folder.is_finished(folder) and done < planned:
        raise ValueError(
            f"the run in {str(folder)!r} ended after {done} of {planned} epochs, as "
            f"patience={recipe.training.patience} asks; more epochs do not change that"
        )
    if not run_folder.can_resume(folder):
        raise ValueError(f"the run in {str(folder)!r} has no checkpoint to go on from")
    longer = override(recipe, (), options={"training.epochs": epochs}, flags=_EPOCHS)
    schedule = recipe.optimizer.schedule
    if schedule == "constant":
        return longer, ""
    return longer, (
        f"From epoch {done + 1} on the learning rate follows {schedule} over {epochs} epochs; "
        f"before, it followed it over {planned}. A run begun with {epochs} epochs would differ"
    )


def recipe_of_run(folder: str | Path) -> Recipe:
    """Return the recipe that the run in a folder was started with.

    Args:
      folder: Folder of the run.

    Raises:
      ValueError: there is no run, it has no recipe, or its recipe is damaged.
    """
    path = Path(folder) / run_folder.RECIPE
    if not path.is_file():
        raise ValueError(f"there is no run in {str(folder)!r}: it has no {run_folder.RECIPE}")
    return read(path)


def _run(
    assembly: Assembly, folder: Path, callbacks: Sequence[training.Callback], progress: bool
) -> TrainedRun:
    """Train to the end, from the last checkpoint if there is one, and finish the run."""
    recipe, task, test = assembly.recipe, assembly.task, assembly.test
    leads = task.placement.leads
    say = _say if progress and leads else (lambda text: None)
    say(summarize(assembly.network, task.data.sample.image_shape))
    if assembly.fresh:
        say(f"\nNot from {recipe.model.weights}: {', '.join(assembly.fresh)}")
    source = recipe.data.source
    way = "" if task.data is task.data.sample else ", decoded as they come"
    count = f"{task.images_per_epoch:,}"
    say(f"\nTraining on {count} images of {source}{way}, testing on {len(test):,}\n")
    if recipe.training.tensorboard and leads:
        callbacks = [*callbacks, training.tensorboard(folder / run_folder.TENSORBOARD)]
    try:
        result = run_task(task, folder, callbacks=callbacks, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        if run_folder.can_resume(folder):
            say(f"\nThe training is saved. Resume it: {run_folder.resume_command(folder)}")
        raise
    seconds = sum(row.seconds for row in result.history)  # of a resumed run, all of it
    say(f"\nEvaluating on {len(test):,} images")
    model = over_clips_of(recipe.data.clips, result.model)
    evaluation = training.evaluate(
        model, test, loss=task.loss, metrics=task.metrics, devices=task.devices
    )
    trained = TrainedRun(folder, recipe, result.model, result.history, evaluation)
    if not leads:
        return trained
    run = Run(
        model=recipe.model.name,
        options=dict(assembly.options),
        input_shape=task.data.sample.image_shape,
        class_names=task.data.sample.class_names,
        framing=assembly.framing,
        data={
            "source": source,
            "data_dir": recipe.data.data_dir,
            "train": recipe.data.train,
            "test": recipe.data.test,
            "on_error": recipe.data.on_error,
            "clips": recipe.data.clips,
            **recipe.data.forms(),
        },
        metrics=_to_plain(vars(evaluation) | {"seconds": round(seconds, 1)}),
        activation=task.activation,
        loss=loss_to_json(task.loss),
        measures=name_metrics(task.metrics),
        epoch=result.epoch,
        task=task.data.sample.task,
    )
    run_folder.finish_run(folder, run, result.model)
    say("Drawing plots")
    _draw_plots(folder / run_folder.PLOTS, result.history, model, test)
    say(f"\n{_result(evaluation, recipe.task)}, {seconds:.0f} s")
    say(f"The run is in {folder}")
    return trained


def _result(evaluation: Evaluation, task: str) -> str:
    """Return the result for the test images in a line."""
    images = f"{evaluation.examples:,} test images"
    if task == "classify":
        return f"{evaluation.accuracy:.2%} of {images} correct"
    found = {"loss": evaluation.loss} | evaluation.metrics
    measured = [f"{name} {value:.4f}" for name, value in found.items() if np.ndim(value) == 0]
    return f"{', '.join(measured)} of {images}"


def _say(text: object) -> None:
    print(printable(text), flush=True)


def _draw_plots(folder: Path, history: tuple[Epoch, ...], model: nnx.Module, data: Dataset) -> None:
    """Draw the plots of a finished run; one that fails is a warning, and the others are drawn."""
    from jaxcnn.insight import plots  # Matplotlib is loaded only to draw
    from jaxcnn.recipes.held_out_results import PICTURES, HeldOutResults

    results = HeldOutResults(model, data)
    drawings: dict[str, Callable[[], Any]] = {
        "learning_curves": lambda: plots.learning_curves(history),
    }
    for name, picture in PICTURES[data.kind].items():
        drawings[name] = functools.partial(picture, results)
    for name, draw in drawings.items():
        path = folder / f"{name}.png"
        try:
            folder.mkdir(exist_ok=True)
            draw().savefig(path, dpi=120)
        except Exception as error:  # such as images of 2 channels, NaN outputs, or a full disk
            path.unlink(missing_ok=True)  # it may be half-written
            warnings.warn(f"{str(path)!r} could not be drawn: {error}", stacklevel=2)


def _agree(folder: Path, placement: training.Placement) -> Path:
    """Return the folder that the first process writes to, also where some resume and it starts."""
    return folder if placement.processes == 1 else Path(gather_texts(str(folder))[0])


def _next_folder(recipe: Recipe) -> Path:
    """Return the first of runs/MODEL-DATA-1, runs/MODEL-DATA-2, … that is free."""
    name, number = f"{recipe.model.name.split(':')[-1]}-{Path(recipe.data.source).stem}", 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder


def _to_plain(value: Any) -> Any:
    """Return a metric as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: _to_plain(inner) for name, inner in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value

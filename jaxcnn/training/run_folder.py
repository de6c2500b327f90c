"""The folder of a run: its files, whichever of ``fit(run=…)`` and a recipe made it.

``history.csv`` has a row per epoch and ``checkpoints`` the positions from which the run can be
resumed; a run of a recipe also has ``recipe.toml``. When the training has ended,
``model.safetensors`` holds the weights under the names that the summary shows, and ``run.json``
describes the run: it is written last, and marks the run as finished.
"""

import dataclasses
import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from jaxcnn import models
from jaxcnn.interchange.model_file import (
    SUFFIX,
    is_described,
    model_to_bytes,
    read_arrays,
    read_model,
    write_whole,
)
from jaxcnn.ops.native import kernel_library
from jaxcnn.training.folder_lock import acquire_lock
from jaxcnn.training.output_activation import remember_activation
from jaxcnn.training.run_description import Run, run_from_json

RECIPE, HISTORY, CHECKPOINTS, PLOTS = "recipe.toml", "history.csv", "checkpoints", "plots"
TENSORBOARD = "tensorboard"
_DESCRIPTION, _WEIGHTS = "run.json", "model.safetensors"
# Bytes; a million class names take a third of it.
_LARGEST_DESCRIPTION = 1 << 26
_PACKAGES = ("jaxcnn", "jax", "jaxlib", "flax", "optax", "numpy")


def check_new_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Check that a run can be started in a folder; call it before long work.

    Raises:
      ValueError: the folder exists and `overwrite` is not set, or it is not a run, or is in use.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    is_started = (folder / RECIPE).is_file()
    if not overwrite:
        hint = f" It is unfinished. Resume it: {resume_command(folder)}"
        hint = "" if is_finished(folder) or not is_started else hint
        raise ValueError(
            f"{str(folder)!r} exists already. Choose another folder, or overwrite the run in it."
            + hint
        )
    if not (is_finished(folder) or is_started):
        raise ValueError(f"{str(folder)!r} is not a run, and is not overwritten")
    acquire_lock(folder).release()


@contextmanager
def start_run(folder: str | Path, recipe: str, *, overwrite: bool = False) -> Iterator[None]:
    """Create the folder of a new run, with its recipe in it.

    A run that exists there is moved aside until the new one has ended, or failed after its first
    checkpoint. If the new one fails earlier, the old one is moved back, or nothing is left.

    Args:
      folder: Folder of the run.
      recipe: Text of the recipe.
      overwrite: Whether an existing run is replaced.

    Raises:
      ValueError: as :func:`check_new_folder`.
    """
    folder = Path(folder)
    check_new_folder(folder, overwrite=overwrite)
    old = _old(folder)
    if old.exists() and not (is_finished(folder) or can_resume(folder)):
        # The run here was killed before its first checkpoint; the one before it stays aside.
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    is_first = not folder.parent.exists()
    folder.mkdir(parents=True)
    try:
        (folder / RECIPE).write_text(recipe, encoding="utf-8")
        yield
    finally:
        if can_resume(folder):
            shutil.rmtree(old, ignore_errors=True)
        else:
            shutil.rmtree(folder)
            if old.exists():
                old.rename(folder)
            elif is_first:
                with suppress(OSError):  # another run was started in it
                    folder.parent.rmdir()


@contextmanager
def reopen_run(folder: str | Path, recipe: str) -> Iterator[None]:
    """Mark a run as unfinished under another recipe, to train it on.

    If that fails before its first checkpoint, the run is as it was.

    Args:
      folder: Folder of the run.
      recipe: Text of the recipe.
    """
    folder = Path(folder)
    acquire_lock(folder).release()
    files = [path for path in (folder / RECIPE, folder / _DESCRIPTION) if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    checkpoints = _checkpoints(folder)
    # In this order, a run whose process is killed in between has ended, or can be resumed.
    (folder / _DESCRIPTION).unlink(missing_ok=True)
    write_whole(folder / RECIPE, recipe.encode())
    try:
        yield
    finally:
        if not is_finished(folder) and _checkpoints(folder) == checkpoints:
            for path, content in before.items():
                write_whole(path, content)


def finish_run(folder: str | Path, run: Run, model: nnx.Module) -> None:
    """Write ``model.safetensors`` and, last, ``run.json`` into the folder of a run.

    Args:
      folder: Folder of the run.
      run: Description of the run.
      model: The trained module.
    """
    folder = Path(folder)
    weights = model_to_bytes(model)
    description = dataclasses.asdict(run) | {
        "framing": dataclasses.asdict(run.framing),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "kernels": kernel_library.instruction_set(),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / _WEIGHTS, weights)
    write_whole(folder / _DESCRIPTION, text.encode())
    shutil.rmtree(_old(folder), ignore_errors=True)


def is_finished(folder: str | Path) -> bool:
    """Return whether the run in a folder has ended."""
    return (Path(folder) / _DESCRIPTION).is_file()


def can_resume(folder: str | Path) -> bool:
    """Return whether the run in a folder has a checkpoint."""
    return bool(_checkpoints(folder))


def resume_command(folder: str | Path) -> str:
    """Return the line for the shell that resumes a run.

    >>> resume_command("runs/my first")
    "jaxcnn train --resume 'runs/my first'"
    """
    return shlex.join(["jaxcnn", "train", "--resume", str(folder)])


def describe_newest(folder: str | Path) -> str:
    """Return a sentence about the step from which the training in a folder can be resumed."""
    steps = [int(name) for name in _checkpoints(folder) if name.isdigit()]
    newest = f"The last checkpoint is of step {max(steps)}" if steps else "There is no checkpoint"
    return f"{newest} in {str(folder)!r}"


def describe_resumption(folder: str | Path) -> str:
    """Return a sentence about how several processes go on with a run."""
    resumes = can_resume(folder) and (Path(folder) / RECIPE).is_file()
    how = f"with --resume {shlex.quote(str(folder))}" if resumes else "with the same arguments"
    return f"{describe_newest(folder)}. Start all processes again {how}"


def locate_data(source: str, folder: str | Path) -> str:
    """Return where the data of a run is, which older runs name relative to where they were made.

    That is the current folder, or else the nearest one around the run in which there is such a
    path. The name of a set is no path, even where the run or another folder has it too.

    Args:
      source: The source of the data as the run names it.
      folder: Folder of the run.
    """
    from jaxcnn.data.preparation import CATALOG  # a prediction does not need it

    path, run = Path(source), Path(folder).absolute()
    if source in ("digits", *CATALOG) or path.is_absolute() or path.exists():
        return source
    for place in run.parents:
        if (place / path).exists() and place / path != run:
            return str(place / path)
    return source


def find_runs(folder: str | Path) -> list[Path]:
    """Return the folders of all runs directly within a folder, sorted."""
    files = (RECIPE, HISTORY, _DESCRIPTION)
    return sorted({path.parent for name in files for path in Path(folder).glob(f"*/{name}")})


def read_run(folder: str | Path) -> Run:
    """Return the description of the run in a folder.

    Raises:
      ValueError: there is no run, it is unfinished, or its description is damaged.
    """
    return run_from_json(_read_description(folder), Path(folder) / _DESCRIPTION)


def read_versions(folder: str | Path) -> dict[str, str]:
    """Return the versions of the packages that a run was made with, by name.

    Raises:
      ValueError: there is no run, it is unfinished, or its description is damaged.
    """
    versions = _read_description(folder).get("versions")
    return {str(n): str(v) for n, v in versions.items()} if isinstance(versions, dict) else {}


def read_weights(folder: str | Path) -> dict[str, jax.Array]:
    """Return the weights of a run by their dotted names.

    Raises:
      ValueError: there is no run, or a file is missing or damaged.
    """
    return read_arrays(_verified(folder, _read_description(folder)))


def load(path: str | Path, *, into: nnx.Module | None = None) -> nnx.Module:
    """Return the trained model of a run, or the model in a file that :func:`jaxcnn.save` wrote.

    Args:
      path: Folder of a run, made by ``jaxcnn train``, :func:`jaxcnn.recipes.train` or
        ``fit(run=…)``; or a ``.safetensors`` file of :func:`jaxcnn.save`.
      into: A module of the structure that was trained, such as a hand-made one; it is not changed.
        ``None`` builds the model that the run or file describes.

    Raises:
      ValueError: there is no run or file, it is damaged, it describes no model and there is no
        `into`, or the weights are not those of the model.
    """
    path = Path(path)
    if path.suffix == SUFFIX:
        return read_model(path, into=into)
    description = _read_description(path)
    run, weights = run_from_json(description, path / _DESCRIPTION), _verified(path, description)
    if into is None and not is_described(weights) and run.model in models.names():
        # Built without arrays, so that nothing is computed only to be replaced.
        into = models.create(run.model, **run.options).abstract(run.input_shape)
    model = read_model(weights, into=into)
    remember_activation(model, run.activation)
    return model


def _verified(folder: str | Path, description: dict[str, Any]) -> Path:
    """Return the path of a run's weights file, whose checksum is in its description."""
    path = Path(folder) / _WEIGHTS
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if found != description.get("sha256"):
        raise ValueError(f"{str(path)!r} is damaged: its checksum is not the one in run.json")
    return path


def _read_description(folder: str | Path) -> dict[str, Any]:
    path = Path(folder) / _DESCRIPTION
    if not path.is_file():
        if (path.parent / RECIPE).is_file():
            raise ValueError(
                f"the run in {str(folder)!r} has not ended. Resume it: {resume_command(folder)}"
            )
        if (path.parent / HISTORY).is_file():
            raise ValueError(
                f"the run in {str(folder)!r} has not ended. Resume it: call fit again with the "
                "same arguments"
            )
        raise ValueError(f"there is no run in {str(folder)!r}: it has no {_DESCRIPTION}")
    if path.stat().st_size > _LARGEST_DESCRIPTION:
        raise ValueError(f"{str(path)!r} is damaged: it has {path.stat().st_size:,} bytes")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{str(path)!r} is damaged: it must hold one object")
    return description


def _checkpoints(folder: str | Path) -> set[str]:
    return {path.name for path in (Path(folder) / CHECKPOINTS).glob("*[0-9]")}


def _old(folder: Path) -> Path:
    """Return the path to which a run is moved while another takes its place."""
    return folder.with_name(f".{folder.name}.old")

"""A run as a folder: what was trained, on what, with what result, and the weights.

``recipe.toml`` is what the run was begun with, ``checkpoints`` from where it can go on, and
``history.csv`` has a row per epoch. When the training has ended ``model.safetensors`` holds the
weights under the names that the summary shows, and ``run.json`` describes the run: it is written
last, and makes the folder a run that can be used.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import safetensors.flax
from flax import nnx, traverse_util

from jaxcnn import models, shapes
from jaxcnn.data.pictures import Framing
from jaxcnn.recipes.schema import Recipe, read
from jaxcnn.recipes.toml_options import dump
from jaxcnn.training.folder_lock import locked
from jaxcnn.training.history import Epoch

RECIPE, HISTORY, CHECKPOINTS = "recipe.toml", "history.csv", "checkpoints"
_DESCRIPTION, _WEIGHTS = "run.json", "model.safetensors"
_PACKAGES = ("jaxcnn", "jax", "jaxlib", "flax", "optax", "numpy")


class Run(NamedTuple):
    """What ``run.json`` says of a run.

    Attributes:
      model: Name of the model in the registry.
      options: The model's options.
      input_shape: Shape of one image, ``(H, W, C)``.
      class_names: One per class.
      framing: How the data set shows its subjects.
      data: What was trained on: its name or path, and where it was kept.
      training: The recipe, as nested tables.
      metrics: The result on the held-out images.
    """

    model: str
    options: dict[str, Any]
    input_shape: shapes.Shape
    class_names: tuple[str, ...]
    framing: Framing
    data: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]


def check_new_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Checks that a run can be begun in ``folder``; call it before long work.

    Raises:
      ValueError: something is there already and ``overwrite`` is not set, or what is there is
        not a run, or is in use.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    is_finished, is_begun = (folder / _DESCRIPTION).is_file(), (folder / RECIPE).is_file()
    if not overwrite:
        hint = "" if is_finished or not is_begun else " It has not ended: --resume goes on with it."
        raise ValueError(
            f"{str(folder)!r} exists already. Choose another folder, or overwrite the run in it."
            + hint
        )
    if not (is_finished or is_begun):
        raise ValueError(f"{str(folder)!r} is not a run, and is left as it is")
    locked(folder).release()


@contextmanager
def begun(folder: str | Path, recipe: Recipe, *, overwrite: bool = False) -> Iterator[None]:
    """Makes the folder of a new run, with its recipe in it.

    A run that was there is put aside until the new one has ended, or failed after its first
    checkpoint. Where it fails before, the old one is put back, or nothing is left.

    Args:
      folder: Where the run shall be.
      recipe: What is trained.
      overwrite: Whether a run that is there already is replaced.

    Raises:
      ValueError: as :func:`check_new_folder`.
    """
    folder = Path(folder)
    check_new_folder(folder, overwrite=overwrite)
    old = _old(folder)
    if old.exists() and not (is_finished(folder) or can_go_on(folder)):
        # What is here was killed before it was worth anything; the run before it stays put aside.
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    is_first = not folder.parent.exists()
    folder.mkdir(parents=True)
    try:
        (folder / RECIPE).write_text(dump(recipe), encoding="utf-8")
        yield
    finally:
        if can_go_on(folder):
            shutil.rmtree(old, ignore_errors=True)
        else:
            shutil.rmtree(folder)
            if old.exists():
                old.rename(folder)
            elif is_first:
                with suppress(OSError):  # another run has begun in it
                    folder.parent.rmdir()


def finish(folder: str | Path, run: Run, model: nnx.Module) -> None:
    """Writes ``model.safetensors`` and, last, ``run.json`` into the folder of a run.

    Args:
      folder: Where the run is.
      run: What the run was.
      model: The trained module.
    """
    folder = Path(folder)
    weights = safetensors.flax.save(flat(nnx.state(model)))
    description = run._asdict() | {
        "framing": run.framing._asdict(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    _put(folder / _WEIGHTS, weights)
    _put(folder / _DESCRIPTION, text.encode())
    shutil.rmtree(_old(folder), ignore_errors=True)


def is_finished(folder: str | Path) -> bool:
    """Returns whether the run in a folder has ended."""
    return (Path(folder) / _DESCRIPTION).is_file()


def can_go_on(folder: str | Path) -> bool:
    """Returns whether the run in a folder has a checkpoint."""
    return any((Path(folder) / CHECKPOINTS).glob("*[0-9]"))


def describe(folder: str | Path) -> Run:
    """Returns what ``run.json`` in ``folder`` says.

    Raises:
      ValueError: there is no run, it has not ended, or its description is damaged.
    """
    fields = _read_description(folder)
    try:
        framing = fields["framing"] | {"shape": tuple(fields["framing"]["shape"])}
        return Run(
            **{name: fields[name] for name in Run._fields}
            | {
                "framing": Framing(**framing),
                "input_shape": shapes.check_shape(fields["input_shape"]),
                "class_names": tuple(fields["class_names"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"run.json in {str(folder)!r} is damaged: {error!r}") from error


def read_recipe(folder: str | Path) -> Recipe:
    """Returns what the run in a folder was begun with.

    Raises:
      ValueError: there is no run, or its recipe is damaged.
    """
    path = Path(folder) / RECIPE
    if not path.is_file():
        raise ValueError(f"there is no run in {str(folder)!r}: it has no {RECIPE}")
    return read(path)


def read_weights(folder: str | Path) -> dict[str, jax.Array]:
    """Returns the weights of a run by their dotted names.

    Raises:
      ValueError: there is no run, or a file is missing or damaged.
    """
    path = Path(folder) / _WEIGHTS
    checksum = _read_description(folder).get("sha256")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ValueError(f"{str(path)!r} is damaged: its checksum is not the one in run.json")
    return safetensors.flax.load(data)


def load(folder: str | Path) -> nnx.Module:
    """Returns the trained model of a run.

    Args:
      folder: The run's folder.

    Raises:
      ValueError: there is no run, a file is missing or damaged, or the weights are not those of
        the model that the run names.
    """
    run, weights = describe(folder), read_weights(folder)
    # Built without arrays, so that nothing is computed only to be replaced.
    model = models.create(run.model, **run.options).build(run.input_shape, rngs=None)
    graphdef, state = nnx.split(model)
    expected = {name: leaf.shape for name, leaf in flat(state).items()}
    received = {name: leaf.shape for name, leaf in weights.items()}
    if expected != received:
        differing = sorted(expected.items() ^ received.items())
        path = str(Path(folder) / _WEIGHTS)
        raise ValueError(f"{path!r} does not hold the weights of {run.model!r}: {differing}")
    return nnx.merge(graphdef, traverse_util.unflatten_dict(weights, sep="."))


def read_history(folder: str | Path) -> tuple[Epoch, ...]:
    """Returns the epochs of a run that have ended, with those of their metrics that are numbers.

    Raises:
      ValueError: there is no ``history.csv``, or it is damaged.
    """
    path = Path(folder) / HISTORY
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(_epoch(row) for row in csv.DictReader(file))
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error


def _epoch(row: dict[str, str]) -> Epoch:
    whole = ("epoch", "skipped")
    numbers: dict[str, Any] = {
        name: int(text) if name in whole else float(text) for name, text in row.items() if text
    }
    fields = {name: numbers.pop(name) for name in Epoch._fields if name in numbers}
    return Epoch(**fields, metrics=numbers)


def flat(state: nnx.State[Any, Any]) -> dict[str, jax.Array]:
    """Returns the arrays of a model by their dotted names."""
    return traverse_util.flatten_dict(nnx.to_pure_dict(state), sep=".")


def _read_description(folder: str | Path) -> dict[str, Any]:
    path = Path(folder) / _DESCRIPTION
    if not path.is_file():
        if (path.parent / RECIPE).is_file():
            raise ValueError(
                f"the run in {str(folder)!r} has not ended. Go on with it: jaxcnn train --resume "
                f"{folder}"
            )
        raise ValueError(f"there is no run in {str(folder)!r}: it has no {_DESCRIPTION}")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{str(path)!r} is damaged: it must hold one object")
    return description


def _old(folder: Path) -> Path:
    """Returns where a run is put aside while another takes its place."""
    return folder.with_name(f".{folder.name}.old")


def _put(path: Path, data: bytes) -> None:
    """Writes a file that appears whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)

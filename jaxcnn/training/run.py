"""A run as a folder: what was trained, on what, with what result, and the weights.

``run.json`` describes the run, ``model.safetensors`` holds the weights under the names that the
summary shows, ``history.csv`` has a row per epoch. A folder appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import safetensors.flax
from flax import nnx, traverse_util

from jaxcnn import models, shapes
from jaxcnn.data.pictures import Framing
from jaxcnn.training.callbacks import write_history
from jaxcnn.training.history import Epoch

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
      training: Seed, epochs and the other options of the training.
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


@contextmanager
def new_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty folder to write into, which becomes ``folder`` at the end.

    On an error nothing is left behind, and a run that was there before is untouched.

    Args:
      folder: Where the run shall be.
      overwrite: Whether a run that is there already is replaced.

    Raises:
      ValueError: as :func:`check_new_folder`.
    """
    folder = Path(folder)
    check_new_folder(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f".{folder.name}.partial-{os.getpid()}"
    staging.mkdir()
    try:
        yield staging
        check_new_folder(folder, overwrite=overwrite)  # another process may have been faster
        old = folder.parent / f".{folder.name}.old-{os.getpid()}"
        if folder.exists():
            folder.rename(old)
        staging.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def check_new_folder(folder: str | Path, *, overwrite: bool = False) -> None:
    """Checks that a run can be written to ``folder``; call it before long work.

    Raises:
      ValueError: something is there already and ``overwrite`` is not set, or what is there is
        not a run.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    if not overwrite:
        raise ValueError(
            f"{str(folder)!r} exists already. Choose another folder, or overwrite the run in it."
        )
    if not (folder / "run.json").is_file():
        raise ValueError(f"{str(folder)!r} is not a run, and is left as it is")


def write(folder: Path, run: Run, model: nnx.Module, history: Sequence[Epoch]) -> None:
    """Writes ``run.json``, ``model.safetensors`` and ``history.csv`` into ``folder``.

    Args:
      folder: An existing folder, such as :func:`new_folder` yields.
      run: What the run was.
      model: The trained module.
      history: One row per epoch.
    """
    weights = safetensors.flax.save(_flat(nnx.state(model)))
    (folder / "model.safetensors").write_bytes(weights)
    write_history(folder / "history.csv", history)
    description = run._asdict() | {
        "framing": run.framing._asdict(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / "run.json").write_text(text, encoding="utf-8")


def describe(folder: str | Path) -> Run:
    """Returns what ``run.json`` in ``folder`` says.

    Raises:
      ValueError: there is no run, or its description is damaged.
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


def load(folder: str | Path) -> nnx.Module:
    """Returns the trained model of a run.

    Args:
      folder: The run's folder.

    Raises:
      ValueError: there is no run, a file is missing or damaged, or the weights are not those of
        the model that the run names.
    """
    run = describe(folder)
    path = Path(folder) / "model.safetensors"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != _read_description(folder).get("sha256"):
        raise ValueError(f"{str(path)!r} is damaged: its checksum is not the one in run.json")
    weights = safetensors.flax.load(data)
    # Built without arrays, so that nothing is computed only to be replaced.
    model = models.create(run.model, **run.options).build(run.input_shape, rngs=None)
    graphdef, state = nnx.split(model)
    expected = {name: leaf.shape for name, leaf in _flat(state).items()}
    received = {name: leaf.shape for name, leaf in weights.items()}
    if expected != received:
        differing = sorted(expected.items() ^ received.items())
        raise ValueError(f"{str(path)!r} does not hold the weights of {run.model!r}: {differing}")
    return nnx.merge(graphdef, traverse_util.unflatten_dict(weights, sep="."))


def _read_description(folder: str | Path) -> dict[str, Any]:
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise ValueError(f"there is no run in {str(folder)!r}: it has no run.json")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{str(path)!r} is damaged: it must hold one object")
    return description


def _flat(state: nnx.State[Any, Any]) -> dict[str, jax.Array]:
    return traverse_util.flatten_dict(nnx.to_pure_dict(state), sep=".")

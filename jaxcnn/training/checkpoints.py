"""Checkpoints of a run: written completely or not at all, and verified before they are read.

Each is a folder named by its step: ``arrays`` as Orbax writes them, ``progress.json`` with
everything that is not an array, and ``manifest.json`` with the checksum of every file. Orbax does
not verify checksums of its own: a flipped byte in its files restores as wrong weights.
"""

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn.modules.parameter_tree import from_numbers, numbers_of
from jaxcnn.training.placement import place

NamedArrays: TypeAlias = dict[str, np.ndarray]

ARRAYS, PROGRESS, _MANIFEST = "arrays", "progress.json", "manifest.json"
_PARTIAL, _DAMAGED = ".partial", ".damaged"
# Saving at the ends of epochs takes at most this share of the time. It takes 30 to 50 ms for a
# small network, whose epochs may be as short.
_SHARE_OF_TIME = 0.02
# Number of newest checkpoints that are kept, so that there is another if one is damaged.
_KEEP_NEWEST = 2


class Checkpoint(NamedTuple):
    """The state of a training after a step.

    Attributes:
      step: Number of steps taken.
      state: Any tree of arrays.
      progress: Everything that is not an array, as JSON can hold it.
    """

    step: int
    state: Any
    progress: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder, of which the newest and the best are kept.

    A thread writes while the training goes on. Of the checkpoints passed to :meth:`offer`, only as
    many are written as cost little time; the best are held in memory until the next one is written,
    so that the folder is consistent with its newest step. An error of the thread is raised by the
    next call.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder if needed, and remove partial checkpoints from it."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{_PARTIAL}"):
            shutil.rmtree(left)
        self._held: dict[int, Checkpoint] = {}
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._job: Future[float] | None = None
        self._began, self._took = 0.0, 0.0

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint in the folder, newest first."""
        names = (path.name for path in self.folder.iterdir())
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def offer(self, checkpoint: Checkpoint, *, best: list[int], now: bool = False) -> None:
        """Queue a checkpoint; the caller may reuse its state as soon as this returns.

        Args:
          checkpoint: A checkpoint after any step; it is copied.
          best: Steps that are kept in addition to the newest.
          now: Whether to write it even if that takes more than its share of the time.

        Raises:
          OSError: an earlier checkpoint could not be written.
        """
        copied = checkpoint._replace(state=_to_arrays(checkpoint.state))
        self._held = {step: held for step, held in self._held.items() if step in best}
        self._held[checkpoint.step] = copied
        if self._job is not None and not (now or self._job.done()):
            return
        self.wait()
        began = time.monotonic()
        if now or (began - self._began) * _SHARE_OF_TIME >= self._took:
            self._began = began
            held, self._held = list(self._held.values()), {}
            self._job = self._thread.submit(self._write, held, set(best))

    def wait(self) -> None:
        """Wait until every queued checkpoint is written.

        Raises:
          OSError: one could not be written.
        """
        job, self._job = self._job, None
        if job is not None:
            self._took = job.result()

    def close(self) -> None:
        """Finish writing, and end the thread."""
        self._thread.shutdown()

    def newest(
        self, like: Any, *, check: Callable[[dict[str, Any]], None] = lambda progress: None
    ) -> Checkpoint | None:
        """Return the newest undamaged checkpoint, or ``None`` if the folder has no checkpoint.

        A warning names each damaged one, which is renamed to ``STEP.damaged``, so that it does not
        count as one of the newest.

        Args:
          like: A state of the same structure, dtypes and shardings as the saved ones.
          check: Called with the checkpoint's progress before the state is read.

        Raises:
          ValueError: every checkpoint is damaged, or they hold another state.
        """
        steps, damaged = self.steps(), []
        for step in steps:
            try:
                verify(self.folder / str(step))
            except ValueError as error:
                warnings.warn(f"{error}; an earlier checkpoint is used", stacklevel=2)
                damaged.append(self.folder / str(step))
                continue
            check(self._progress(step))
            found = self._read(step, like)
            for folder in damaged:
                aside = folder.with_name(folder.name + _DAMAGED)
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
            return found
        if steps:
            raise ValueError(
                f"no checkpoint in {str(self.folder)!r} is undamaged. Start anew, in another folder"
            )
        return None

    def read(self, step: int, like: Any) -> Checkpoint:
        """Return the checkpoint of a step.

        Args:
          step: One of :meth:`steps`.
          like: As for :meth:`newest`.

        Raises:
          ValueError: it is damaged, or holds another state.
        """
        verify(self.folder / str(step))
        return self._read(step, like)

    def _read(self, step: int, like: Any) -> Checkpoint:
        arrays = self.folder / str(step) / ARRAYS
        return Checkpoint(step, _restore(arrays, like), self._progress(step))

    def _progress(self, step: int) -> dict[str, Any]:
        return json.loads((self.folder / str(step) / PROGRESS).read_text(encoding="utf-8"))

    def _write(self, checkpoints: list[Checkpoint], best: set[int]) -> float:
        began = time.monotonic()
        for checkpoint in checkpoints:
            self._write_one(checkpoint)
        steps = self.steps()
        for step in set(steps[_KEEP_NEWEST:]) - best:
            shutil.rmtree(self.folder / str(step))
        return time.monotonic() - began

    def _write_one(self, checkpoint: Checkpoint) -> None:
        folder = self.folder / str(checkpoint.step)
        partial = folder.with_name(folder.name + _PARTIAL)
        try:
            partial.mkdir()
            with _open_orbax() as checkpointer:
                checkpointer.save((partial / ARRAYS).absolute(), checkpoint.state)
            text = json.dumps(checkpoint.progress, ensure_ascii=False)
            (partial / PROGRESS).write_text(text, encoding="utf-8")
            (partial / _MANIFEST).write_text(_manifest(partial), encoding="utf-8")
            _flush(partial)
            shutil.rmtree(folder, ignore_errors=True)  # one that is damaged
            partial.rename(folder)
        except Exception as error:
            # Orbax's writers raise several kinds of errors, with the operating system's messages.
            shutil.rmtree(partial, ignore_errors=True)
            raise OSError(
                f"checkpoint {checkpoint.step} in {str(self.folder)!r} could not be written; those "
                f"before are kept: {error}"
            ) from error


def verify(folder: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises:
      ValueError: a file is missing, or not as it was written; the message names it.
    """

    def damaged(why: str) -> ValueError:
        return ValueError(f"checkpoint {folder.name} in {str(folder.parent)!r} is damaged: {why}")

    try:
        text = (folder / _MANIFEST).read_text(encoding="utf-8")
        expected = json.loads(text)["files"]
        whole = text == _sealed(expected) and isinstance(expected, dict)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise damaged(f"{_MANIFEST} is not as it was written")
    found = _checksums(folder)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise damaged(f"{name} is missing")
        if expected.get(name) != found[name]:
            raise damaged(f"{name} is not as it was written")


def _manifest(folder: Path) -> str:
    return _sealed(_checksums(folder))


def _sealed(files: dict[str, str]) -> str:
    """Return the text of a manifest, which has a checksum of its own."""
    seal = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return json.dumps({"files": files, "sha256": seal}, indent=1)


def _checksums(folder: Path) -> dict[str, str]:
    checksums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / _MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            checksums[path.relative_to(folder).as_posix()] = digest
    return checksums


def _flush(folder: Path) -> None:
    """Flush files and folders to the disk, so that a power loss leaves none half-written."""
    for path in (*folder.rglob("*"), folder):
        if os.name == "nt" and path.is_dir():  # Windows flushes a folder with its files
            continue
        # Windows flushes only what may be written.
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def leaf_names(state: Any) -> dict[str, Any]:
    """Return the leaves of a tree by their dotted names.

    >>> leaf_names({"conv_1": {"bias": 1, "kernel": 2}})
    {'conv_1.bias': 1, 'conv_1.kernel': 2}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _to_arrays(state: Any) -> NamedArrays:
    """Return copies on the host, because the next step overwrites the state.

    Empty arrays are left out; Orbax cannot write them.
    """
    return {
        name: np.array(numbers_of(leaf)) for name, leaf in leaf_names(state).items() if leaf.size
    }


def _open_orbax() -> Any:
    """Return a checkpointer that waits for no other process: one alone writes and reads."""
    import orbax.checkpoint as ocp  # half a second

    number = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=number, active_processes={number}, barrier_sync_key_prefix=f"process_{number}"
    )
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _restore(folder: Path, like: Any) -> Any:
    expected = {name: _stored(leaf) for name, leaf in leaf_names(like).items() if leaf.size}
    with _open_orbax() as checkpointer:
        metadata = checkpointer.metadata(folder.absolute()).item_metadata
        saved = {name: _text(leaf) for name, leaf in metadata.items()}
        given = {name: _text(leaf) for name, leaf in expected.items()}
        check_same("model and optimizer", saved, given)
        arrays = checkpointer.restore(folder.absolute(), expected)

    def placed(path: Any, leaf: jax.Array) -> jax.Array:
        return _placed(arrays[_name(path)], leaf) if leaf.size else leaf

    return jax.tree_util.tree_map_with_path(placed, like)


def _stored(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    data = numbers_of(leaf)
    return jax.ShapeDtypeStruct(data.shape, data.dtype)


def _placed(array: Any, like: jax.Array) -> jax.Array:
    own = jnp.array(array)  # a copy that the next step may overwrite
    return place(from_numbers(own, like), like.sharding)


def _text(leaf: Any) -> str:
    return f"{np.dtype(leaf.dtype).name}{tuple(leaf.shape)}"


def check_same(kind: str, saved: dict[str, Any], given: dict[str, Any]) -> None:
    """Check that a run is resumed with the options with which it was started.

    >>> check_same("options", {"seed": 0, "epochs": 3}, {"seed": 1, "epochs": 3})
    Traceback (most recent call last):
    ValueError: a run can only be resumed with the options that it was started with. They differ \
in seed: 0 in the run, 1 now

    Args:
      kind: A noun for the values, for the error.
      saved: Values in the run by name.
      given: Values now by name.

    Raises:
      ValueError: they differ; the message names up to five differences.
    """
    different = [n for n in (given | saved) if saved.get(n) != given.get(n)]
    if different:
        listed = "; ".join(
            f"{name}: {saved.get(name, 'nothing')} in the run, {given.get(name, 'nothing')} now"
            for name in different[:5]
        )
        more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
        raise ValueError(
            f"a run can only be resumed with the {kind} that it was started with. They differ "
            f"in {listed}{more}"
        )

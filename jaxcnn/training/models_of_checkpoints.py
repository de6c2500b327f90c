"""The models within the checkpoints of a run."""

import json
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn.modules.parameter_tree import arrays_of, from_numbers, match_dtype, with_arrays
from jaxcnn.training.checkpoints import ARRAYS, PROGRESS, verify
from jaxcnn.training.run_folder import CHECKPOINTS, load


@dataclass(frozen=True)
class CheckpointModel:
    """The model within a checkpoint.

    Attributes:
      step: Number of steps of the training.
      epochs: Number of completed epochs.
      model: The model.
    """

    step: int
    epochs: int
    model: nnx.Module


def checkpoint_models(
    folder: str | Path, *, into: nnx.Module | None = None
) -> tuple[CheckpointModel, ...]:
    """Return the models within the checkpoints that a run keeps: the best and the newest.

    A model holds the moving averages of the weights where the training has them. Under
    ``optax.contrib.schedule_free`` it holds the parameters that are trained, not their averages.

    Args:
      folder: Folder of a run.
      into: A module of the structure that was trained; it is not changed. ``None`` takes the model
        of the run, which must have ended.

    Returns:
      The checkpoints, the earliest first.

    Raises:
      ValueError: there is no run or no checkpoint, one is damaged or of another model, or the run
        has not ended and there is no `into`.
    """
    model = load(folder) if into is None else into
    places = [path for path in (Path(folder) / CHECKPOINTS).glob("*") if path.name.isdigit()]
    if not places:
        raise ValueError(f"the run in {str(folder)!r} has no checkpoint")
    return tuple(_read(path, model) for path in sorted(places, key=lambda path: int(path.name)))


def _read(folder: Path, like: nnx.Module) -> CheckpointModel:
    import orbax.checkpoint as ocp  # half a second

    verify(folder)
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        saved: dict[str, np.ndarray] = checkpointer.restore((folder / ARRAYS).absolute())
    averaged = "ema." if any(name.startswith("ema.") for name in saved) else ""
    known: dict[str, np.ndarray] = {}
    for part in ("params.", "statistics."):
        prefix = averaged + part
        known |= {n.removeprefix(prefix): saved[n] for n in saved if n.startswith(prefix)}
    arrays = {}
    for name, own in arrays_of(like).items():
        if own.size:  # a checkpoint has no empty arrays
            stored = None if name not in known else from_numbers(jnp.asarray(known[name]), own)
            if stored is None or stored.shape != own.shape:
                found = "nothing" if stored is None else f"shape {stored.shape}"
                raise ValueError(
                    f"checkpoint {folder.name} in {str(folder.parent)!r} is of another model: "
                    f"{name} must have shape {own.shape}. Received: {found}"
                )
            own = match_dtype(own, stored)
        arrays[name] = own
    progress = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    return CheckpointModel(int(folder.name), len(progress["history"]), with_arrays(like, arrays))

"""Weights of timm and torchvision in and out: names, layouts, and what they expect of a picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax import nnx

from jaxcnn import shapes
from jaxcnn.interchange.checkpoints import Checkpoint, open_checkpoint
from jaxcnn.interchange.names import count_unused, translate
from jaxcnn.interchange.torch_names import CONVENTIONS, Convention
from jaxcnn.modules import check_module
from jaxcnn.modules.parameter_tree import arrays_of

_HEAD = "head."
_COUNTER = "num_batches_tracked"  # of batch norms; PyTorch alone needs it
_SHOWN = 4  # names in an error
_LINEAR, _CONV = ":linear", ":conv"


@dataclass(frozen=True)
class TorchWeights:
    """The arrays of a checkpoint as those of a network here.

    Attributes:
      checkpoint: The file.
      convention: How its arrays are named.
      names: Names there by names here.
    """

    checkpoint: Checkpoint
    convention: Convention
    names: Mapping[str, str]

    @property
    def num_classes(self) -> int:
        """Outputs of the checkpoint's head; 0 if it has none."""
        name = self.names.get(f"{_HEAD}kernel")
        return 0 if name is None else self.checkpoint.shapes[name][0]

    def gives(self, name: str, shape: shapes.Shape) -> bool:
        """Return whether there is an array for one of a module.

        There is none for a head of another number of classes, or where the file has no head.
        """
        if name not in self.names:
            return False
        given = self.checkpoint.shapes[self.names[name]]
        return not name.startswith(_HEAD) or given[:1] == _torch_shape(shape)[:1]

    def __call__(self, own: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the arrays in the layout here, by the names of a module's own.

        Those that it does not give (:meth:`gives`) are left out.

        Args:
          own: The module's arrays by name; only their shapes matter.

        Raises:
          ValueError: an array has another size.
        """
        arrays = self.checkpoint.read()
        read, wrong = {}, []
        first = next(name for name in self.names if name.endswith("kernel"))  # reads the image
        for name, like in own.items():
            if not self.gives(name, like.shape):
                continue
            there, kernel = self.names[name], _torch_shape(like.shape)
            array = arrays[there]
            if name == first and array.shape[1] != kernel[1]:
                array = _with_channels(array, kernel[1])
            if array.size == math.prod(kernel) and array.shape[:1] == kernel[:1]:
                read[name] = _from_torch(array.reshape(kernel))
            else:
                wrong.append(f"{there} {array.shape}, not {kernel}")
        if wrong:
            raise ValueError(
                f"weights of other shapes in {self.checkpoint.path!r}: {_listed(wrong)}"
            )
        return read

    def __hash__(self) -> int:
        """Return a hash for descriptions with these weights."""
        return hash(self.checkpoint.path)


def read_torch(
    weights: str,
    family: str,
    own: Mapping[str, shapes.Shape],
    name: str,
) -> TorchWeights:
    """Return the arrays of a file for a network, after a check of every name and shape.

    Args:
      weights: As :func:`jaxcnn.interchange.checkpoints.open_checkpoint` takes it.
      family: Name of the network's family.
      own: Shapes of the network's arrays by name.
      name: Name of the network, for the errors.

    Raises:
      ImportError: the file needs a package that is not installed.
      ValueError: there is no such file, it is damaged, or its arrays are not those of the network;
        the message lists names that are missing, unexpected, and of other shapes.
    """
    checkpoint, conventions = open_checkpoint(weights), conventions_of(family)
    if not conventions:
        raise ValueError(f"there are no known weights of {name}: nothing says how they are named")
    given = {each for each in checkpoint.shapes if not each.endswith(_COUNTER)}
    found = [(_known(own, convention), convention) for convention in conventions]
    names, convention = max(found, key=lambda each: len(given & set(each[0].values())))
    ignored = {each for each in given if each.startswith(convention.ignored or ("\0",))}
    headless = not given & {there for here, there in names.items() if here.startswith(_HEAD)}
    if headless:  # saved by its owner without one
        names = {here: there for here, there in names.items() if not here.startswith(_HEAD)}
    theirs = set(names.values())
    missing, unexpected = sorted(theirs - given), sorted(given - theirs - ignored)
    wrong = [
        f"{there} {checkpoint.shapes[there]}, not {_torch_shape(own[here])}"
        for here, there in names.items()
        if there in given
        and not here.startswith(_HEAD)
        and math.prod(checkpoint.shapes[there]) != math.prod(own[here])
    ]
    if missing or unexpected or wrong:
        parts = {"missing": missing, "unexpected": unexpected, "of other shapes": wrong}
        listed = "; ".join(f"{kind}: {_listed(each)}" for kind, each in parts.items() if each)
        raise ValueError(f"{checkpoint.path!r} does not hold the weights of {name}: {listed}")
    return TorchWeights(checkpoint, convention, names)


def to_torch(model: nnx.Module, *, library: str = "timm") -> dict[str, Any]:
    """Return the arrays of a network of the zoo as a state dict for PyTorch.

    ``timm.create_model(name).load_state_dict(to_torch(model))`` computes what the model does.

    Args:
      model: A module of a network in :func:`jaxcnn.models.names`.
      library: Whose names: ``"timm"``, or ``"torchvision"`` where timm lacks the network.

    Raises:
      TypeError: `model` is not a module.
      ValueError: the names of the model's arrays are those of no family that the library has.
    """
    import torch

    arrays = arrays_of(check_module("model", model))
    found: list[tuple[int, int, dict[str, str | None]]] = []
    for conventions in CONVENTIONS.values():
        for convention in conventions:
            rules = convention.rules(arrays)
            names = translate(arrays, rules)
            if library in convention.libraries and None not in names.values():
                # Of families whose blocks have the same names, the one with nothing else.
                found.append((count_unused(arrays, rules), len(found), names))
    if not found:
        raise ValueError(
            f"the model's arrays are named as in no network that {library} has. Received: "
            f"{_listed(list(arrays))}"
        )
    *_, names = min(found)
    return {
        _plain(str(there)): torch.from_numpy(_to_torch(np.asarray(arrays[here]), str(there)).copy())
        for here, there in names.items()
    }


def conventions_of(family: str) -> tuple[Convention, ...]:
    """Return how the arrays of a family are named elsewhere; empty where nobody said."""
    return CONVENTIONS.get(family, ())


def _known(own: Mapping[str, Any], convention: Convention) -> dict[str, str]:
    """Return the names there by those here, all of which must have one."""
    names = translate(own, convention.rules(own))
    unnamed = [name for name, there in names.items() if there is None]
    assert not unnamed, f"no name in {convention.libraries}: {unnamed}"
    return {here: _plain(str(there)) for here, there in names.items()}


def _torch_shape(shape: Sequence[int]) -> shapes.Shape:
    """Return the shape in PyTorch of an array here: a kernel's features come first."""
    return (*shape[::-1][:2], *shape[:-2])


def _from_torch(array: np.ndarray) -> np.ndarray:
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array


def _to_torch(array: np.ndarray, name: str) -> np.ndarray:
    """Return an array in PyTorch's layout; the name says whether it has other axes there."""
    if array.ndim == 1:
        return array
    turned = array.transpose(-1, -2, *range(array.ndim - 2))
    if _LINEAR in name:
        return turned.reshape(len(turned), -1)
    return turned[..., None, None] if _CONV in name else turned


def _plain(name: str) -> str:
    """Return a name there without what it says of the axes."""
    return name.replace(_LINEAR, "").replace(_CONV, "")


def _with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return a kernel for another number of input channels, as timm adapts one.

    A gray image is one of three equal channels; further channels read copies, scaled so that the
    sum over equal channels stays.
    """
    if channels == 1:
        return kernel.sum(axis=1, keepdims=True)
    read = np.arange(channels) % kernel.shape[1]
    return kernel[:, read] * np.float32(kernel.shape[1] / channels)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

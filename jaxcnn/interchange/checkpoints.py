"""Files of weights, and files on Hugging Face's hub: the names and shapes first, the arrays later.

A file of safetensors holds no program. PyTorch's own format is read with ``weights_only=True``,
which refuses one that would run code.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from jaxcnn.interchange.error_reasons import first_line
from jaxcnn.interchange.safetensors_files import map_file

Shape: TypeAlias = tuple[int, ...]
_HUB = "hf:"
_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
# Under which trainers keep the weights within a checkpoint, those of the moving average first.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by name in a file.

    Attributes:
      path: Where it came from, for errors.
      shapes: The shape of each array.
      read: Returns the arrays.
      config: What the hub says of the model; empty for another file.
    """

    path: str
    shapes: Mapping[str, Shape]
    read: Callable[[], Mapping[str, np.ndarray]]
    config: Mapping[str, Any] = field(default_factory=dict)


def open_checkpoint(weights: str | Path) -> Checkpoint:
    """Return the names and shapes in a file of weights.

    Args:
      weights: A file of safetensors or of PyTorch, or ``"hf:owner/name"`` on Hugging Face's hub,
        with ``@revision`` after it for another than the newest.

    Raises:
      ImportError: the file needs a package that is not installed; the message says which.
      ValueError: there is no such file, it is damaged, or it is not of weights.
    """
    text = str(weights)
    if text.startswith(_HUB):
        return _from_hub(text)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file of weights, and no run, in {text!r}")
    if path.suffix == ".safetensors":
        return _from_safetensors(path, text)
    if path.suffix in _TORCH_SUFFIXES:
        return _from_torch(path)
    raise ValueError(
        f"weights must be a file of .safetensors or {', '.join(_TORCH_SUFFIXES)}, or "
        f"{_HUB}owner/name. Received: {text!r}"
    )


def _from_safetensors(path: Path, name: str, config: Mapping[str, Any] | None = None) -> Checkpoint:
    arrays, _ = map_file(path, name)
    shapes = {key: array.shape for key, array in arrays.items()}
    return Checkpoint(name, shapes, functools.partial(_read_safetensors, path), config or {})


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    arrays, _ = map_file(path)
    return arrays


def _from_torch(path: Path) -> Checkpoint:
    shapes = {name: tuple(tensor.shape) for name, tensor in _load_torch(path).items()}
    return Checkpoint(str(path), shapes, functools.partial(_read_torch, path))


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    return {name: _numbers(tensor) for name, tensor in _load_torch(path).items()}


def _load_torch(path: Path) -> dict[str, Any]:
    """Return the tensors in a file of PyTorch by name."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{str(path)!r} is in PyTorch's format: install torch to read it, or use the file of "
            "safetensors of the same weights"
        ) from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Zip, pickle and PyTorch have many kinds of errors for a file that is none of weights.
        reason = first_line(error)
        raise ValueError(
            f"{str(path)!r} cannot be read as weights of PyTorch, and nothing else is run: {reason}"
        ) from error
    for name in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not all(isinstance(x, torch.Tensor) for x in found.values()):
        raise ValueError(
            f"{str(path)!r} must hold arrays by name. Received: {type(found).__name__}"
        )
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def _numbers(tensor: Any) -> np.ndarray:
    """Return a tensor as NumPy's; half precisions, which NumPy lacks in part, as float32."""
    floating = tensor.is_floating_point() and tensor.element_size() < 4
    array: np.ndarray = (tensor.float() if floating else tensor).numpy()
    return array


def _from_hub(name: str) -> Checkpoint:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{name!r} is on Hugging Face's hub: install jaxcnn[hub] to read it"
        ) from error
    repository, _, revision = name.removeprefix(_HUB).partition("@")
    paths = []
    for file in ("model.safetensors", "config.json"):
        try:
            paths.append(
                huggingface_hub.hf_hub_download(repository, file, revision=revision or None)
            )
        except (OSError, ValueError) as error:
            reason = first_line(error)
            raise ValueError(
                f"{file} of {name!r} cannot be read from Hugging Face's hub, nor from its cache: "
                f"{reason}"
            ) from error
    weights, config = map(Path, paths)
    return _from_safetensors(weights, name, json.loads(config.read_text(encoding="utf-8")))

"""A model in one file: its arrays under the names of the summary, and what builds it again.

The format is safetensors, which holds no program. Its metadata has the description of a model that
was built from one, and the input shape that it was built for, as JSON; of an exported network also
its signature.
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import safetensors.flax
from flax import nnx

from jaxcnn import shapes
from jaxcnn.interchange.safetensors_files import map_file
from jaxcnn.interchange.signature import Signature
from jaxcnn.layers.layer import Layer
from jaxcnn.layers.serialization import layer_from_json, layer_to_json
from jaxcnn.modules.parameter_tree import arrays_of, from_numbers, numbers_of, with_arrays

_METADATA = "jaxcnn"
_SIGNATURE = "signature"
SUFFIX = ".safetensors"


def model_to_bytes(model: nnx.Module, signature: Signature | None = None) -> bytes:
    """Return the contents of a model's file.

    Args:
      model: Any module.
      signature: What an exported network takes and gives, for who reads the file without this
        library; ``None`` leaves it out.
    """
    arrays = {name: numbers_of(array) for name, array in arrays_of(model).items()}
    description = _describe(model)
    metadata = {} if description is None else {_METADATA: json.dumps(description)}
    if signature is not None:
        metadata[_SIGNATURE] = signature.to_json()
    data: bytes = safetensors.flax.save(arrays, metadata)
    return data


def read_signature(path: Path) -> Signature | None:
    """Return the signature in a model's file, or ``None`` where it has none.

    Raises:
      ValueError: the file cannot be read, or the signature is damaged.
    """
    _, metadata = map_file(path)
    return Signature.from_json(metadata[_SIGNATURE]) if _SIGNATURE in metadata else None


def read_arrays(path: Path) -> dict[str, jax.Array]:
    """Return the arrays in a model's file by their dotted names.

    Args:
      path: Its path.

    Raises:
      ValueError: it cannot be read, or is not a file of safetensors.
    """
    arrays, _ = map_file(path)
    return {name: jnp.array(array) for name, array in arrays.items()}


def read_model(path: Path, *, into: nnx.Module | None) -> nnx.Module:
    """Return the model in a file.

    Args:
      path: Its path.
      into: A module of the structure that was saved, with arrays or abstract; ``None`` builds the
        model that the file describes.

    Raises:
      ValueError: the file is missing or damaged, describes no model and there is no `into`, or the
        arrays are not those of the model.
    """
    if into is None:
        into = _build(path)
    arrays = read_arrays(path)
    own = arrays_of(into)
    expected = {name: jax.eval_shape(numbers_of, array).shape for name, array in own.items()}
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        differing = sorted(expected.items() ^ received.items())
        raise ValueError(f"{str(path)!r} does not hold the weights of the module: {differing[:6]}")
    stored = {name: from_numbers(array, own[name]) for name, array in arrays.items()}
    return with_arrays(into, stored)


def is_described(path: Path) -> bool:
    """Return whether a model's file has a description to build the model from.

    Raises:
      ValueError: it cannot be read, or is not a file of safetensors.
    """
    _, metadata = map_file(path)
    return _METADATA in metadata


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears, or replaces the one before, as a whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def _describe(model: nnx.Module) -> dict[str, Any] | None:
    """Return what builds a module, as JSON; ``None`` if there is nothing that can be saved.

    A module that was changed since is not that of its description, and has none either.
    """
    description = getattr(model, "description", None)
    if not isinstance(description, Layer):
        return None
    input_shape = getattr(model, "input_shape")  # noqa: B009  # stored with the description
    if nnx.graphdef(description.abstract(input_shape)) != nnx.graphdef(model):
        return None
    try:
        return {"network": layer_to_json(description), "input_shape": input_shape}
    except ValueError:  # a layer or function of the user's own
        return None


def _build(path: Path) -> nnx.Module:
    """Return the module that a file describes, without arrays."""
    _, metadata = map_file(path)
    if _METADATA not in metadata:
        raise ValueError(
            f"{str(path)!r} is of a hand-made module: pass one of the same structure, "
            "cnn.load(path, into=model), or on the command line --model package.module:network"
        )
    try:
        description = json.loads(metadata[_METADATA])
        network = layer_from_json(description["network"])
        return network.abstract(shapes.check_shape(description["input_shape"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error

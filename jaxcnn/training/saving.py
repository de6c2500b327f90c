"""Saving a model into one file; :func:`jaxcnn.load` reads it."""

from pathlib import Path

from flax import nnx

from jaxcnn import modules
from jaxcnn.interchange.model_file import SUFFIX, model_to_bytes, write_whole


def save(model: nnx.Module, path: str | Path) -> None:
    """Write a model into one file, from which :func:`jaxcnn.load` reads it.

    >>> import jaxcnn as cnn
    >>> from tempfile import mkdtemp
    >>> model = cnn.models.create("tiny_cnn").build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> path = f"{mkdtemp()}/digits.safetensors"
    >>> cnn.save(model, path)
    >>> cnn.load(path).head.kernel.shape
    (32, 10)

    A model that was built from a description of this library's layers, with functions of
    ``jax.nn``, ``jax.numpy`` and ``jaxcnn.ops``, is described in the file. Of another module the
    arrays are stored, and ``cnn.load(path, into=module)`` needs one of the same structure.

    Args:
      model: Any ``nnx.Module``.
      path: A file whose name ends in ``.safetensors``; one that exists is replaced as a whole.

    Raises:
      TypeError: `model` is not a module.
      ValueError: the name of the file ends otherwise.
    """
    modules.check_module("model", model)
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"path must end in {SUFFIX}. Received: path={str(path)!r}")
    write_whole(path, model_to_bytes(model))

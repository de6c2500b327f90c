"""Exported networks as StableHLO programs, which ``jax.export`` writes and calls.

A file is a ZIP archive of two members, stored without compression: ``network.stablehlo``, which
``jax.export.deserialize`` reads, and ``signature.json``. It is called without this library::

    import json, zipfile
    import jax.export

    with zipfile.ZipFile("digits.stablehlo") as file:
        network = jax.export.deserialize(bytearray(file.read("network.stablehlo")))
        signature = json.loads(file.read("signature.json"))
    probabilities = jax.jit(network.call)(images)

``jax.export`` needs the package ``flatbuffers``, which JAX does not install.
"""

import contextlib
import importlib.util
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
from jax import export
from jax.typing import ArrayLike

from jaxcnn.interchange.error_reasons import first_line
from jaxcnn.interchange.model_file import write_whole
from jaxcnn.interchange.signature import Signature
from jaxcnn.runtime import plain_operations

PLATFORMS = ("cpu", "cuda", "tpu")
# The least size where sizes are free: many networks reduce them to a 32nd.
SMALLEST = 32
_PROGRAM, _SIGNATURE = "network.stablehlo", "signature.json"
_AXES = "dhw"
# Raised where a size must be known.
_FIXED = (jax.errors.InconclusiveDimensionOperation, TypeError, ValueError)
_OLDEST = (1980, 1, 1, 0, 0, 0)  # the same network gives the same file


def write_stablehlo(
    function: Callable[[jax.Array], jax.Array], signature: Signature, path: str | Path
) -> None:
    """Write an inference function, with its weights, as a program for CPU, CUDA and TPU.

    >>> import jax.numpy as jnp
    >>> from tempfile import mkdtemp
    >>> path = f"{mkdtemp()}/mean.stablehlo"
    >>> signature = Signature((None, None, 3))
    >>> write_stablehlo(lambda x: jnp.mean(x / jnp.uint8(255), (1, 2, 3)), signature, path)
    >>> program, found = read_stablehlo(path)
    >>> program(jnp.full((2, 40, 50, 3), 51, jnp.uint8)).round(3).tolist(), found == signature
    ([0.20000000298023224, 0.20000000298023224], True)

    Args:
      function: Maps ``(batch, *spatial, channels)`` of the signature's dtype to the outputs. The
        batch is free. Arrays that it refers to are written into the file.
      signature: Its input and output; a size of ``None`` is any from 32, or any multiple of 32
        for a network that needs it, such as a U-Net.
      path: A file that exists is replaced as a whole.

    Raises:
      ImportError: the package flatbuffers is not installed.
      ValueError: the function cannot be computed for every size.
    """
    _check_flatbuffers()
    program = _export(function, signature)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo(_PROGRAM, _OLDEST), bytes(program.serialize()))
        file.writestr(zipfile.ZipInfo(_SIGNATURE, _OLDEST), signature.to_json())
    write_whole(Path(path), archive.getvalue())


def read_stablehlo(path: str | Path) -> tuple[Callable[[ArrayLike], jax.Array], Signature]:
    """Return the program in a file of :func:`write_stablehlo`, and its signature.

    Args:
      path: The file.

    Returns:
      A function of the images ``(batch, *spatial, channels)``, compiled at its first call for a
      shape, and the signature.

    Raises:
      ImportError: the package flatbuffers is not installed.
      ValueError: the file cannot be read, is damaged, or is for other platforms.
    """
    _check_flatbuffers()
    try:
        with zipfile.ZipFile(path) as file:
            if any(member.compress_type != zipfile.ZIP_STORED for member in file.infolist()):
                raise ValueError("its members must be stored without compression")
            serialized, signature = file.read(_PROGRAM), file.read(_SIGNATURE).decode()
        program = export.deserialize(bytearray(serialized))
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # flatbuffers and MLIR raise errors of many kinds
        raise ValueError(
            f"{str(path)!r} is damaged, or is no StableHLO file of jaxcnn: {first_line(error)}"
        ) from error
    return jax.jit(program.call), Signature.from_json(signature)


def _export(function: Callable[[jax.Array], jax.Array], signature: Signature) -> export.Exported:
    """Return the program of a function, whose free sizes are any, or else multiples of 32."""
    sizes = signature.input_shape
    try:
        return _export_for(function, signature, 1)
    except _FIXED:
        if None not in sizes:
            raise
    try:  # a U-Net halves its maps and joins them to those of twice the size
        return _export_for(function, signature, SMALLEST)
    except _FIXED as error:
        raise ValueError(
            "the network cannot be exported for every size: give it one. "
            f"Received: input_shape={sizes} ({first_line(error)})"
        ) from error


def _export_for(
    function: Callable[[jax.Array], jax.Array], signature: Signature, multiple: int
) -> export.Exported:
    names = _AXES[-(len(signature.input_shape) - 1) :]
    dimensions, constraints = ["batch"], ["batch >= 1"]
    for name, size in zip((*names, ""), signature.input_shape, strict=True):
        dimensions.append(f"{multiple}*{name}" if size is None else str(size))
        if size is None:
            constraints.append(f"{name} >= {SMALLEST // multiple}")
    shape = export.symbolic_shape(", ".join(dimensions), constraints=constraints)
    images = jax.ShapeDtypeStruct(shape, signature.input_dtype)
    with plain_operations(), _locations_without_paths():
        return export.export(jax.jit(function), platforms=PLATFORMS)(images)


def _check_flatbuffers() -> None:
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError(
            "StableHLO files need flatbuffers: pip install flatbuffers, or "
            "pip install 'jaxcnn[export]'"
        )


@contextlib.contextmanager
def _locations_without_paths() -> Iterator[None]:
    """Leave the names of source files, which are paths of this machine, out of a program."""
    option = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, option)
    jax.config.update(option, 0)
    try:
        yield
    finally:
        jax.config.update(option, before)

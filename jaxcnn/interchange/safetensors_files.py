"""Files of safetensors, mapped: their arrays are views of the file until they are put on a device.

The library's own ways copy each array in between, which takes memory of three times the file.
"""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors

_DTYPES: dict[str, type] = {
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "BOOL": np.bool_,
}
_PREFIX = 8  # bytes that hold the length of the header


def map_file(path: Path, name: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays in a file by name, as views of it, and its metadata.

    Args:
      path: A file of safetensors.
      name: What errors call it; ``None`` means its path.

    Raises:
      ValueError: it cannot be read, is damaged, or has numbers of a kind that JAX does not know.
    """
    name = str(path) if name is None else name
    try:
        with safetensors.safe_open(path, framework="numpy") as file:  # checks the header
            metadata = dict(file.metadata() or {})
        data = np.memmap(path, np.uint8, "r")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{name!r} is damaged: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"{name!r} cannot be read: {reason}") from error
    start = _PREFIX + int.from_bytes(data[:_PREFIX].tobytes(), "little")
    header = json.loads(data[_PREFIX:start].tobytes())
    header.pop("__metadata__", None)
    unknown = sorted({entry["dtype"] for entry in header.values()} - _DTYPES.keys())
    if unknown:
        raise ValueError(f"{name!r} has numbers of the kinds {', '.join(unknown)}")
    arrays = {}
    for key, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        arrays[key] = data[first:last].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays, metadata

"""Running the graphs that were exported, by ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.interchange.error_reasons import first_line
from jaxcnn.interchange.onnx_files import onnx_model
from jaxcnn.interchange.signature import Signature
from jaxcnn.interchange.web_files import read_web

Run = Callable[[np.ndarray], np.ndarray]


def run_onnx(path: Path) -> Run:
    """Return the network in an ONNX file as a function of images.

    Args:
      path: The file.

    Raises:
      ImportError: onnxruntime is not installed.
      ValueError: it cannot run the file.
    """
    return _session(str(path))


def run_web(path: Path) -> Run:
    """Return the network in a JSON file as a function of images, which takes one after the other.

    Args:
      path: The file.

    Raises:
      ImportError: onnx or onnxruntime is not installed.
      ValueError: the file is damaged.
    """
    graph = read_web(path)
    run = _session(onnx_model(graph, Signature(())).SerializeToString())
    return lambda images: np.concatenate([run(image[None]) for image in images])


def _session(model: str | bytes) -> Run:
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of kinds of its own
        raise ValueError(f"ONNX Runtime cannot run the network: {first_line(error)}") from error
    (entry,) = session.get_inputs()

    def run(images: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run(None, {entry.name: images})[0]
        return found

    return run


def import_onnxruntime() -> Any:
    """Return the module ``onnxruntime``.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "exported networks are run by the package onnxruntime: pip install 'jaxcnn[export]'"
        ) from error
    return onnxruntime

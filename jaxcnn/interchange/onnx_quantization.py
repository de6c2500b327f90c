"""Exported ONNX networks in 8-bit integers, by ONNX Runtime's post-training quantization.

Kernels have a scale per channel, and activations one that is calibrated on given images (the range
of each over all of them). The file has QuantizeLinear and DequantizeLinear around the operators,
which ONNX Runtime computes in integers.
"""

import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.interchange.error_reasons import first_line
from jaxcnn.interchange.model_file import write_whole
from jaxcnn.interchange.onnx_files import import_onnx
from jaxcnn.interchange.onnx_runs import Run, import_onnxruntime, run_onnx

_ROWS = 16  # images of a batch, in calibration and in timing
_REPEATS = 10


@dataclass(frozen=True)
class Quantized:
    """A network in 8-bit integers, beside the one that it was made from.

    Attributes:
      path: Its file.
      file_bytes: Sizes of the files, before and after.
      milliseconds: Least times of a batch of at most 16 images, before and after.
    """

    path: Path
    file_bytes: tuple[int, int]
    milliseconds: tuple[float, float]


def quantize_onnx(path: Path, out: Path, images: np.ndarray) -> Quantized:
    """Write an ONNX file in 8-bit integers, if it is smaller and not slower here.

    Args:
      path: The file of an exported network.
      out: The file to write; one that exists is replaced as a whole.
      images: Inputs of the network for the calibration, ``(N, *spatial, C)``; some hundred that
        are like those to come.

    Raises:
      ImportError: onnx or onnxruntime is not installed.
      ValueError: there are no images, the network cannot be quantized, or the file would be larger
        or slower: nothing is written then, and the message has the figures.
    """
    if not len(images):
        raise ValueError("the calibration needs at least one image. Received: none")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "network.onnx"
        try:
            _quantize(path, made, images)
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # of kinds of its own
            raise ValueError(f"the network cannot be quantized: {first_line(error)}") from error
        sizes = path.stat().st_size, made.stat().st_size
        times = _least_times(run_onnx(path), run_onnx(made), images[:_ROWS])
        if sizes[1] >= sizes[0] or times[1] > times[0]:
            raise ValueError(
                "the network in 8-bit integers must be smaller and not slower, and is not written. "
                f"Received: {sizes[1]:,} bytes after {sizes[0]:,}, {times[1]:.2f} ms per batch "
                f"after {times[0]:.2f}"
            )
        write_whole(out, made.read_bytes())
    return Quantized(out, sizes, times)


def _quantize(path: Path, made: Path, images: np.ndarray) -> None:
    import_onnxruntime()
    onnx = import_onnx()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    before = onnx.load(str(path))
    (entry,) = before.graph.input
    batches = [images[start : start + _ROWS] for start in range(0, len(images), _ROWS)]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc,unused-ignore]  # ONNX Runtime may be missing
        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> Any:
            batch = next(self._batches, None)
            return None if batch is None else {entry.name: batch}

    prepared = made.with_name("prepared.onnx")
    logging.disable(logging.WARNING)  # advice of its own, on the root logger
    try:
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(made),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    model = onnx.load(str(made))
    del model.metadata_props[:]
    model.metadata_props.extend(before.metadata_props)  # the signature
    onnx.save(model, str(made))


def _least_times(before: Run, after: Run, images: np.ndarray) -> tuple[float, float]:
    """Return the least time of each in ms, run in turn."""
    times: list[list[float]] = [[], []]
    for _ in range(_REPEATS):
        for run, taken in zip((before, after), times, strict=True):
            start = time.perf_counter()
            run(images)
            taken.append(1e3 * (time.perf_counter() - start))
    return min(times[0]), min(times[1])

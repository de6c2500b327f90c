"""The part of ``jaxcnn export --int8``: calibration, and the results before and after."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.cli.tables import print_table
from jaxcnn.data.dataset import Dataset
from jaxcnn.interchange.onnx_quantization import quantize_onnx
from jaxcnn.interchange.onnx_runs import Run as Network
from jaxcnn.interchange.onnx_runs import run_onnx
from jaxcnn.recipes.exporting import Exported
from jaxcnn.recipes.input_files import find_files
from jaxcnn.recipes.run_images import load_images
from jaxcnn.recipes.run_inputs import read_inputs
from jaxcnn.training.run_description import Run

_CALIBRATION, _TESTS = 256, 2_000  # images at most, spread over a set
_ROWS = 64


def print_quantized(
    described: Run,
    run: Path | None,
    made: Exported,
    calibrate: Path | None,
    held_out: Dataset | None,
) -> None:
    """Quantize an exported network, and print its size, time and accuracy before and after.

    Args:
      described: Description of the run.
      run: Its folder; ``None`` for weights.
      made: The exported network.
      calibrate: Folder of pictures for the calibration; ``None`` means the run's training images.
      held_out: The images on which the results are measured; ``None`` means the calibration's.

    Raises:
      ImportError: onnx or onnxruntime is not installed.
      ValueError: there are no images, or the result is larger or slower.
    """
    if calibrate is None and (run is None or described.data is None):
        raise ValueError("--int8 needs pictures for its calibration: give --calibrate FOLDER")
    if calibrate is not None:
        axes = len(described.input_shape)
        files = list(find_files([str(calibrate)], axes=axes, listed=[]))
        if not files:
            raise ValueError(f"there are no files for this network in {calibrate}")
        images = read_inputs(described, _spread(files, _CALIBRATION))
    else:
        images = _spread(load_images(described, run, split="training").data.images, _CALIBRATION)
    out = made.path.with_name(f"{made.path.stem}.int8{made.path.suffix}")
    as_taken = _in_dtype(np.asarray(images), made.signature.input_dtype)
    found = quantize_onnx(made.path, out, as_taken)
    rows: list[tuple[str, ...]] = [("8-bit integers", "before", "after")]
    rows.append(("bytes", *(f"{size:,}" for size in found.file_bytes)))
    rows.append(("ms per batch of 16", *(f"{time:.2f}" for time in found.milliseconds)))
    shown, labels = as_taken, None
    if held_out is not None:
        shown = _in_dtype(np.asarray(_spread(held_out.images, _TESTS)), made.signature.input_dtype)
        labels = _spread(held_out.labels, _TESTS)
    outputs = [_outputs(run_onnx(path), shown) for path in (made.path, out)]
    if labels is not None and np.issubdtype(labels.dtype, np.integer):
        accuracy = [f"{np.mean(each.argmax(axis=-1) == labels):.2%}" for each in outputs]
        rows.append((f"accuracy, {len(labels):,} held-out images", *accuracy))
    difference = float(np.abs(outputs[1] - outputs[0]).max())
    rows.append((f"largest difference, {len(shown):,} images", "", f"{difference:.2g}"))
    print()
    print_table(rows)
    print(f"\nThe network is in {out}")


def _spread(items: Any, most: int) -> Any:
    """Return every n-th of the items, so that there are at most a given number."""
    return items[:: -(-len(items) // most)]


def _in_dtype(images: np.ndarray, dtype: str) -> np.ndarray:
    if images.dtype == np.uint8 and dtype == "float32":
        return images / np.float32(255)
    return images.astype(dtype)


def _outputs(network: Network, images: np.ndarray) -> np.ndarray:
    starts = range(0, len(images), _ROWS)
    return np.concatenate([network(images[start : start + _ROWS]) for start in starts])

"""The page of a run: its network, held-out images and worst mistakes; or of an exported file."""

import base64
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from PIL import Image

from jaxcnn import arguments, shapes, training
from jaxcnn.insight import Errors, Mistake, grad_cam
from jaxcnn.interchange.onnx_graphs import read_onnx
from jaxcnn.interchange.web_files import web_network
from jaxcnn.recipes.exporting import export_run
from jaxcnn.recipes.reported_run import ReportedRun
from jaxcnn.serving.page_building import build_page

# Held-out images to show in the network: the number of each class, and of all.
_OF_A_CLASS, _MOST_EXAMPLES = 2, 20
# Red, green and blue of the heat; its opacity is the value of the map, up to this one.
_HEAT, _OPAQUE = (255, 106, 0), 150


def page_of_run(
    folder: str | Path,
    *,
    title: str | None = None,
    mistakes: int = 12,
    into: nnx.Module | None = None,
) -> str:
    """Return the page of a finished run as one HTML file that works without a server.

    It holds the network, which runs in the browser, some held-out images, and of a classifier the
    most confident mistakes with their Grad-CAM. If the data of the run is not at hand, the page has
    neither images nor mistakes.

    Args:
      folder: Folder of the run.
      title: Title of the page; ``None`` means the name of the folder.
      mistakes: Number of mistakes at the most, at least 1.
      into: A module of the structure that was trained, for a run that describes no network.

    Raises:
      TypeError: ``mistakes`` is not an integer.
      ValueError: there is no finished run, it is damaged, its inputs are not images, or an
        operation of its network has no operator on the page.
    """
    most = arguments.check_integer("mistakes", mistakes, minimum=1)
    run = ReportedRun(Path(folder), training.load(folder, into=into), images=_OF_A_CLASS)
    shape = run.described.input_shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(
            f"the page shows networks of images (H, W, 1 or 3). Received: inputs of {shape}"
        )
    examples: list[dict[str, Any]] = []
    worst: list[dict[str, Any]] | None = None
    checked: np.ndarray | None = None
    has_data = _has_data(run)
    if has_data:
        images = np.asarray(run.images[: 1 << 20])
        rows = _chosen(np.asarray(run.test.data.labels), len(images))
        checked = images[rows]
        examples = [_example(run, images, int(row)) for row in rows]
    network = _network(run, checked)  # first, as it may be refused
    if has_data and run.described.kind == "class":
        worst = _mistakes(run, images, run.results.errors, most)
    name = run.folder.resolve().name if title is None else title
    return build_page(network, title=name, examples=examples, mistakes=worst)


def page_of_file(path: Path, input_shape: shapes.Shape) -> str:
    """Return the page of an ONNX file, which has neither held-out images nor mistakes.

    Args:
      path: A file that ``jaxcnn export`` has written.
      input_shape: ``(H, W, C)``.

    Raises:
      ImportError: onnx is not installed.
      ValueError: it is not such a file.
    """
    return build_page(web_network(*read_onnx(path, input_shape)), title=path.stem)


def _has_data(run: ReportedRun) -> bool:
    if run.described.data is None:
        return False
    try:
        return len(run.test.data.images) > 0
    except (ImportError, OSError, ValueError):  # the data is not here
        return False


def _network(run: ReportedRun, images: np.ndarray | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.json"
        made = export_run(run.described, run.model, file, format="web", images=images)
        found: dict[str, Any] = json.loads(made.path.read_text(encoding="utf-8"))
    return found


def _chosen(labels: np.ndarray, count: int) -> np.ndarray:
    """Return rows of the first images of each class, or the first images of all."""
    if labels.ndim != 1:
        return np.arange(min(count, _MOST_EXAMPLES))
    rows = [np.flatnonzero(labels == label)[:_OF_A_CLASS] for label in np.unique(labels)]
    return np.concatenate(rows)[:_MOST_EXAMPLES]


def _example(run: ReportedRun, images: np.ndarray, row: int) -> dict[str, Any]:
    pixels, label = _pixels(images[row]), np.asarray(run.test.data.labels)[row]
    return {
        "pixels": base64.b64encode(pixels.tobytes()).decode(),
        "shape": list(pixels.shape),
        "label": run.names[int(label)] if np.ndim(label) == 0 else "",
    }


def _mistakes(
    run: ReportedRun, images: np.ndarray, errors: Errors, most: int
) -> list[dict[str, Any]]:
    worst: Sequence[Mistake] = errors.mistakes[:most]
    if not worst:
        return []
    rows = [mistake.row for mistake in worst]
    predicted = np.array([mistake.predicted for mistake in worst])
    maps = np.asarray(grad_cam(run.model, images[rows], predicted))
    return [
        {
            "picture": _picture(_pixels(images[mistake.row])),
            "heat": _picture(_heat(heat)),
            "truth": errors.class_names[mistake.label],
            "predicted": errors.class_names[mistake.predicted],
            "probability": mistake.probability,
            "truth_probability": mistake.label_probability,
        }
        for mistake, heat in zip(worst, maps, strict=True)
    ]


def _pixels(image: np.ndarray) -> np.ndarray:
    """Return an image as pixels: floating-point values are in 0…1."""
    if image.dtype == np.uint8:
        return image
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _heat(values: np.ndarray) -> np.ndarray:
    """Return a map as a colored picture ``(H, W, 4)`` that is laid over the image."""
    strength = values / max(float(values.max()), 1e-12)
    heat = np.empty((*values.shape, 4), np.uint8)
    heat[..., :3] = _HEAT
    heat[..., 3] = np.rint(strength * _OPAQUE)
    return heat


def _picture(pixels: np.ndarray) -> str:
    """Return a picture as a data URI."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"

"""Writing of a data set of boxes in COCO's form, which other libraries read."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxcnn.data.dataset import Dataset

_FILE = "annotations.json"


def write_coco(folder: str | Path, data: Dataset) -> Path:
    """Write a data set of boxes as a folder of PNG files and COCO's JSON.

    :func:`load` reads the folder again: the same pixels, boxes, classes and crowds.

    >>> import tempfile
    >>> from jaxcnn.data import box_labels
    >>> images = np.zeros((2, 16, 16, 3), np.uint8)
    >>> data = Dataset(images, box_labels([[[2, 2, 10, 8]], []], [[0], []]), ("cat",))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_coco(folder, data)
    ...     sorted(entry.name for entry in path.parent.iterdir())
    ['annotations.json', 'images']

    Args:
      folder: The folder, which is made if it does not exist; it may start with ``~``.
      data: Images ``(N, H, W, 1 or 3)`` uint8 with boxes.

    Returns:
      The path of ``annotations.json``.

    Raises:
      FileExistsError: the folder already has annotations.
      ValueError: the labels are not boxes, or the images are not pictures.
    """
    root = Path(folder).expanduser()
    shape = data.image_shape
    if data.kind != "boxes" or data.images.dtype != np.uint8 or shape[-1] not in (1, 3):
        raise ValueError(
            "data must be uint8 pictures with boxes as labels, as cnn.data.box_labels makes them. "
            f"Received: {data.images.dtype} images {shape}, labels of the kind {data.kind!r}"
        )
    path = root / _FILE
    if path.exists():
        raise FileExistsError(f"{str(path)!r} exists already: choose another folder")
    (root / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    digits = len(str(len(data)))
    for row in range(len(data)):
        pixels, boxes = np.asarray(data.images[row]), data.labels[row]
        name = f"{row:0{digits}}.png"
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        picture.save(root / "images" / name)
        images.append({"id": row, "file_name": name, "height": shape[0], "width": shape[1]})
        for box in boxes[boxes["label"] >= 0]:
            x1, y1, x2, y2 = box["corners"].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row,
                    "category_id": int(box["label"]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(box["crowd"]),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(data.class_names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    # The file appears complete or not at all.
    partial = path.with_name(f".{_FILE}.partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)
    return path

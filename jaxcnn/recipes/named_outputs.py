"""The outputs of a network under the names of its classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcnn.data.resizing import Resizing
from jaxcnn.shapes import Shape


def output_names(class_names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return a name for each output; a network may have more than its data has classes.

    >>> output_names(("no", "yes"), 3)
    ('no', 'yes', 'output 2')

    Args:
      class_names: Names of the classes.
      count: Number of outputs.
    """
    return (*class_names, *(f"output {number}" for number in range(len(class_names), count)))


def named_boxes(
    found: np.ndarray,
    *,
    class_names: Sequence[str],
    score: float,
    resizing: Resizing,
    picture_size: tuple[int, int],
    input_shape: Shape,
) -> list[dict[str, Any]]:
    """Return the boxes of a picture in its own pixels, the likeliest first.

    Args:
      found: ``(limit, 6)`` as :func:`jaxcnn.training.detections` returns them for a picture.
      class_names: Names of the classes.
      score: Boxes of a lower score are left out.
      resizing: The method by which the picture became an input.
      picture_size: Height and width of the picture.
      input_shape: ``(H, W, C)`` of the input.

    Returns:
      For each box ``{"class": name, "score": number, "box": [x1, y1, x2, y2]}``.
    """
    kept = found[(found[:, 5] >= 0) & (found[:, 4] >= score)].astype(float)
    height, width, _ = input_shape
    corners = resizing.original_boxes(kept[:, :4], picture_size, (height, width))
    names = output_names(class_names, int(kept[:, 5].max(initial=-1)) + 1)
    return [
        {
            "class": names[int(label)],
            "score": round(likelihood, 4),
            "box": [round(side, 2) for side in box],
        }
        for box, (likelihood, label) in zip(corners.tolist(), kept[:, 4:].tolist(), strict=True)
    ]

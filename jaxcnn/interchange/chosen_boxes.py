"""Operators that choose the boxes of a detector: non-maximum suppression, with a fixed result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxcnn.interchange.operator_graph import Graph
from jaxcnn.ops.suppression import overlap_bound


@dataclass(frozen=True)
class BoxChoice:
    """How the outputs of a detector become boxes.

    Attributes:
      candidates: Maps the outputs to ``(batch, count, 6)``: x1, y1, x2, y2, score, class, with
        falling scores.
      classes: Number of classes.
      limit: Number of boxes that are returned.
      score_threshold: Boxes of this score or less are left out, at least 0.
      iou_threshold: Largest overlap of two boxes of one class.
      nothing: A row that only fills up.
    """

    candidates: Callable[[jax.Array], jax.Array]
    classes: int
    limit: int
    score_threshold: float
    iou_threshold: float
    nothing: Sequence[float]


def choose_boxes(graph: Graph, rows: str, choice: BoxChoice) -> str:
    """Add the choice among candidates, and return the name of ``(batch, limit, 6)``.

    NonMaxSuppression returns the positions that it keeps as one list of all examples and classes.
    Their scores are written into zeros, so that the highest `limit` are those of each example in
    order; zeros that are among them only fill up.

    Args:
      graph: The graph.
      rows: Name of the candidates.
      choice: The choice.
    """
    add = graph.add

    def integers(*values: int) -> np.ndarray:
        return np.array(values, np.int64)

    corners = add("Slice", rows, integers(0), integers(4), integers(2))
    score, label = (add("Gather", rows, np.array(n, np.int64), axis=2) for n in (4, 5))
    label = add("Cast", label, to="int64")
    ends = np.array([0, 1], np.float32)
    of_class = add("OneHot", label, np.array(choice.classes, np.int64), ends, axis=1)
    scores = add("Mul", of_class, add("Unsqueeze", score, integers(1)))
    kept = add(
        "NonMaxSuppression",
        corners,
        scores,
        integers(choice.limit),
        overlap_bound(choice.iou_threshold, np.float32).reshape(1),
        np.array([choice.score_threshold], np.float32),
    )
    places = add("Gather", kept, integers(0, 2), axis=1)  # example, candidate
    zeros = add("ConstantOfShape", add("Shape", score))
    left = add("ScatterND", zeros, places, add("GatherND", score, places))
    # There may be fewer candidates than boxes to return.
    left = add("Pad", left, integers(0, 0, 0, choice.limit))
    filled = add("Pad", rows, integers(0, 0, 0, 0, choice.limit, 0))
    best, at = graph.add_several(2, "TopK", left, integers(choice.limit), axis=1)
    found = add("GatherND", filled, add("Unsqueeze", at, integers(2)), batch_dims=1)
    is_box = add("Unsqueeze", add("Greater", best, np.array(0, np.float32)), integers(2))
    return add("Where", is_box, found, np.array(choice.nothing, np.float32))

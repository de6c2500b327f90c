"""The answer for one picture, by what the network learned: plain values for JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxcnn.recipes.named_outputs import named_boxes, output_names
from jaxcnn.serving.network import ServedNetwork
from jaxcnn.serving.pictures import Picture

# Classes of an answer where the request names no number of them.
DEFAULT_TOP = 5
# The largest number of classes where their names are not known.
MOST_TOP = 1_000
# The lowest score of a box where the request names none, as of `jaxcnn predict`.
DEFAULT_SCORE = 0.3


@dataclass(frozen=True)
class Wanted:
    """The options of a request.

    Attributes:
      top: Number of the likeliest classes.
      score: Boxes of a lower score are left out.
    """

    top: int = DEFAULT_TOP
    score: float = DEFAULT_SCORE


def describe(
    network: ServedNetwork, picture: Picture, row: np.ndarray, wanted: Wanted
) -> dict[str, Any]:
    """Return the answer for one picture.

    Args:
      network: The network.
      picture: The picture.
      row: The prediction for it.
      wanted: The options of the request.

    Raises:
      FloatingPointError: the prediction is not finite.
    """
    if not np.isfinite(row).all():
        raise FloatingPointError("the outputs of the network are not finite")
    answer = _DESCRIBE[network.task](network, picture, row, wanted)
    return answer | {"note": picture.note} if picture.note else answer


def _classes(
    network: ServedNetwork, picture: Picture, row: np.ndarray, wanted: Wanted
) -> dict[str, Any]:
    key = "output" if network.activation == "none" else "probability"
    row = row.reshape(-1)
    names = output_names(network.class_names, len(row))
    likeliest = np.argsort(-row, kind="stable")[: wanted.top].tolist()
    values = row[likeliest].tolist()
    return {
        "classes": [
            {"class": names[index], key: round(value, 6)}
            for index, value in zip(likeliest, values, strict=True)
        ]
    }


def _numbers(
    network: ServedNetwork, picture: Picture, row: np.ndarray, wanted: Wanted
) -> dict[str, Any]:
    values, names = row.reshape(-1).tolist(), network.class_names
    if len(names) != len(values):
        names = tuple(f"number {place}" for place in range(len(values)))
    pairs = zip(names, values, strict=True)
    return {"numbers": [{"name": name, "value": value} for name, value in pairs]}


def _shares(
    network: ServedNetwork, picture: Picture, row: np.ndarray, wanted: Wanted
) -> dict[str, Any]:
    shares = np.bincount(row.ravel()) / row.size
    names = output_names(network.class_names, len(shares))
    ordered = np.argsort(-shares, kind="stable")[: wanted.top].tolist()
    return {
        "shares": [
            {"class": names[index], "share": round(float(shares[index]), 6)}
            for index in ordered
            if shares[index]
        ]
    }


def _boxes(
    network: ServedNetwork, picture: Picture, row: np.ndarray, wanted: Wanted
) -> dict[str, Any]:
    return {
        "boxes": named_boxes(
            row,
            class_names=network.class_names,
            score=wanted.score,
            resizing=network.framing.resizing,
            picture_size=picture.original_size,
            input_shape=network.input_shape,
        )
    }


_DESCRIBE: Mapping[str, Callable[..., dict[str, Any]]] = {
    "classify": _classes,
    "regress": _numbers,
    "segment": _shares,
    "detect": _boxes,
}

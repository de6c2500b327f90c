"""What ``jaxcnn predict`` prints and writes, by what the network learned."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from PIL import Image

from jaxcnn import training
from jaxcnn.cli.run_table import answer
from jaxcnn.data.labels import LabelTask
from jaxcnn.insight import plots
from jaxcnn.recipes.held_out_results import predict_classes
from jaxcnn.recipes.run_inputs import Inputs
from jaxcnn.training.run_description import Run


@dataclass(frozen=True)
class Answers:
    """The options of ``jaxcnn predict``.

    Attributes:
      top: Number of the likeliest classes, or ``None``.
      most: The number that is meant by ``None``.
      activation: As for :func:`jaxcnn.predict`.
      score: Boxes of a lower score are left out.
      out: Folder for masks or drawn pictures, or ``None``.
    """

    top: int | None
    most: int
    activation: str
    score: float
    out: Path | None


def print_predictions(described: Run, model: nnx.Module, inputs: Inputs, answers: Answers) -> None:
    """Print the predictions for some inputs, and write masks or drawn boxes.

    Raises:
      OSError: the folder cannot be written to.
      ValueError: the run is of another task than an option.
    """
    if answers.out is not None and described.task not in ("segment", "detect"):
        raise ValueError(
            "--out is the folder of masks or of pictures with boxes, and this run predicts "
            f"neither. Received: --out {str(answers.out)!r}"
        )
    _PRINT[described.task](described, model, inputs, answers)


def _print_rows(described: Run, model: nnx.Module, inputs: Inputs, answers: Answers) -> None:
    predictions = training.predict(model, inputs.images, activation=answers.activation)
    sigmoid = "sigmoid" in (answers.activation, described.activation)
    shows_all = sigmoid and answers.activation != "softmax" and answers.top is None
    most = answers.top or answers.most
    width = max(map(len, inputs.names))
    for name, row, why in zip(inputs.names, predictions, inputs.notes, strict=True):
        note = "" if why is None else f"  ({why})"
        text = answer(row, described.class_names, shows_all=shows_all, top=most)
        print(f"{name:<{width}}  {text}{note}")


def _print_numbers(described: Run, model: nnx.Module, inputs: Inputs, answers: Answers) -> None:
    predictions = training.predict(model, inputs.images, activation=answers.activation)
    width, names = max(map(len, inputs.names)), described.class_names
    for name, row in zip(inputs.names, predictions.reshape(len(inputs.names), -1), strict=True):
        words = [f"{value:.4g}" for value in row]
        if len(names) == len(words):
            words = [f"{number} {word}" for number, word in zip(names, words, strict=True)]
        print(f"{name:<{width}}  {'  '.join(words)}")


def _print_shares(described: Run, model: nnx.Module, inputs: Inputs, answers: Answers) -> None:
    """Print the share of each class of each picture, and write masks at the pictures' sizes."""
    names, width = described.class_names, max(map(len, inputs.names))
    classes = predict_classes(model, inputs.images)
    for row, (name, mask) in enumerate(zip(inputs.names, classes, strict=True)):
        shares = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        ordered = np.argsort(-shares, kind="stable")[: answers.top]
        found = [f"{names[n]} {shares[n]:.1%}" for n in ordered if n < len(names) and shares[n]]
        text = "  ".join(found)
        if answers.out is not None:
            whole = described.framing.resizing.original_labels(mask, inputs.sizes[row])
            text += f"  → {_write_mask(answers.out, name, whole)}"
        print(f"{name:<{width}}  {text}")


def _write_mask(folder: Path, name: str, classes: np.ndarray) -> Path:
    """Write the classes at positions as a palette PNG, whose numbers are the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{Path(name).stem}.png"
    picture = Image.fromarray(classes.astype(np.uint8), "L")
    picture.putpalette(_palette())
    picture.save(path)
    return path


def _palette() -> list[int]:
    """Return the colors of Pascal VOC's masks: the bits of a class number, spread over RGB."""
    numbers = np.arange(256)
    colors = np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            bit = numbers >> (3 * place + channel) & 1
            colors[:, channel] |= bit << (7 - place)
    return [int(value) for value in colors.ravel()]


def _print_boxes(described: Run, model: nnx.Module, inputs: Inputs, answers: Answers) -> None:
    """Print a JSON object per picture, with its boxes in the pixels of the picture."""
    found = training.predict(model, inputs.images)
    size = described.input_shape[0], described.input_shape[1]
    for row, name in enumerate(inputs.names):
        boxes = []
        for *corners, score, label in found[row].astype(float):
            if label < 0 or score < answers.score:
                continue
            placed = described.framing.resizing.original_boxes(
                np.array(corners), inputs.sizes[row], size
            )
            boxes.append(
                {
                    "class": described.class_names[int(label)],
                    "score": round(score, 4),
                    "box": [round(value, 2) for value in placed.tolist()],
                }
            )
        print(json.dumps({"file": name, "boxes": boxes}, ensure_ascii=False))
    if answers.out is not None:
        answers.out.mkdir(parents=True, exist_ok=True)
        for row, name in enumerate(inputs.names):
            drawing = plots.detections(
                inputs.images[row : row + 1],
                found[row : row + 1],
                class_names=described.class_names,
                score_threshold=answers.score,
            )
            drawing.savefig(answers.out / f"{Path(name).stem}.png", dpi=120)


_PRINT: Mapping[LabelTask, Callable[[Run, nnx.Module, Inputs, Answers], Any]] = {
    "classify": _print_rows,
    "regress": _print_numbers,
    "segment": _print_shares,
    "detect": _print_boxes,
}

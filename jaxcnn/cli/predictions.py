"""Answers of ``jaxcnn predict`` for one batch, by what the network learned."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxcnn.data.labels import LabelTask
from jaxcnn.recipes.named_outputs import named_boxes, output_names
from jaxcnn.recipes.run_inputs import Input
from jaxcnn.training.run_description import Run


@dataclass(frozen=True)
class AnswerOptions:
    """The options of ``jaxcnn predict`` for an answer.

    Attributes:
      top: Number of the likeliest classes, or ``None``.
      most: The number that is meant by ``None``.
      activation: As for :func:`jaxcnn.predict`.
      score: Boxes of a lower score are left out.
      probabilities: Whether the numbers of all classes are given.
      folder: Folder for masks or drawn pictures, or ``None``.
      written: Names of the inputs by the paths of their pictures in the folder.
    """

    top: int | None
    most: int
    activation: str
    score: float
    probabilities: bool
    folder: Path | None
    written: dict[Path, str] = field(default_factory=dict)


class Batch(NamedTuple):
    """Inputs and the predictions for them.

    Attributes:
      rows: The inputs.
      images: Their values, one row each.
      predicted: The predictions, one row each.
      activation: Name of the activation of the predictions, if they have one.
      features: Features of each, or ``None``.
    """

    rows: Sequence[Input]
    images: np.ndarray
    predicted: np.ndarray
    activation: str | None
    features: np.ndarray | None


class Answer(NamedTuple):
    """The answer for one input, in every form.

    Attributes:
      text: For people, without the name of the file.
      record: As a JSON object.
      cells: As lines of a table, by column.
    """

    text: str
    record: dict[str, Any]
    cells: list[dict[str, Any]]


def answers_of(described: Run, batch: Batch, options: AnswerOptions) -> list[Answer]:
    """Return the answers for a batch, and write its masks or drawn boxes.

    Raises:
      OSError: the folder cannot be written to.
    """
    answers = _ANSWERS[described.task](described, batch, options)
    if batch.features is not None:
        for found, features in zip(answers, batch.features, strict=True):
            numbers = _short(features)
            found.record["embedding"] = numbers
            for cells in found.cells:
                cells |= {f"embedding_{n}": number for n, number in enumerate(numbers)}
    return answers


def check_answers(described: Run, options: AnswerOptions) -> None:
    """Check that the options are for what the run predicts.

    Raises:
      ValueError: they are not.
    """
    if options.folder is not None and described.task not in ("segment", "detect"):
        raise ValueError(
            "--out is a file that ends in .csv, .jsonl or .txt, or the folder of masks or of "
            "pictures with boxes, and this run predicts neither. "
            f"Received: --out {str(options.folder)!r}"
        )
    if options.probabilities and described.task != "classify":
        raise ValueError(
            f"--probabilities are those of classes, and this run learned to {described.task}"
        )


def _of_classes(described: Run, batch: Batch, options: AnswerOptions) -> list[Answer]:
    names, predicted = described.class_names, batch.predicted.reshape(len(batch.rows), -1)
    if len(names) > predicted.shape[1]:
        return _of_yes_or_no(batch, predicted)
    words = output_names(names or tuple(map(str, range(predicted.shape[1]))), predicted.shape[1])
    sigmoid = "sigmoid" in (options.activation, described.activation)
    shows_all = sigmoid and options.activation != "softmax" and options.top is None
    most = options.top or options.most
    word = "probability" if batch.activation in ("softmax", "sigmoid") else "score"
    # The whole batch at once: a call of NumPy for each picture takes as long as its answer.
    order = np.argsort(-predicted, axis=1, kind="stable")
    order = order if shows_all or options.probabilities else order[:, :most]
    ordered = np.take_along_axis(predicted, order, axis=1).tolist()
    answers = []
    for given, row, places, numbers in zip(
        batch.rows, predicted, order.tolist(), ordered, strict=True
    ):
        ranked = [(words[n], number) for n, number in zip(places, numbers, strict=True)]
        chosen = [each for each in ranked if each[1] > 0.5] if shows_all else ranked[:most]
        if not names:
            text = _plain(row)
        elif shows_all and not options.probabilities:
            text = "  ".join(f"{name} {number:.1%}" for name, number in chosen) or "none"
        else:
            text = "  ".join(f"{name}  {number:.1%}" for name, number in ranked)
        classes = [{"class": name, word: _digits(number)} for name, number in chosen]
        record: dict[str, Any] = {"file": given.name, "classes": classes}
        cells: dict[str, Any] = {"file": given.name}
        if shows_all:
            cells["classes"] = ";".join(name for name, _ in chosen)
        else:
            for place, found in enumerate(classes):
                rank = f"_{place + 1}" if place else ""
                cells |= {f"{key}{rank}": value for key, value in found.items()}
        if options.probabilities:
            record["probabilities"] = dict(zip(words, _short(row), strict=True))
            cells |= {f"{word} {key}": value for key, value in record["probabilities"].items()}
        answers.append(_noted(given, text, record, cells))
    return answers


def _of_yes_or_no(batch: Batch, predicted: np.ndarray) -> list[Answer]:
    """Answer with the outputs of a network that has fewer than its data has classes."""
    answers = []
    for given, row in zip(batch.rows, predicted, strict=True):
        numbers = _short(row)
        cells = {"file": given.name} | {f"output_{n}": number for n, number in enumerate(numbers)}
        record = {"file": given.name, "outputs": numbers}
        answers.append(_noted(given, _plain(row), record, cells))
    return answers


def _noted(given: Input, text: str, record: dict[str, Any], cells: dict[str, Any]) -> Answer:
    """Return an answer with the line about how the input was read, if there is one."""
    if given.note is not None:
        text += f"  ({given.note})"
        record["note"] = given.note
    return Answer(text, record, [cells])


def _plain(row: np.ndarray) -> str:
    return "  ".join(f"{value:.4g}" for value in row)


def _of_numbers(described: Run, batch: Batch, options: AnswerOptions) -> list[Answer]:
    names, answers = described.class_names, []
    predicted = batch.predicted.reshape(len(batch.rows), -1)
    for given, row in zip(batch.rows, predicted, strict=True):
        words, numbers = [f"{value:.4g}" for value in row], _short(row)
        known = len(names) == len(words)
        if known:
            words = [f"{number} {word}" for number, word in zip(names, words, strict=True)]
        columns = names if known else tuple(f"number_{n}" for n in range(len(numbers)))
        named = dict(zip(columns, numbers, strict=True))
        record = {"file": given.name, "numbers": named if known else numbers}
        answers.append(Answer("  ".join(words), record, [{"file": given.name} | named]))
    return answers


def _of_shares(described: Run, batch: Batch, options: AnswerOptions) -> list[Answer]:
    """Answer with the share of each class, and write masks at the pictures' sizes."""
    names, answers = described.class_names, []
    for given, mask in zip(batch.rows, batch.predicted, strict=True):
        shares = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        ordered = np.argsort(-shares, kind="stable")[: options.top]
        found = [n for n in ordered if n < len(names) and shares[n]]
        text = "  ".join(f"{names[n]} {shares[n]:.1%}" for n in found)
        numbers = _short(shares[: len(names)])
        record = {"file": given.name, "shares": {names[n]: numbers[n] for n in found}}
        cells = {"file": given.name} | dict(zip(names, numbers, strict=True))
        if options.folder is not None and given.size is not None:
            whole = described.framing.resizing.original_labels(mask, given.size)
            path = picture_path(options.folder, given.name, options.written)
            _write_mask(options.folder, path, whole)
            text += f"  → {path}"
            record["mask"] = cells["mask"] = str(path)
        answers.append(Answer(text, record, [cells]))
    return answers


def _of_boxes(described: Run, batch: Batch, options: AnswerOptions) -> list[Answer]:
    """Answer with the boxes in the pixels of each picture, and draw them."""
    answers = []
    for given, found in zip(batch.rows, batch.predicted, strict=True):
        assert given.size is not None  # of a picture in which positions are asked for
        boxes = named_boxes(
            found,
            class_names=described.class_names,
            score=options.score,
            resizing=described.framing.resizing,
            picture_size=given.size,
            input_shape=described.input_shape,
        )
        cells = [
            {"file": given.name, "class": each["class"], "score": each["score"]}
            | dict(zip(("x1", "y1", "x2", "y2"), each["box"], strict=True))
            for each in boxes
        ]
        record = {"file": given.name, "boxes": boxes}
        answers.append(Answer(json.dumps(record, ensure_ascii=False), record, cells))
    if options.folder is not None:
        _draw_boxes(described, batch, options, options.folder)
    return answers


def _draw_boxes(described: Run, batch: Batch, options: AnswerOptions, folder: Path) -> None:
    from jaxcnn.insight import plots

    folder.mkdir(parents=True, exist_ok=True)
    for row, given in enumerate(batch.rows):
        drawing = plots.detections(
            batch.images[row : row + 1],
            batch.predicted[row : row + 1],
            class_names=described.class_names,
            score_threshold=options.score,
        )
        drawing.savefig(picture_path(folder, given.name, options.written), dpi=120)


def picture_path(folder: Path, name: str, written: dict[Path, str]) -> Path:
    """Return the path of a picture for an input, one that no other input has.

    The frame ``x.mp4[7]`` is ``x_7.png``, and the second ``x.png`` of several folders ``x_2.png``.

    Args:
      folder: The folder of the pictures.
      name: Name of the input.
      written: Names of the inputs by their paths; that of this one is added.
    """
    file, bracket, number = name.removesuffix("]").rpartition("[")
    is_frame = name.endswith("]") and bracket and number.isdecimal()
    stem = f"{Path(file).stem}_{number}" if is_frame else Path(name).stem
    path, count = folder / f"{stem}.png", 1
    while written.setdefault(path, name) != name:
        count += 1
        path = folder / f"{stem}_{count}.png"
    return path


def _write_mask(folder: Path, path: Path, classes: np.ndarray) -> None:
    """Write the classes at positions as a palette PNG, whose numbers are the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(classes.astype(np.uint8), "L")
    picture.putpalette(_palette())
    picture.save(path)


def _palette() -> list[int]:
    """Return the colors of Pascal VOC's masks: the bits of a class number, spread over RGB."""
    numbers = np.arange(256)
    colors = np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            bit = numbers >> (3 * place + channel) & 1
            colors[:, channel] |= bit << (7 - place)
    return [int(value) for value in colors.ravel()]


def _short(values: np.ndarray) -> list[float]:
    """Return numbers with six significant digits."""
    return [_digits(value) for value in values.tolist()]


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


_ANSWERS: Mapping[LabelTask, Callable[[Run, Batch, AnswerOptions], list[Answer]]] = {
    "classify": _of_classes,
    "regress": _of_numbers,
    "segment": _of_shares,
    "detect": _of_boxes,
}

"""The command ``jaxcnn predict``: files in, one answer each."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn.cli.option_types import (
    Activation,
    DeviceCount,
    ModelOfWeights,
    Weights,
    chosen_devices,
)


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN] FILE…",
            help="Folder of a run, unless --weights are given, and files: pictures of any size, "
            "or what the run was trained on, videos, sounds or series. A folder means the files "
            "in it at any depth, a quoted pattern such as 'photos/**/*.jpg' those that match, and "
            "- the files listed on the standard input, one a line. A network of pictures takes a "
            "video frame by frame.",
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of the likeliest classes.", show_default="1; 5 with --weights"
        ),
    ] = None,
    frame: Annotated[
        bool,
        typer.Option(
            "--frame/--no-frame",
            help="Invert, crop and center a picture that cannot be one of a set with an even "
            "background, such as digits; the line says so.",
        ),
    ] = True,
    activation: Activation = "auto",
    score: Annotated[
        float, typer.Option(min=0, max=1, help="Of a detector: the lowest score of a box.")
    ] = 0.3,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="text|csv|jsonl",
            help="Lines of text, a table, or a JSON object per line.",
            show_default="text, or by the name of the --out file",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Give the probability of every class.")
    ] = False,
    embeddings: Annotated[
        bool,
        typer.Option(
            "--embeddings", help="With csv or jsonl: add the features before the last dense layer."
        ),
    ] = False,
    frame_step: Annotated[
        int, typer.Option(min=1, help="Of a video: distance between the frames taken.")
    ] = 1,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Inputs per batch.", show_default="by their size, at most 64"),
    ] = None,
    devices: DeviceCount = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="A name that ends in .csv, .jsonl or .txt: write the answers into this file. "
            "Another name: a folder for the masks of a segmentation, or the pictures with the "
            "boxes of a detector.",
        ),
    ] = None,
    model: ModelOfWeights = None,
    weights: Weights = None,
) -> None:
    """Print the most probable classes of each picture, and their probabilities.

    Of a run whose labels are several classes per picture, print every class above one half, or the
    number that --top says; of a regression, the numbers; of a segmentation, the share of each class
    in the picture; of a detector, a line of JSON per picture with its boxes, in pixels of the file.

    Files are read while the network computes. One that cannot be read is named on the standard
    error and skipped; the exit code is then 1.
    """
    from jaxcnn.cli.answer_lines import FORMATS, AnswerLines, file_format, opened
    from jaxcnn.cli.prediction_loop import Network, ProgressBar, predict_files
    from jaxcnn.cli.predictions import AnswerOptions, answers_of, check_answers
    from jaxcnn.cli.trained_models import load_trained
    from jaxcnn.recipes.input_files import LIST, find_files, is_video, open_source
    from jaxcnn.recipes.input_stream import Failure, batch_rows
    from jaxcnn.recipes.run_inputs import input_reader
    from jaxcnn.training.placement import Placement
    from jaxcnn.training.prediction import likeliest

    run, files = (None, paths) if weights is not None else (paths[0], paths[1:])
    if not files:
        raise ValueError(
            "give the folder of a run and the files of pictures, or --model, --weights and pictures"
        )
    named = file_format(out)
    form = arguments.check_choice("--format", form or named or "text", FORMATS)
    if named not in (None, form):
        raise ValueError(f"--format must be that of the file. Received: {form}, --out {out}")
    if embeddings and form == "text":
        raise ValueError("--embeddings need --format csv or jsonl. Received: text")
    described, trained = load_trained(run, model, weights)
    if top is not None and not described.class_names:
        raise ValueError(f"--top is a number of classes, and {str(run)!r} has none. Leave it out")
    options = AnswerOptions(
        top,
        1 if weights is None else 5,
        activation,
        score,
        probabilities,
        out if named is None else None,
    )
    check_answers(described, options)
    read, axes = input_reader(described, guess=frame), len(described.input_shape)
    if described.clips > 1:
        from jaxcnn.training import over_clips

        trained = over_clips(trained, described.clips)
    chosen = likeliest if described.task == "segment" else activation
    if described.task == "detect":
        chosen = "auto"
    placement = Placement.over(chosen_devices(devices))
    network = Network(described, trained, chosen, placement, embeds=embeddings)
    found = partial(find_files, list(map(str, files)), axes=axes, listed=sys.stdin)
    bar, failures, count = ProgressBar(printed=named is None), [], 0

    def report(failure: Failure) -> None:
        failures.append(failure.name)
        bar.print(f"Skipped: {failure.reason}")

    def total() -> int | None:
        listed = list(found())
        return None if axes == 3 and any(map(is_video, listed)) else len(listed)

    rows = batch_size or batch_rows(_bytes(described.input_shape))
    open_path = partial(open_source, axes=axes, frame_step=frame_step)
    with (
        bar.running(None if Path(LIST) in files else total),
        _unbroken(),
        opened(out if named else None) as file,
    ):
        lines = AnswerLines(file, form)
        for batch in predict_files(network, found(), open_path, read, rows=rows, report=report):
            lines.write(answers_of(described, batch, options))
            bar.advance(len(batch.rows))
            count += len(batch.rows)
    if failures:
        if count + len(failures) > 1:
            print(
                f"{len(failures):,} files could not be read, {count:,} inputs were", file=sys.stderr
            )
        raise typer.Exit(1)
    if not count:
        raise ValueError(f"there are no files for this network in {', '.join(map(str, files))}")


def _bytes(shape: tuple[int, ...]) -> int:
    """Return the bytes of an input as floating point, which a network computes with."""
    return 4 * math.prod(size for size in shape if size)


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """End quietly where the reader of the standard output has ended, such as ``head``."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in it
        raise typer.Exit(1) from None

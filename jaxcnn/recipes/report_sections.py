"""The sections of a run's report, by what the network learned."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from jaxcnn.data.labels import LabelKind
from jaxcnn.insight import (
    activations,
    brightness,
    diagram,
    embed,
    grad_cam,
    plots,
    project,
    subject_size,
    summarize,
)
from jaxcnn.insight.html_page import Code, Part
from jaxcnn.insight.layers_shown import first_kernel, layers_to_show
from jaxcnn.insight.tables import Column, Line, Table
from jaxcnn.recipes.held_out_results import PICTURES
from jaxcnn.recipes.reported_run import ReportedRun
from jaxcnn.recipes.run_pictures import draw_mistakes, draw_neighbors
from jaxcnn.runtime import device_name
from jaxcnn.training import run_folder

# Rows of a summary above which its blocks are folded, and images of which features are shown.
_MOST_ROWS, _MOST_EMBEDDED = 70, 1_000


def _configuration(run: ReportedRun) -> list[Part]:
    if run.recipe is None:
        return ["This run was made with fit, and has no recipe."]
    return [Code((run.folder / run_folder.RECIPE).read_text(encoding="utf-8").strip())]


def _summary(run: ReportedRun) -> list[Part]:
    table = summarize(run.model, run.described.input_shape)
    if len(table.rows) > _MOST_ROWS:
        table = dataclasses.replace(table, depth=2)
    return [table.to_table()]


def _diagram(run: ReportedRun) -> list[Part]:
    return [diagram(run.model, run.described.input_shape)]


def _curves(run: ReportedRun) -> list[Part]:
    return [plots.learning_curves(run.history)]


def _confusion(run: ReportedRun) -> list[Part]:
    errors = run.results.errors
    pictures: list[Part] = [plots.confusion(errors.matrix, run.names)]
    if errors.pairs:
        pictures.append(plots.most_confused(errors))
    return pictures


def _classes(run: ReportedRun) -> list[Part]:
    columns = [Column("Class", is_number=False)]
    columns += [Column(name) for name in ("Images", "Recall", "Precision", "F1")]
    columns.append(Column("Most often taken for", is_number=False))
    lines = [
        Line(
            (
                scores.name,
                f"{scores.images:,}",
                *("–" if v is None else f"{v:.1%}" for v in (scores.recall, scores.precision)),
                "–" if scores.f1 is None else f"{scores.f1:.3f}",
                scores.taken_for or "",
            )
        )
        for scores in run.results.errors.classes
    ]
    return [plots.class_scores(run.results.errors), Table(tuple(columns), tuple(lines))]


def _mistakes(run: ReportedRun) -> list[Part]:
    if not run.results.errors.mistakes:
        return ["There are none."]
    return [
        "The heat shows what spoke for the class that was predicted (Grad-CAM).",
        draw_mistakes(run.model, run.images, run.results.errors),
    ]


def _reliability(run: ReportedRun) -> list[Part]:
    return [plots.reliability_diagram(run.results.errors.reliability())]


def _slices(run: ReportedRun) -> list[Part]:
    images, errors = run.images, run.results.errors
    if images.ndim != 4:
        return []
    measured = {"brightness": brightness(images), "size of the subject": subject_size(images)}
    return [
        plots.accuracy_of_slices(errors.slices(values, name=name))
        for name, values in measured.items()
    ]


def _kernels(run: ReportedRun) -> list[Part]:
    path, kernel = first_kernel(run.model, run.described.input_shape)
    return [plots.kernels(kernel, title=f"Kernels of {path}")]


def _features(run: ReportedRun) -> list[Part]:
    chosen = run.images[run.chosen[:1]]
    found = activations(run.model, chosen, layers_to_show(run.model, run.described.input_shape))
    maps = {path: np.asarray(maps[0]) for path, maps in found.items()}
    name = run.test.name_of(int(run.chosen[0]))
    return [plots.feature_maps(maps, title=f"Feature maps of {Path(name).name}")]


def _explained(run: ReportedRun) -> list[Part]:
    images = run.images[run.chosen]
    predicted = run.results.predictions[run.chosen].argmax(axis=-1)
    titles = [run.names[label] for label in predicted]
    maps = {"Grad-CAM of the predicted class": grad_cam(run.model, images, predicted)}
    return [plots.attribution_maps(images, maps, titles=titles)]


def _neighbors(run: ReportedRun) -> list[Part]:
    queries, probabilities = run.images[run.chosen], run.results.predictions[run.chosen]
    return [draw_neighbors(run.model, queries, probabilities, run.training.data)]


def _embedding(run: ReportedRun) -> list[Part]:
    images = run.images[:_MOST_EMBEDDED]
    labels = run.results.errors.labels[:_MOST_EMBEDDED]
    points = project(embed(run.model, images))
    return [plots.thumbnails(plots.as_strips(images), points, labels, run.names)]


def _augmentations(run: ReportedRun) -> list[Part]:
    if run.recipe is None:
        return []
    policy = run.recipe.data.augment
    if not policy or policy == "none":
        return ["The images were not augmented."]
    samples = run.training.data.images[: run.count]
    return [f"Policy: {policy}.", plots.augmentations(samples, policy)]


def _times(run: ReportedRun) -> list[Part]:
    seconds = [row.seconds for row in run.history]
    speed = float(np.median([row.images_per_second for row in run.history]))
    rows = {
        "All epochs": f"{sum(seconds):.1f} s",
        "Median epoch": f"{float(np.median(seconds)):.2f} s",
        "First epoch, with compilation": f"{seconds[0]:.2f} s",
        "Waiting for images": f"{sum(row.input_seconds or 0 for row in run.history):.1f} s",
        "Median speed": f"{speed:,.0f} images/s",
        "This report was made on": device_name(),
    }
    columns = (Column("Training", is_number=False), Column(""))
    return [Table(columns, tuple(Line(row) for row in rows.items()))]


def _repeating(run: ReportedRun) -> list[Part]:
    versions = ", ".join(
        f"{name} {version}" for name, version in run_folder.read_versions(run.folder).items()
    )
    if run.recipe is None:
        return [f"Versions: {versions}."]
    return [
        "On the same machine with the same versions, the recipe gives the same weights.",
        Code(f"jaxcnn train {run_folder.RECIPE} --out again\njaxcnn evaluate again"),
        f"Versions: {versions}.",
    ]


def _labels(run: ReportedRun) -> list[Part]:
    """Return a table of the classes of which an image may have several."""
    columns = [Column("Class", is_number=False)]
    columns += [Column(name) for name in ("Images", "Recall", "Precision", "F1")]
    lines = []
    counts = zip(run.names, *run.results.label_counts, strict=True)
    for name, labeled, positives, hits in counts:
        shares = [(hits, labeled), (hits, positives), (2 * hits, positives + labeled)]
        texts = ["–" if not below else f"{above / below:.1%}" for above, below in shares]
        lines.append(Line((name, f"{labeled:,}", *texts)))
    return [Table(tuple(columns), tuple(lines))]


def _picture(name: str) -> Callable[[ReportedRun], Sequence[Part]]:
    """Return the section of one of the pictures that every finished run has."""

    def make(run: ReportedRun) -> list[Part]:
        return [PICTURES[run.test.data.kind][name](run.results)]

    return make


Sections: TypeAlias = dict[str, Callable[[ReportedRun], Sequence[Part]]]

_BEGINNING: Sections = {
    "Configuration": _configuration,
    "Network": _summary,
    "Diagram": _diagram,
    "Learning curves": _curves,
}
# What the network predicts, by the kind of the labels.
_RESULTS: dict[LabelKind, Sections] = {
    "class": {
        "Confusion": _confusion,
        "Classes": _classes,
        "Most confident mistakes": _mistakes,
        "Reliability": _reliability,
        "Slices": _slices,
        "Explained images": _explained,
        "Nearest training images": _neighbors,
        "Embedding": _embedding,
    },
    "several": {"Labels": _labels},
    "positions": {
        "Classes": _picture("class_iou"),
        "Worst pictures": _picture("worst_segmentations"),
        "Pictures": _picture("segmentations"),
    },
    "boxes": {
        "Precision over recall": _picture("precision_recall"),
        "Mistakes by kind": _picture("detection_errors"),
        "Worst mistakes": _picture("worst_detections"),
        "Detections": _picture("detections"),
    },
    "numbers": {"Predicted numbers": _picture("predicted_values")},
}
_END: Sections = {
    "Kernels": _kernels,
    "Feature maps": _features,
    "Augmentation": _augmentations,
    "Times": _times,
    "How to repeat it": _repeating,
}


def sections_of(run: ReportedRun) -> Sections:
    """Return the functions that make the sections of a report, by title and in order."""
    return _BEGINNING | _RESULTS[run.described.kind] | _END

"""The report of a finished run: one page with its configuration, results, errors and pictures."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from flax import nnx

from jaxcnn import arguments, training
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight import (
    Errors,
    activations,
    brightness,
    classification_errors,
    diagram,
    embed,
    grad_cam,
    plots,
    project,
    subject_size,
    summarize,
)
from jaxcnn.insight.html_page import Code, Note, Part, Section, to_html
from jaxcnn.insight.layers_shown import first_kernel, layers_to_show
from jaxcnn.insight.progress import track
from jaxcnn.insight.tables import Column, Line, Table
from jaxcnn.recipes.reading import read
from jaxcnn.recipes.run_images import NamedImages, load_images
from jaxcnn.recipes.run_pictures import draw_mistakes, draw_neighbors
from jaxcnn.runtime import device_name
from jaxcnn.training import run_folder
from jaxcnn.training.history_file import read_history
from jaxcnn.training.model_file import write_whole

REPORT = "report.html"
# Rows of a summary above which its blocks are folded, and images of which features are shown.
_MOST_ROWS, _MOST_EMBEDDED = 70, 1_000


def report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    images: int = 4,
    into: nnx.Module | None = None,
    progress: bool = True,
) -> Path:
    """Write the report of a finished run: one HTML file that needs no other file and no network.

    It has the configuration, the results, the summary and the diagram of the network, the learning
    curves, the confusion matrix and scores of the classes, the most confident mistakes with their
    Grad-CAM, the reliability of probabilities, kernels, the feature maps and Grad-CAM of some
    held-out images, their nearest training images, the embedding of the last layer, samples of the
    augmentation, the times, and how to repeat the run. A part that cannot be made, such as where
    the data is not at hand, says why, and the others follow.

    Args:
      folder: Folder of the run, made by ``jaxcnn train``, :func:`train` or ``fit(run=…)``.
      out: The file; ``None`` means ``report.html`` in the folder. One that exists is replaced.
      images: Number of held-out images that are explained, at least 1.
      into: A module of the structure that was trained, for a run that describes no network.
      progress: Whether to show a progress bar in a terminal.

    Returns:
      The path of the file.

    Raises:
      OSError: the file cannot be written.
      TypeError: ``images`` is not an integer.
      ValueError: there is no finished run, or it is damaged.
    """
    images = arguments.check_integer("images", images, minimum=1)
    run = _Run(Path(folder), training.load(folder, into=into), images)
    made = {
        title: _parts(title, make, run)
        for title, make in track(list(_SECTIONS.items()), "Writing the report", shown=progress)
    }
    sections = [Section(title, parts) for title, parts in made.items() if parts]
    path = run.folder / REPORT if out is None else Path(out)
    page = to_html(f"Run {run.folder.resolve().name}", _lead(run), sections)
    write_whole(path, page.encode())
    return path


class _Run:
    """A run, with what its sections share; each part is computed when it is first used."""

    def __init__(self, folder: Path, model: nnx.Module, images: int) -> None:
        self.folder, self.model, self.count = folder, model, images
        self.described = run_folder.read_run(folder)
        recipe = folder / run_folder.RECIPE
        self.recipe = read(recipe) if recipe.is_file() else None
        self.history = read_history(folder)

    @functools.cached_property
    def test(self) -> NamedImages:
        """The held-out images."""
        return load_images(self.described, self.folder)

    @functools.cached_property
    def training(self) -> NamedImages:
        """The training images."""
        return load_images(self.described, self.folder, split="training")

    @functools.cached_property
    def errors(self) -> Errors:
        """The predictions for the held-out images."""
        data = self.test.data
        check_class_per_image(data.labels, "this part")
        return classification_errors(data.labels, self.probabilities, data.class_names)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """The predictions for the held-out images as they are."""
        return training.predict(self.model, self.test.data.images)

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """The first held-out image of each of the first classes."""
        labels = self.test.data.labels
        first = (
            np.unique(labels, return_index=True)[1] if labels.ndim == 1 else np.arange(len(labels))
        )
        rows = np.sort(first)[: self.count]
        others = np.setdiff1d(np.arange(len(labels)), rows)[: self.count - len(rows)]
        chosen: np.ndarray = np.concatenate([rows, others])
        return chosen

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.test.data.class_names


def _parts(title: str, make: Callable[[_Run], Sequence[Part]], run: _Run) -> Sequence[Part]:
    """Return the parts of a section, or the reason why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # such as fonts without some characters
            return make(run)
    except Exception as error:  # whatever one part meets, the others are made
        return [Note(f"{title} could not be made: {str(error) or type(error).__name__}")]


def _lead(run: _Run) -> list[Part]:
    described, found = run.described, []
    accuracy = described.metrics.get("accuracy")
    examples = described.metrics.get("examples")
    if isinstance(accuracy, float) and isinstance(examples, int):
        found.append(f"{accuracy:.2%} of {examples:,} held-out images are classified correctly.")
    source = (described.data or {}).get("source")
    model = described.model or type(run.model).__name__
    data = f" trained on {source}" if source else ""
    found.append(f"Network {model}{data}, {len(run.history)} epochs.")
    return [" ".join(found)]


def _configuration(run: _Run) -> list[Part]:
    if run.recipe is None:
        return ["This run was made with fit, and has no recipe."]
    return [Code((run.folder / run_folder.RECIPE).read_text(encoding="utf-8").strip())]


def _summary(run: _Run) -> list[Part]:
    table = summarize(run.model, run.described.input_shape)
    if len(table.rows) > _MOST_ROWS:
        table = dataclasses.replace(table, depth=2)
    return [table.to_table()]


def _diagram(run: _Run) -> list[Part]:
    return [diagram(run.model, run.described.input_shape)]


def _curves(run: _Run) -> list[Part]:
    return [plots.learning_curves(run.history)]


def _confusion(run: _Run) -> list[Part]:
    errors = run.errors
    pictures: list[Part] = [plots.confusion(errors.matrix, run.names)]
    if errors.pairs:
        pictures.append(plots.most_confused(errors))
    return pictures


def _classes(run: _Run) -> list[Part]:
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
        for scores in run.errors.classes
    ]
    return [plots.class_scores(run.errors), Table(tuple(columns), tuple(lines))]


def _mistakes(run: _Run) -> list[Part]:
    if not run.errors.mistakes:
        return ["There are none."]
    return [
        "The heat shows what spoke for the class that was predicted (Grad-CAM).",
        draw_mistakes(run.model, run.test.data.images, run.errors),
    ]


def _reliability(run: _Run) -> list[Part]:
    return [plots.reliability_diagram(run.errors.reliability())]


def _slices(run: _Run) -> list[Part]:
    images, errors = run.test.data.images, run.errors
    measured = {"brightness": brightness(images), "size of the subject": subject_size(images)}
    return [
        plots.accuracy_of_slices(errors.slices(values, name=name))
        for name, values in measured.items()
    ]


def _kernels(run: _Run) -> list[Part]:
    path, kernel = first_kernel(run.model, run.described.input_shape)
    return [plots.kernels(kernel, title=f"Kernels of {path}")]


def _features(run: _Run) -> list[Part]:
    chosen = run.test.data.images[run.chosen[:1]]
    found = activations(run.model, chosen, layers_to_show(run.model, run.described.input_shape))
    maps = {path: np.asarray(maps[0]) for path, maps in found.items()}
    name = run.test.name_of(int(run.chosen[0]))
    return [plots.feature_maps(maps, title=f"Feature maps of {Path(name).name}")]


def _explained(run: _Run) -> list[Part]:
    images = run.test.data.images[run.chosen]
    predicted = run.probabilities[run.chosen].argmax(axis=-1)
    titles = [run.names[label] for label in predicted]
    maps = {"Grad-CAM of the predicted class": grad_cam(run.model, images, predicted)}
    return [plots.attribution_maps(images, maps, titles=titles)]


def _neighbors(run: _Run) -> list[Part]:
    queries, probabilities = run.test.data.images[run.chosen], run.probabilities[run.chosen]
    return [draw_neighbors(run.model, queries, probabilities, run.training.data)]


def _embedding(run: _Run) -> list[Part]:
    images = run.test.data.images[:_MOST_EMBEDDED]
    labels = run.errors.labels[:_MOST_EMBEDDED]
    return [plots.thumbnails(images, project(embed(run.model, images)), labels, run.names)]


def _augmentations(run: _Run) -> list[Part]:
    if run.recipe is None:
        return []
    policy = run.recipe.data.augment
    if not policy or policy == "none":
        return ["The images were not augmented."]
    samples = run.training.data.images[: run.count]
    return [f"Policy: {policy}.", plots.augmentations(samples, policy)]


def _times(run: _Run) -> list[Part]:
    seconds = [row.seconds for row in run.history]
    speed = float(np.median([row.images_per_second for row in run.history]))
    rows = {
        "All epochs": f"{sum(seconds):.1f} s",
        "Median epoch": f"{float(np.median(seconds)):.2f} s",
        "First epoch, with compilation": f"{seconds[0]:.2f} s",
        "Median speed": f"{speed:,.0f} images/s",
        "This report was made on": device_name(),
    }
    columns = (Column("Training", is_number=False), Column(""))
    return [Table(columns, tuple(Line(row) for row in rows.items()))]


def _repeating(run: _Run) -> list[Part]:
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


_SECTIONS: dict[str, Callable[[_Run], Sequence[Part]]] = {
    "Configuration": _configuration,
    "Network": _summary,
    "Diagram": _diagram,
    "Learning curves": _curves,
    "Confusion": _confusion,
    "Classes": _classes,
    "Most confident mistakes": _mistakes,
    "Reliability": _reliability,
    "Slices": _slices,
    "Kernels": _kernels,
    "Feature maps": _features,
    "Explained images": _explained,
    "Nearest training images": _neighbors,
    "Embedding": _embedding,
    "Augmentation": _augmentations,
    "Times": _times,
    "How to repeat it": _repeating,
}

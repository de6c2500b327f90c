"""The report of a finished run: one page with its configuration, results, errors and pictures."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from flax import nnx

from jaxcnn import arguments, training
from jaxcnn.insight.html_page import Note, Part, Section, to_html
from jaxcnn.insight.progress import track
from jaxcnn.interchange.model_file import write_whole
from jaxcnn.recipes.report_sections import sections_of
from jaxcnn.recipes.reported_run import ReportedRun

REPORT = "report.html"


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
    curves, kernels, the feature maps of a held-out image, samples of the augmentation, the times,
    and how to repeat the run. Of a classifier it has the confusion matrix and scores of the
    classes, the most confident mistakes with their Grad-CAM, the reliability of probabilities,
    Grad-CAM of some held-out images, their nearest training images and the embedding of the last
    layer; of a segmentation the IoU of the classes and the worst pictures; of a detector the
    precision over the recall and the mistakes by kind; of a regression the predicted numbers and
    their errors. A part that cannot be made, such as where the data is not at hand, says why, and
    the others follow.

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
    run = ReportedRun(Path(folder), training.load(folder, into=into), images)
    sections_made = track(list(sections_of(run).items()), "Writing the report", shown=progress)
    made = {title: _parts(title, make, run) for title, make in sections_made}
    sections = [Section(title, parts) for title, parts in made.items() if parts]
    path = run.folder / REPORT if out is None else Path(out)
    page = to_html(f"Run {run.folder.resolve().name}", _lead(run), sections)
    write_whole(path, page.encode())
    return path


def _parts(
    title: str, make: Callable[[ReportedRun], Sequence[Part]], run: ReportedRun
) -> Sequence[Part]:
    """Return the parts of a section, or the reason why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # such as fonts without some characters
            return make(run)
    except Exception as error:  # whatever one part meets, the others are made
        return [Note(f"{title} could not be made: {str(error) or type(error).__name__}")]


def _lead(run: ReportedRun) -> list[Part]:
    described, found = run.described, []
    accuracy = described.metrics.get("accuracy")
    examples = described.metrics.get("examples")
    measured = described.metrics.get("metrics")
    if described.task == "classify":
        if isinstance(accuracy, float) and isinstance(examples, int):
            right = f"{accuracy:.2%} of {examples:,} held-out images"
            found.append(f"{right} are classified correctly.")
    elif isinstance(measured, dict) and isinstance(examples, int):
        numbers = {name: value for name, value in measured.items() if isinstance(value, float)}
        results = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        found.append(f"{results} on {examples:,} held-out images.")
    source = (described.data or {}).get("source")
    model = described.model or type(run.model).__name__
    data = f" trained on {source}" if source else ""
    found.append(f"Network {model}{data}, {len(run.history)} epochs.")
    return [" ".join(found)]

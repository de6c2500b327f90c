"""Commands that show what a network sees: ``jaxcnn show | report``."""

from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn.cli.option_types import DataDir, NetworkOfRun, RunFolder

_ERRORS = ("data", "split")  # of pictures of the errors on held-out images
_EXPLAINED = ("image", "class", "count", *_ERRORS)
# The options that each picture reads, beside --out, --weights, --model and --data-dir. The names
# are repeated in `shown_pictures`, which is imported only to draw; a test compares the two.
OPTIONS: dict[str, tuple[str, ...]] = {
    "diagram": (),
    "kernels": ("layer", "count"),
    "features": ("image", "layer", "count", *_ERRORS),
    "gradcam": ("layer", *_EXPLAINED),
    "gradcam++": ("layer", *_EXPLAINED),
    "gradients": ("layer", *_EXPLAINED),
    "smooth-gradients": ("layer", "seed", *_EXPLAINED),
    "integrated-gradients": ("layer", *_EXPLAINED),
    "occlusion": _EXPLAINED,
    "attributions": ("seed", *_EXPLAINED),
    "dream": ("layer", "class", "count", "seed"),
    "receptive-field": ("image", "layer", "count", "seed", *_ERRORS),
    "embedding": ("layer", "count", "method", "seed", *_ERRORS),
    "neighbors": ("image", "layer", "count", "data"),
    "curves": (),
    "confusion": _ERRORS,
    "most-confused": _ERRORS,
    "mistakes": ("count", *_ERRORS),
    "classes": _ERRORS,
    "reliability": _ERRORS,
    "slices-brightness": _ERRORS,
    "slices-size": _ERRORS,
    "class-iou": _ERRORS,
    "worst-segmentations": _ERRORS,
    "segmentations": _ERRORS,
    "precision-recall": _ERRORS,
    "detection-errors": _ERRORS,
    "detections": _ERRORS,
    "worst-detections": _ERRORS,
    "predicted-values": _ERRORS,
    "changes": ("other", *_ERRORS),
    "movements": ("other",),
    "changed-kernels": ("other", "layer", "count"),
}
KINDS = tuple(OPTIONS)


def show(
    subject: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL", help="Folder of a run, or a name in `jaxcnn models`."),
    ],
    picture: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    image: Annotated[
        list[Path] | None,
        typer.Option(
            help="A picture file; give the option again for several.",
            show_default="the first held-out images",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The layer, as the summary names it; several with commas for features and dream.",
            show_default="a sensible one",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class that is explained, or its number; several with commas for dream.",
            show_default="the predicted one",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="Number of images, kernels, channels or mistakes."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Projection of an embedding: pca, tsne or umap.", show_default="pca"),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="The run that changes, movements and changed-kernels start from.",
            show_default="the earliest checkpoint of the run",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File of the picture: .png, .svg or .pdf; a diagram is an .svg.",
            show_default="NAME-PICTURE.png",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Trained weights of the model, as for `jaxcnn predict`.",
            show_default="random ones",
        ),
    ] = None,
    model: NetworkOfRun = None,
    data: Annotated[
        str | None, typer.Option(help="Another data set.", show_default="the run's own")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, test, all, …", show_default="the images held out for testing"),
    ] = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all randomness.")] = 0,
) -> None:
    """Draw what a network sees, or where it is wrong, into a file."""
    arguments.check_choice("PICTURE", picture, KINDS)
    given = {
        "image": image, "layer": layer, "class": target, "count": count, "method": method,
        "other": other, "data": data, "split": split, "seed": seed or None,
    }  # fmt: skip
    unused = [name for name, value in given.items() if value and name not in OPTIONS[picture]]
    if unused:
        read = ", ".join(f"--{name}" for name in OPTIONS[picture]) or "none of them"
        raise ValueError(f"--{unused[0]} does nothing for {picture}, which reads {read}")
    is_diagram = picture == "diagram"
    suffix = ".svg" if is_diagram else ".png"
    file = Path(f"{Path(subject).name}-{picture}{suffix}") if out is None else out
    allowed = (".svg",) if is_diagram else (".png", ".svg", ".pdf")
    if file.suffix.lower() not in allowed:
        raise ValueError(f"--out must end in {' or '.join(allowed)}. Received: {str(file)!r}")
    if not file.parent.is_dir():
        raise ValueError(f"--out must be in a folder that exists. Received: {str(file)!r}")

    if weights is None and Path(subject).name != subject and not Path(subject).exists():
        raise ValueError(f"there is no run in {subject!r}")

    from jaxcnn import insight, models
    from jaxcnn.cli.show_request import Request, Subject
    from jaxcnn.cli.shown_pictures import PICTURES

    if is_diagram and not Path(subject).exists():  # no array is needed
        insight.diagram(models.create(subject), models.input_shape(subject)).save(file)
    else:
        request = Request(
            Subject.of(subject, model, weights),
            tuple(image or ()),
            layer,
            target,
            count,
            method or "pca",
            other,
            data,
            split,
            data_dir,
            seed,
        )
        drawn = PICTURES[picture](request)
        if isinstance(drawn, insight.Diagram):
            drawn.save(file)
        else:
            drawn.savefig(file)
    print(f"The picture is in {file}")


def report(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="The file.", show_default="report.html in the run")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images that are explained.")] = 4,
    model: NetworkOfRun = None,
) -> None:
    """Write the report of a run: one HTML file with its results, errors and pictures."""
    from jaxcnn import recipes
    from jaxcnn.cli.trained_models import load_trained

    into = None if model is None else load_trained(run, model, None)[1]
    print(f"The report is in {recipes.report(run, out, images=images, into=into)}")

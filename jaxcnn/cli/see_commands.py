"""Commands that show what a network sees: ``jaxcnn show | report``."""

from pathlib import Path
from typing import Annotated

import typer

from jaxcnn import arguments
from jaxcnn.cli.option_types import DataDir, RunFolder

# Repeated in `shown_pictures`, which is imported only to draw; a test compares the two.
KINDS = (
    "diagram",
    "kernels",
    "features",
    "gradcam",
    "gradcam++",
    "gradients",
    "smooth-gradients",
    "integrated-gradients",
    "occlusion",
    "attributions",
    "dream",
    "receptive-field",
    "embedding",
    "neighbors",
    "curves",
    "confusion",
    "most-confused",
    "mistakes",
    "classes",
    "reliability",
    "slices-brightness",
    "slices-size",
    "changes",
    "movements",
    "changed-kernels",
)


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
        str, typer.Option(help="Projection of an embedding: pca, tsne or umap.")
    ] = "pca",
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
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="package.module:network, the network of a run that does not describe it.",
        ),
    ] = None,
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
            method,
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
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="package.module:network, the network of a run that does not describe it.",
        ),
    ] = None,
) -> None:
    """Write the report of a run: one HTML file with its results, errors and pictures."""
    from jaxcnn import recipes
    from jaxcnn.cli.trained_models import load_trained

    into = None if model is None else load_trained(run, model, None)[1]
    print(f"The report is in {recipes.report(run, out, images=images, into=into)}")

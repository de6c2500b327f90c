"""The pictures that ``jaxcnn show`` draws, by their names."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxcnn import arguments, insight
from jaxcnn.cli.show_request import Request
from jaxcnn.data.labels import LabelKind
from jaxcnn.insight import Diagram, plots
from jaxcnn.insight.layers_shown import first_kernel, layers_to_show
from jaxcnn.insight.observed_model import ObservedModel
from jaxcnn.insight.plots import Drawing
from jaxcnn.insight.progress import track
from jaxcnn.recipes.held_out_results import PICTURES as RESULTS
from jaxcnn.recipes.held_out_results import HeldOutResults
from jaxcnn.recipes.run_images import first_clips, over_clips_of
from jaxcnn.recipes.run_pictures import draw_mistakes, draw_neighbors
from jaxcnn.training.history_file import read_history


def _kernels(request: Request) -> Drawing:
    path, kernel = first_kernel(request.model, request.input_shape, request.layer)
    return plots.kernels(kernel, most=request.count or 64, title=f"Kernels of {path}")


def _features(request: Request) -> Drawing:
    image = request.images[:1]
    layers = layers_to_show(request.model, request.input_shape)
    if request.layer is not None:
        layers = request.layer.split(",")
    found = insight.activations(request.model, image, layers)
    return plots.feature_maps(
        {path: np.asarray(maps[0]) for path, maps in found.items()}, most=request.count or 24
    )


def _attribution(name: str, explain: Callable[[Request, Any], Any], request: Request) -> Drawing:
    classes = request.classes()
    maps = {name: explain(request, classes)}
    return plots.attribution_maps(request.images, maps, titles=request.titles(classes))


def _by_layer(function: Callable[..., Any]) -> Callable[[Request, Any], Any]:
    return lambda request, classes: function(
        request.model, request.images, classes, layer=request.layer
    )


def _occlusion(request: Request, classes: Any) -> Any:
    window = tuple(max(size // 8, 1) for size in request.images.shape[1:-1])
    strides = tuple(max(size // 2, 1) for size in window)
    return insight.occlusion(request.model, request.images, classes, window=window, strides=strides)


_ATTRIBUTIONS: dict[str, tuple[str, Callable[[Request, Any], Any]]] = {
    "gradcam": ("Grad-CAM", _by_layer(insight.grad_cam)),
    "gradcam++": ("Grad-CAM++", _by_layer(insight.grad_cam_plus_plus)),
    "gradients": ("Gradients", _by_layer(insight.gradients)),
    "smooth-gradients": (
        "SmoothGrad",
        lambda request, classes: insight.smooth_grad(
            request.key, request.model, request.images, classes, layer=request.layer
        ),
    ),
    "integrated-gradients": ("Integrated gradients", _by_layer(insight.integrated_gradients)),
    "occlusion": ("Occlusion", _occlusion),
}


def _all_attributions(request: Request) -> Drawing:
    classes = request.classes()
    methods = track(list(_ATTRIBUTIONS.values()), "Explaining")
    maps = {name: explain(request, classes) for name, explain in methods}
    return plots.attribution_maps(request.images, maps, titles=request.titles(classes))


def _dream(request: Request) -> Drawing:
    if request.layer is None:
        wanted = layers_to_show(request.model, request.input_shape)
        layers = [wanted[place] for place in np.linspace(0, len(wanted) - 1, 3).round().astype(int)]
    else:
        layers = request.layer.split(",")
    observed, one = ObservedModel.of(request.model), np.empty((1, *request.input_shape), np.float32)
    found, titles = {}, {}
    for layer in dict.fromkeys(layers):
        most = observed.shapes(one)[observed.check_path("--layer", layer, one)].shape[-1]
        channels: Sequence[int] = range(min(request.count or 6, most))
        if request.target is not None:
            channels = [request.number_of(target) for target in request.target.split(",")]
            titles[layer] = [request.subject.described.class_names[n] for n in channels]
        found[layer] = insight.visualize_features(
            request.key, request.model, layer, channels, image_shape=request.input_shape
        )
    return plots.visualized_features(found, titles=titles)


def _receptive_field(request: Request) -> Drawing:
    layer = request.layer or layers_to_show(request.model, request.input_shape)[-1]
    field = insight.measure_receptive_field(request.key, request.model, layer, request.images)
    return plots.receptive_field_map(field, request.images[0])


def _embedding(request: Request) -> Drawing:
    data = request.load(None).data
    images = first_clips(request.subject.described, data.images[: request.count or 1_000])
    points = insight.project(
        insight.embed(request.model, images, layer=request.layer),
        method=request.method,
        seed=request.seed,
    )
    return plots.thumbnails(images, points, data.labels[: len(images)], data.class_names)


def _neighbors(request: Request) -> Drawing:
    described, known = request.subject.described, request.load("training").data
    images = first_clips(described, known.images)
    return draw_neighbors(
        request.model,
        request.images,
        request.probabilities,
        dataclasses.replace(known, images=images),
        layer=request.layer,
    )


def _mistakes(request: Request) -> Drawing:
    images, errors = request.errors()
    return draw_mistakes(request.model, images, errors, most=request.count or 16)


def _confusion(request: Request) -> Drawing:
    _, errors = request.errors()
    return plots.confusion(errors.matrix, errors.class_names)


def _curves(request: Request) -> Drawing:
    if request.subject.folder is None:
        raise ValueError("curves are those of a run: give its folder")
    return plots.learning_curves(read_history(request.subject.folder))


def _result(name: str, request: Request) -> Drawing:
    """Draw one of the pictures that a run of a task has."""
    data = request.load(None).data
    if name not in RESULTS[data.kind]:
        known = [other.replace("_", "-") for other in RESULTS[data.kind]]
        raise ValueError(
            f"this picture is not of a network that learns to {data.task}; it has "
            f"{arguments.shown(known)}"
        )
    return RESULTS[data.kind][name](
        HeldOutResults(over_clips_of(request.subject.described.clips, request.model), data)
    )


def _slices(name: str, measure: Callable[[Any], np.ndarray], request: Request) -> Drawing:
    images, errors = request.errors()
    return plots.accuracy_of_slices(errors.slices(measure(images), name=name))


def _changes(request: Request) -> Drawing:
    images, after = request.errors()
    _, before = request.errors(request.before)
    changes = insight.compare_errors(before, after)
    return plots.changed_images(images, changes, after.class_names)


def _movements(request: Request) -> Drawing:
    return plots.movements(insight.compare_arrays(request.before, request.model))


def _changed_kernels(request: Request) -> Drawing:
    before, after = (
        first_kernel(model, request.input_shape, request.layer)[1]
        for model in (request.before, request.model)
    )
    return plots.kernels_before_and_after(before, after, most=request.count or 16)


_KINDS: tuple[LabelKind, ...] = ("positions", "boxes", "numbers")
PICTURES: dict[str, Callable[[Request], Drawing | Diagram]] = {
    "diagram": lambda request: insight.diagram(request.model, request.input_shape),
    "kernels": _kernels,
    "features": _features,
    **{
        name: functools.partial(_attribution, title, explain)
        for name, (title, explain) in _ATTRIBUTIONS.items()
    },
    "attributions": _all_attributions,
    "dream": _dream,
    "receptive-field": _receptive_field,
    "embedding": _embedding,
    "neighbors": _neighbors,
    "curves": _curves,
    "confusion": _confusion,
    "most-confused": lambda request: plots.most_confused(request.errors()[1]),
    "mistakes": _mistakes,
    "classes": lambda request: plots.class_scores(request.errors()[1]),
    "reliability": lambda request: plots.reliability_diagram(request.errors()[1].reliability()),
    "slices-brightness": functools.partial(_slices, "brightness", insight.brightness),
    "slices-size": functools.partial(_slices, "size of the subject", insight.subject_size),
    **{
        name.replace("_", "-"): functools.partial(_result, name)
        for kind in _KINDS
        for name in RESULTS[kind]
    },
    "changes": _changes,
    "movements": _movements,
    "changed-kernels": _changed_kernels,
}

"""The pictures that ``jaxcnn show`` draws, by their names."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, insight, models, training
from jaxcnn.cli.trained_models import load_trained
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.insight import Diagram, Errors, plots
from jaxcnn.insight.layers_shown import first_kernel, layers_to_show
from jaxcnn.insight.plots import Drawing
from jaxcnn.recipes.run_images import NamedImages, load_images, read_pictures
from jaxcnn.training.history_file import read_history
from jaxcnn.training.models_of_checkpoints import checkpoint_models
from jaxcnn.training.run_description import Run

# Training images among which the nearest ones are searched.
_MOST_SEARCHED = 5_000


@dataclass(frozen=True)
class Subject:
    """What is shown: a run, or a network of the zoo.

    Attributes:
      described: Description of the run, or of the network as if of one.
      model: The model.
      folder: Folder of the run, if it is one.
    """

    described: Run
    model: nnx.Module
    folder: Path | None

    @classmethod
    def of(cls, name: str, model: str | None, weights: str | None) -> "Subject":
        """Return the subject of a name.

        Args:
          name: Folder of a run, or name of a network.
          model: Name of the network of a run that does not describe it.
          weights: Weights of the network, if `name` is one; ``None`` draws them at random.

        Raises:
          ValueError: there is no such run or network.
        """
        if weights is not None:
            return cls(*load_trained(None, name, weights), folder=None)
        if Path(name).exists():
            return cls(*load_trained(Path(name), model, None), folder=Path(name))
        network, shape = models.create(name), models.input_shape(name)
        names = tuple(str(number) for number in range(network.output_shape(shape)[-1]))
        framing = Framing(shape, any_size=True)
        described = Run(name, {}, shape, names, framing, data=None, metrics={})
        return cls(described, network.build(shape, rngs=nnx.Rngs(0)), folder=None)


@dataclass(frozen=True)
class Request:
    """The options of ``jaxcnn show``.

    Attributes:
      subject: What is shown.
      files: Picture files to show it for; none means images of the run.
      layer: A path, or ``None``.
      target: Name or number of a class, or ``None`` for the predicted one.
      count: Number of images, kernels or channels.
      method: How an embedding is projected.
      other: Folder of the run that it is compared with; ``None`` means its earliest checkpoint.
      data, split, data_dir: Another data set than that of the run.
      seed: Seed of random numbers.
    """

    subject: Subject
    files: tuple[Path, ...] = ()
    layer: str | None = None
    target: str | None = None
    count: int | None = None
    method: str = "pca"
    other: Path | None = None
    data: str | None = None
    split: str | None = None
    data_dir: Path | None = None
    seed: int = 0

    @property
    def model(self) -> nnx.Module:
        """The model."""
        return self.subject.model

    @property
    def key(self) -> jax.Array:
        """The key of random numbers."""
        return jax.random.key(self.seed)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.subject.described.input_shape

    def load(self, split: str | None) -> NamedImages:
        """Return images of the data set, of a split or the one that was asked for."""
        return load_images(
            self.subject.described,
            self.subject.folder,
            source=self.data,
            split=self.split or split,
            data_dir=self.data_dir,
        )

    @functools.cached_property
    def images(self) -> np.ndarray:
        """The images of the files, or the first held-out ones."""
        if self.files:
            return read_pictures(self.subject.described, self.files)[0]
        first: np.ndarray = np.asarray(self.load(None).data.images[: self.count or 4])
        return first

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """The predictions for the images."""
        return training.predict(self.model, self.images)

    def classes(self) -> Any:
        """Return the class that is explained of each image."""
        if self.target is None:
            return self.probabilities.argmax(axis=-1)
        return self.number_of(self.target)

    def number_of(self, target: str) -> int:
        """Return the number of a class that is given by its name or number."""
        names = self.subject.described.class_names
        if target.isdecimal() and target not in names and int(target) < len(names):
            return int(target)
        return names.index(arguments.check_choice("--class", target, names))

    def titles(self, classes: Any) -> list[str]:
        """Return the explained class of each image with its probability."""
        names = self.subject.described.class_names
        rows = np.broadcast_to(np.asarray(classes), len(self.images))
        shares = np.take_along_axis(self.probabilities, rows[:, None], axis=1)[:, 0]
        return [f"{names[row]} {share:.1%}" for row, share in zip(rows, shares, strict=True)]

    def errors(self, model: nnx.Module | None = None) -> tuple[np.ndarray, Errors]:
        """Return the held-out images, and the predictions of the model, or of another one."""
        data = self.load(None).data
        probabilities = training.predict(model or self.model, data.images)
        return np.asarray(data.images), insight.classification_errors(
            data.labels, probabilities, data.class_names
        )

    @functools.cached_property
    def before(self) -> nnx.Module:
        """The model that the subject is compared with."""
        if self.other is not None:
            return load_trained(self.other, None, None)[1]
        if self.subject.folder is None:
            raise ValueError("this picture compares two runs: give the other one as --other")
        first, *others = checkpoint_models(self.subject.folder, into=self.model)
        if not others:
            raise ValueError(
                f"the run in {str(self.subject.folder)!r} keeps one checkpoint, its last: give "
                "another run as --other"
            )
        return first.model


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
    maps = {name: explain(request, classes) for name, explain in _ATTRIBUTIONS.values()}
    return plots.attribution_maps(request.images, maps, titles=request.titles(classes))


def _dream(request: Request) -> Drawing:
    if request.layer is None:
        wanted = layers_to_show(request.model, request.input_shape)
        layers = [wanted[place] for place in np.linspace(0, len(wanted) - 1, 3).round().astype(int)]
    else:
        layers = request.layer.split(",")
    found, titles = {}, {}
    for layer in dict.fromkeys(layers):
        channels: Sequence[int] = range(request.count or 6)
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
    images = np.asarray(data.images[: request.count or 1_000])
    points = insight.project(
        insight.embed(request.model, images, layer=request.layer),
        method=request.method,
        seed=request.seed,
    )
    return plots.thumbnails(images, points, data.labels[: len(images)], data.class_names)


def _neighbors(request: Request) -> Drawing:
    known = request.load("training").data
    images, labels = known.images[:_MOST_SEARCHED], known.labels[:_MOST_SEARCHED]
    embed = functools.partial(insight.embed, request.model, layer=request.layer)
    found = insight.nearest_images(embed(images), embed(request.images), count=6)
    return plots.nearest_neighbors(
        request.images, request.probabilities, images, labels, found, known.class_names
    )


def _mistakes(request: Request) -> Drawing:
    images, errors = request.errors()
    worst = errors.mistakes[: request.count or 16]
    maps = None
    if worst:
        predicted = np.array([mistake.predicted for mistake in worst])
        rows = [mistake.row for mistake in worst]
        maps = np.asarray(insight.grad_cam(request.model, images[rows], predicted))
    return plots.worst_mistakes(images, errors, most=request.count or 16, maps=maps)


def _confusion(request: Request) -> Drawing:
    _, errors = request.errors()
    return plots.confusion(errors.matrix, errors.class_names)


def _curves(request: Request) -> Drawing:
    if request.subject.folder is None:
        raise ValueError("curves are those of a run: give its folder")
    return plots.learning_curves(read_history(request.subject.folder))


def _slices(request: Request) -> Drawing:
    images, errors = request.errors()
    return plots.accuracy_of_slices(errors.slices(insight.brightness(images), name="brightness"))


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
    "slices": _slices,
    "changes": _changes,
    "movements": _movements,
    "changed-kernels": _changed_kernels,
}

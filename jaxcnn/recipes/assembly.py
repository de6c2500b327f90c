"""The parts of a training that a recipe names: data, model, task."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flax import nnx

from jaxcnn import augment as augmentations
from jaxcnn import data as datasets
from jaxcnn import models
from jaxcnn.data import Dataset, Description, Stream
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.labels import LabelTask
from jaxcnn.layers import Layer
from jaxcnn.models.registry import find_input_shape, options_for
from jaxcnn.recipes.first_weights import FirstWeights
from jaxcnn.recipes.minimization import prefix_errors
from jaxcnn.recipes.schema import DataOptions, Recipe
from jaxcnn.training.placement import Devices
from jaxcnn.training.task import Task

# The metrics of a recipe that names none.
_METRICS: dict[LabelTask, tuple[str, ...]] = {
    "classify": (),
    "segment": ("mean_iou",),
    "detect": ("map", "map_50"),
    "regress": ("mean_absolute_error", "r2"),
}


@dataclass(frozen=True)
class Assembly:
    """A training that is ready to start.

    Attributes:
      recipe: The recipe, with everything decided that it left open.
      network: Description of the model.
      options: Options of the model.
      task: The training task; its validation images are the recipe's test images.
      test: The held-out images; of videos with as many clips as the recipe says.
      framing: Size and position of the subjects in the training images.
      fresh: Names of the parameters that are not from the weights that the recipe names.
    """

    recipe: Recipe
    network: Layer
    options: Mapping[str, Any]
    task: Task
    test: Dataset
    framing: Framing
    fresh: tuple[str, ...]


def assemble(recipe: Recipe, *, resumes: bool = False, devices: Devices = "all") -> Assembly:
    """Load the data of a recipe and build its model.

    Args:
      recipe: The recipe.
      resumes: Whether a checkpoint replaces the first weights, so that the run that they are from
        is not needed.
      devices: As for :func:`jaxcnn.fit`.

    Raises:
      TypeError: an option does not fit the data.
      ValueError: there is no such data, or an option does not fit it.
    """
    if recipe.model.weights == "":
        raise ValueError(
            "this recipe starts from the weights of a run: give its folder as model.weights, such "
            "as --weights runs/first, or a file of published weights"
        )
    with prefix_errors("model", "."):
        recipe.model.check()
    known = datasets.describe(
        recipe.data.source, data_dir=recipe.data.data_dir, frames=recipe.data.frames
    )
    first = FirstWeights() if resumes else FirstWeights.of(recipe.model)
    recipe = _decide(recipe, known, first)
    stored, train, validation, test = _load(recipe.data, known, _channels(recipe.model.options))
    sample = train.sample
    recipe = _decide_task(recipe, sample)
    training = recipe.training
    recipe = _respect_padding(recipe, sample)
    options = options_for(recipe.model.name, recipe.model.options, _outputs(sample))
    network = first.network(recipe.model.name, options)
    model = network.build(sample.image_shape, rngs=nnx.Rngs(training.seed))
    model = models.prepare(recipe.model.name, model, sample.images)
    model, fresh = first.load(network, model)
    weights = datasets.class_weights(train).tolist() if recipe.loss.balance else None
    task = Task(
        model=model,
        data=train,
        validation=validation,
        optimizer=recipe.optimizer.make(
            epochs=training.epochs,
            steps_per_epoch=training.steps_per_epoch
            or datasets.steps_per_epoch(train, training.batch_size),
            freeze=recipe.model.freeze,
        ),
        loss=recipe.loss.make(weights),
        augment=recipe.data.augment,
        mix=recipe.data.mixing(),
        metrics=training.make_metrics(),
        devices=devices,
        options=training,
    )
    framing = Framing.measure(
        stored,
        any_size=known.image_shape is None or train is not sample,
        value_range=recipe.data.value_range,
        resizing=recipe.data.resizing,
    )
    return Assembly(recipe, network, options, task, test, framing, fresh)


def _decide(recipe: Recipe, known: Description, first: FirstWeights) -> Recipe:
    """Return the recipe with everything decided that it left open."""
    left_open = {
        name: value for name, value in first.data.items() if getattr(recipe.data, name) is None
    }
    if recipe.data.aspect not in (None, "crop"):
        left_open.pop("crop_share", None)
    given = dataclasses.replace(recipe.data, **left_open)
    weights = recipe.model.weights
    if weights is not None and Path(weights).exists():
        weights = _absolute(weights)
    options = {**first.options, **recipe.model.options}
    model = dataclasses.replace(recipe.model, options=options, weights=weights)
    is_auto = given.augment == "auto"
    # The run is used from other folders too.
    source = given.source
    if known.kind not in ("digits", "tfds"):
        source = _absolute(source)
    data = dataclasses.replace(
        given,
        source=source,
        data_dir=given.data_dir and _absolute(given.data_dir),
        cache_dir=given.cache_dir and _absolute(given.cache_dir),
        train=given.train or known.train,
        test=given.test or known.test,
        sample_rate=given.sample_rate or known.sample_rate,
        image_size=given.image_size or _image_size(recipe.model.name, known),
        **dataclasses.asdict(given.resizing),
        augment=augmentations.default_name(given.source) if is_auto else given.augment,
    )
    return dataclasses.replace(recipe, model=model, data=data)


def _decide_task(recipe: Recipe, data: Dataset) -> Recipe:
    """Return the recipe with the task, the loss and the metrics that the labels decide."""
    if recipe.task not in ("auto", data.task):
        raise ValueError(
            f"task must be that of the labels, {data.task!r} for labels of kind {data.kind!r}. "
            f"Received: task={recipe.task!r}"
        )
    training = recipe.training
    if training.metrics is None:
        training = dataclasses.replace(training, metrics=_METRICS[data.task])
    loss = recipe.loss.of(data)
    return dataclasses.replace(recipe, task=data.task, loss=loss, training=training)


def _respect_padding(recipe: Recipe, data: Dataset) -> Recipe:
    """Return the recipe with a masked network for series of several lengths, if it can be one."""
    name, options = recipe.model.name, recipe.model.options
    if data.lengths is None or "masked" not in models.option_names(name):
        return recipe
    model = dataclasses.replace(recipe.model, options={"masked": True, **options})
    return dataclasses.replace(recipe, model=model)


def _image_size(model: str, known: Description) -> tuple[int, int] | None:
    """Return the size of the images for a model; ``None`` for series.

    It is the model's own, but that of images of one size where each of their positions counts.
    """
    stored, own = known.image_shape, find_input_shape(model)
    if stored is not None and (len(stored) == 2 or known.task in ("segment", "detect")):
        own = None
    shape = own or stored or models.input_shape(model)  # the last for pictures of several sizes
    if len(shape) == 2:
        return None
    height, width = shape[-3:-1]
    return height, width


def _outputs(data: Dataset) -> int:
    """Return the number of outputs for the labels: the classes, or the numbers of an image."""
    return data.labels.shape[-1] if data.kind == "numbers" else len(data.class_names)


def _channels(options: Mapping[str, Any]) -> int | None:
    """Return the channels of the images that a model normalizes; ``None`` if it takes any."""
    mean, _ = options.get("normalize") or ((), ())
    return len(mean) or None


def _absolute(path: str) -> str:
    if "://" in path:  # a bucket, which TensorFlow Datasets opens
        return path
    return str(Path(path).expanduser().absolute())


def _load(
    given: DataOptions, known: Description, channels: int | None
) -> tuple[Dataset, Dataset | Stream, Dataset, Dataset]:
    """Return the training images as they are stored, and all sets at the recipe's size.

    The first set of a stream is its sample. The third set is the fourth one with a single clip of
    each video.
    """
    size = given.image_size
    resizing = dataclasses.asdict(given.resizing)
    load = functools.partial(
        datasets.load,
        given.source,
        **resizing,
        on_error=given.on_error,
        value_range=given.value_range,
        data_dir=given.data_dir,
        cache_dir=given.cache_dir,
        **given.forms(),
    )
    streamed: dict[str, Any] = {
        "stream": given.stream,
        "random_crop": given.random_crop,
        "channels": channels,
    }
    # Framing is measured on images as they are stored; pictures of several sizes are stored at one.
    at_once = known.image_shape is None or given.stream or given.random_crop is not None
    train = load(split=given.train, image_size=size if at_once else None, **streamed)
    stored, resized = train.sample, train
    if train is not stored:
        channels = stored.image_shape[-1]  # so that the test images alone are decoded
        if not at_once:
            resized = load(split=given.train, image_size=size, **streamed | {"stream": True})
            stored = resized.sample
    elif not at_once and size is not None:
        resized = stored.resize(size, **resizing)
    load = functools.partial(load, stream=False, channels=channels)
    test = load(split=given.test, image_size=size)
    validation = datasets.match_classes(test, stored.class_names)
    if given.clips == 1:
        return stored, resized, validation, validation
    clips = load(split=given.test, image_size=size, clips=given.clips)
    return stored, resized, validation, datasets.match_classes(clips, stored.class_names)

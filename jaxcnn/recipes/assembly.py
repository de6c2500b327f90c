"""What a recipe calls for, put together: data, model and the options of ``fit``."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx, traverse_util

from jaxcnn import augment as augmentations
from jaxcnn import data as datasets
from jaxcnn import models
from jaxcnn.data import Dataset, Description
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.data.pictures import Framing
from jaxcnn.layers import Layer
from jaxcnn.recipes.run import flat, read_weights
from jaxcnn.recipes.schema import DataOptions, Recipe
from jaxcnn.training.forward import to_float

# So many images show what whitening needs to know.
_WHITENED = 5_000
# The paper's 5e-4, for images of variance 1; that of pixels between 0 and 1 is about a 16th.
_SMALLEST_VARIANCE = 3e-5


class Assembled(NamedTuple):
    """A training that is ready to begin.

    Attributes:
      recipe: The recipe, with what it left open decided.
      network: The description of the model.
      model: The module, with its first weights.
      train: What is trained on.
      test: What is held out.
      framing: How the images show their subjects.
      options: For :func:`jaxcnn.fit`, besides model, data and what concerns the run's folder.
      fresh: Names of the parameters that did not come from the weights that the recipe names.
    """

    recipe: Recipe
    network: Layer
    model: nnx.Module
    train: Dataset
    test: Dataset
    framing: Framing
    options: dict[str, Any]
    fresh: tuple[str, ...]


def assemble(recipe: Recipe, *, goes_on: bool = False) -> Assembled:
    """Loads the data of a recipe and builds its model.

    Args:
      recipe: What to train.
      goes_on: Whether a checkpoint takes the place of the first weights, so that the run which
        they are from is not needed any more.

    Raises:
      TypeError: an option does not fit the data.
      ValueError: there is no such data, or an option does not fit it.
    """
    if recipe.model.weights == "":
        raise ValueError(
            "this recipe goes on from a run's weights: give its folder as model.weights, such as "
            "--set model.weights=runs/first"
        )
    known = datasets.describe(recipe.data.source, data_dir=recipe.data.data_dir)
    recipe = _decided(recipe, known)
    training = recipe.training
    stored, train, test = _load(recipe.data, known)
    classes = {"num_classes": len(train.class_names)}
    network = models.create(recipe.model.name, **(classes | recipe.model.options))
    model = network.build(train.image_shape, rngs=nnx.Rngs(training.seed))
    if recipe.model.whiten:
        images = to_float(train.images[:_WHITENED])
        model = models.whiten(model, images, epsilon=_SMALLEST_VARIANCE)
    fresh: tuple[str, ...] = ()
    if recipe.model.weights is not None and not goes_on:
        model, fresh = start_from(model, recipe.model.weights)
    weights = datasets.class_weights(train).tolist() if recipe.loss.balance else None
    options = {
        "validation": test,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "optimizer": recipe.optimizer.make(
            epochs=training.epochs,
            steps_per_epoch=datasets.steps_per_epoch(train, training.batch_size),
            freeze=recipe.model.freeze,
        ),
        "loss": recipe.loss.make(weights),
        "augment": recipe.data.augment,
        "mix": recipe.data.mixing(),
        "balanced": recipe.data.balanced,
        "precision": training.precision,
        "accumulate": training.accumulate,
        "average": training.average,
        "on_nan": training.on_nan,
        "metrics": training.measured(),
        "monitor": training.watched(),
        "patience": training.patience,
        "min_improvement": training.min_improvement,
        "restore_best": training.restore_best,
        "seed": training.seed,
    }
    framing = Framing.measure(stored)
    return Assembled(recipe, network, model, train, test, framing, options, fresh)


def start_from(model: nnx.Module, folder: str | Path) -> tuple[nnx.Module, tuple[str, ...]]:
    """Returns a model with the weights of a run, where name and shape are the same.

    Args:
      model: With weights of its own; it stays as it is.
      folder: The run's.

    Returns:
      The model, and the names of the parameters that kept their own weights.

    Raises:
      ValueError: there is no run, it is damaged, or none of its weights fit.
    """
    graphdef, state = nnx.split(model)
    own, given = flat(state), read_weights(folder)
    fitting = {
        name: given[name].astype(weight.dtype)
        for name, weight in own.items()
        if name in given and given[name].shape == weight.shape
    }
    if not fitting:
        raise ValueError(
            f"no weight of {str(folder)!r} has the name and shape of one of the model: is it the "
            f"same network? Received: {', '.join(sorted(given)[:3])}, …"
        )
    merged = traverse_util.unflatten_dict(own | fitting, sep=".")
    return nnx.merge(graphdef, merged), tuple(sorted(own.keys() - fitting.keys()))


def _decided(recipe: Recipe, known: Description) -> Recipe:
    """Returns a recipe that leaves nothing open."""
    given = recipe.data
    suits = given.augment == "auto"
    height, width, *_ = given.image_size or models.input_shape(recipe.model.name)
    data = dataclasses.replace(
        given,
        train=given.train or known.train,
        test=given.test or known.test,
        image_size=(height, width),
        augment=augmentations.default_name(given.source) if suits else given.augment,
    )
    return dataclasses.replace(recipe, data=data)


def _load(given: DataOptions, known: Description) -> tuple[Dataset, Dataset, Dataset]:
    """Returns the training images as they are stored, and both sets at the recipe's size."""
    size = given.image_size
    assert size is not None
    load = functools.partial(
        datasets.load,
        given.source,
        on_error=given.on_error,
        data_dir=given.data_dir,
        cache_dir=given.cache_dir,
    )
    # A set is measured as it is stored; pictures of several sizes are stored at one.
    stored = load(split=given.train, image_size=size if known.image_shape is None else None)
    check_class_per_image(stored.labels, "jaxcnn train")
    test = load(split=given.test, image_size=size)
    return stored, stored.resize(size), datasets.match_classes(test, stored.class_names)

"""Pictures of a model and images that both the report and the command line draw."""

from typing import Any

import numpy as np
from flax import nnx

from jaxcnn.data import Dataset
from jaxcnn.data.images import Images
from jaxcnn.data.labels import check_class_per_image
from jaxcnn.insight import Errors, embed, grad_cam, nearest_images, plots
from jaxcnn.insight.plots import Drawing

# Training images among which the nearest ones are searched, and how many are shown.
_MOST_SEARCHED, _NEIGHBORS = 5_000, 6


def draw_mistakes(model: nnx.Module, images: Images, errors: Errors, *, most: int = 16) -> Drawing:
    """Draw the most confident mistakes with the Grad-CAM of the predicted class.

    Args:
      model: The model.
      images: ``(N, *spatial, C)`` the images of the errors.
      errors: The predictions of the model for them.
      most: Number of images at the most.
    """
    worst, maps = errors.mistakes[:most], None
    if worst:
        predicted = np.array([mistake.predicted for mistake in worst])
        rows = [mistake.row for mistake in worst]
        maps = np.asarray(grad_cam(model, np.asarray(images)[rows], predicted))
        if np.ndim(images) == 5:
            maps = plots.as_strips(maps[..., None])[..., 0]
    return plots.worst_mistakes(plots.as_strips(images), errors, most=most, maps=maps)


def draw_neighbors(
    model: nnx.Module,
    queries: Images,
    probabilities: np.ndarray,
    known: Dataset,
    *,
    layer: str | None = None,
) -> Drawing:
    """Draw images beside the training images with the most similar features.

    Args:
      model: The model.
      queries: ``(N, *spatial, C)``.
      probabilities: ``(N, classes)`` the predictions for them.
      known: The training images, of which the first 5,000 are searched.
      layer: As for :func:`jaxcnn.insight.embed`.

    Raises:
      ValueError: training images do not have one class each.
    """
    check_class_per_image(known.labels, "this picture")
    images, labels = known.images[:_MOST_SEARCHED], known.labels[:_MOST_SEARCHED]
    features: Any = [embed(model, part, layer=layer) for part in (images, queries)]
    found = nearest_images(*features, count=_NEIGHBORS)
    return plots.nearest_neighbors(
        plots.as_strips(queries),
        probabilities,
        plots.as_strips(images),
        labels,
        found,
        known.class_names,
    )

"""What a trained model predicts for held-out images, and the pictures of it, by the labels."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
from flax import nnx

from jaxcnn import training
from jaxcnn.data import Dataset
from jaxcnn.data.labels import LabelKind, check_class_per_image
from jaxcnn.data.object_boxes import to_rows
from jaxcnn.insight import (
    DetectionErrors,
    Errors,
    classification_errors,
    detection_errors,
    image_iou,
    plots,
)
from jaxcnn.insight.plots import Drawing
from jaxcnn.training import DetectionScores, average_precision
from jaxcnn.training.prediction import likeliest


class HeldOutResults:
    """The predictions of a model for a data set; each part is computed when it is first used.

    Attributes:
      model: The model.
      data: The images and labels.
    """

    def __init__(self, model: nnx.Module, data: Dataset) -> None:
        """Store the model and the data."""
        self.model, self.data = model, data

    @functools.cached_property
    def predictions(self) -> np.ndarray:
        """What :func:`jaxcnn.predict` returns for the images."""
        return training.predict(self.model, self.data.images)

    @functools.cached_property
    def errors(self) -> Errors:
        """The errors of a classifier.

        Raises:
          ValueError: images do not have one class each.
        """
        check_class_per_image(self.data.labels, "this part")
        return classification_errors(self.data.labels, self.predictions, self.data.class_names)

    @functools.cached_property
    def label_counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each of several classes the images that have it, those predicted, and both."""
        found, truth = self.predictions > 0.5, np.asarray(self.data.labels, bool)
        return truth.sum(axis=0), found.sum(axis=0), (truth & found).sum(axis=0)

    @functools.cached_property
    def classes(self) -> np.ndarray:
        """The likeliest class at each position, ``(N, H, W)`` uint8 or int32."""
        return training.predict(self.model, self.data.images, activation=likeliest)

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The intersection over union of each class, ``(classes,)``, over all positions."""
        # All pictures together are one.
        whole = [np.reshape(each, (1, -1)) for each in (self.classes, self.data.labels)]
        return image_iou(whole[0], whole[1], len(self.data.class_names))[0]

    @functools.cached_property
    def boxes(self) -> np.ndarray:
        """The boxes to find, ``(N, M, 6)``."""
        return to_rows(self.data.labels)

    @functools.cached_property
    def detection_errors(self) -> DetectionErrors:
        """The errors of a detector."""
        return detection_errors(self.predictions, self.boxes, self.data.class_names)

    @functools.cached_property
    def detection_scores(self) -> DetectionScores:
        """The average precisions of a detector."""
        return average_precision(self.predictions, self.boxes, len(self.data.class_names))


def _worst_mistakes(results: HeldOutResults) -> Drawing:
    return plots.worst_mistakes(plots.as_strips(results.data.images), results.errors)


def _worst_segmentations(results: HeldOutResults) -> Drawing:
    data = results.data
    return plots.worst_segmentations(
        data.images, results.classes, data.labels, class_names=data.class_names
    )


def _segmentations(results: HeldOutResults) -> Drawing:
    data = results.data
    return plots.segmentation(
        data.images[:6], results.classes[:6], data.labels[:6], class_names=data.class_names
    )


def _worst_detections(results: HeldOutResults) -> Drawing:
    return plots.worst_detections(results.data.images, results.detection_errors)


def _detections(results: HeldOutResults) -> Drawing:
    data = results.data
    return plots.detections(
        data.images[:12], results.predictions[:12], results.boxes[:12], class_names=data.class_names
    )


def _precision_recall(results: HeldOutResults) -> Drawing:
    names = results.data.class_names
    return plots.precision_recall(results.detection_scores, class_names=names)


def _predicted_values(results: HeldOutResults) -> Drawing:
    return plots.predicted_values(
        results.data.labels, results.predictions, results.data.class_names
    )


# The pictures of a finished run, in the order in which they are read, by their file names.
PICTURES: Mapping[LabelKind, Mapping[str, Callable[[HeldOutResults], Drawing]]] = {
    "class": {
        "confusion_matrix": lambda results: plots.confusion(
            results.errors.matrix, results.data.class_names
        ),
        "worst_mistakes": _worst_mistakes,
    },
    "several": {},
    "positions": {
        "class_iou": lambda results: plots.class_iou(results.iou, results.data.class_names),
        "worst_segmentations": _worst_segmentations,
        "segmentations": _segmentations,
    },
    "boxes": {
        "precision_recall": _precision_recall,
        "detection_errors": lambda results: plots.detection_errors(results.detection_errors),
        "detections": _detections,
        "worst_detections": _worst_detections,
    },
    "numbers": {"predicted_values": _predicted_values},
}

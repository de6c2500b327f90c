"""Pictures in one style, of numbers that were computed before: Matplotlib figures, animations."""

from jaxcnn.insight.plots.animation import Animation
from jaxcnn.insight.plots.attributions import attribution_maps
from jaxcnn.insight.plots.boxes import (
    detection_errors,
    detections,
    precision_recall,
    worst_detections,
)
from jaxcnn.insight.plots.comparisons import changed_images, kernels_before_and_after, movements
from jaxcnn.insight.plots.curves import comparison, learning_curves, learning_rate_search
from jaxcnn.insight.plots.drawing import Drawing
from jaxcnn.insight.plots.embeddings import nearest_neighbors, thumbnails
from jaxcnn.insight.plots.examples import as_strips
from jaxcnn.insight.plots.features import receptive_field_map, visualized_features
from jaxcnn.insight.plots.filters import filtered_picture
from jaxcnn.insight.plots.images import augmentations, contact_sheet
from jaxcnn.insight.plots.maps import feature_maps, kernels
from jaxcnn.insight.plots.masks import class_iou, segmentation, worst_segmentations
from jaxcnn.insight.plots.mistakes import confusion, most_confused, worst_mistakes
from jaxcnn.insight.plots.scores import accuracy_of_slices, class_scores, reliability_diagram
from jaxcnn.insight.plots.stacks import feature_map_stacks
from jaxcnn.insight.plots.surfaces import loss_surface
from jaxcnn.insight.plots.values import predicted_values
from jaxcnn.insight.plots.window_steps import sliding_window

__all__ = [
    "Animation",
    "Drawing",
    "accuracy_of_slices",
    "as_strips",
    "attribution_maps",
    "augmentations",
    "changed_images",
    "class_iou",
    "class_scores",
    "comparison",
    "confusion",
    "contact_sheet",
    "detection_errors",
    "detections",
    "feature_map_stacks",
    "feature_maps",
    "filtered_picture",
    "kernels",
    "kernels_before_and_after",
    "learning_curves",
    "learning_rate_search",
    "loss_surface",
    "most_confused",
    "movements",
    "nearest_neighbors",
    "precision_recall",
    "predicted_values",
    "receptive_field_map",
    "reliability_diagram",
    "segmentation",
    "sliding_window",
    "thumbnails",
    "visualized_features",
    "worst_detections",
    "worst_mistakes",
    "worst_segmentations",
]

# The public names, by the file that holds them; each is imported at its first use.

from . import plots
from .accuracy_in_bins import Reliability, Slices, brightness, subject_size
from .class_activation import grad_cam, grad_cam_plus_plus
from .classifier_errors import (
    ClassScores,
    ConfusedPair,
    Errors,
    Mistake,
    classification_errors,
    confused_pairs,
)
from .comparing import Change, Changes, Movement, compare_arrays, compare_errors
from .detector_errors import DetectionErrors, DetectionMistake, detection_errors
from .diagrams import Diagram, diagram
from .effective_receptive_field import MeasuredField, measure_receptive_field
from .embedding import Neighbors, Projection, embed, nearest_images, project
from .feature_visualization import visualize_features
from .filtering import Filtered, WorkedWindow, filter_steps
from .gradient_attribution import gradients, integrated_gradients, smooth_grad
from .hardware import Hardware
from .intermediates import activations
from .loss_plane import LossSurface, loss_surface
from .mask_scores import image_iou
from .occlusion_maps import occlusion
from .scaling_forecast import Forecast
from .summarizing import summarize
from .summary import Summary
from .summary_rows import Row

__all__ = [
    "Change",
    "Changes",
    "ClassScores",
    "ConfusedPair",
    "DetectionErrors",
    "DetectionMistake",
    "Diagram",
    "Errors",
    "Filtered",
    "Forecast",
    "Hardware",
    "LossSurface",
    "MeasuredField",
    "Mistake",
    "Movement",
    "Neighbors",
    "Projection",
    "Reliability",
    "Row",
    "Slices",
    "Summary",
    "WorkedWindow",
    "activations",
    "brightness",
    "classification_errors",
    "compare_arrays",
    "compare_errors",
    "confused_pairs",
    "detection_errors",
    "diagram",
    "embed",
    "filter_steps",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradients",
    "image_iou",
    "integrated_gradients",
    "loss_surface",
    "measure_receptive_field",
    "nearest_images",
    "occlusion",
    "plots",
    "project",
    "smooth_grad",
    "subject_size",
    "summarize",
    "visualize_features",
]

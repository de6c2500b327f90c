"""Training by pure, jit-compiled steps."""

from jaxcnn.training.loop import Epoch, Evaluation, FitResult, evaluate, fit, predict
from jaxcnn.training.metrics import (
    Metric,
    accuracy,
    calibration_error,
    confusion,
    f1,
    mean_iou,
    precision,
    recall,
    top_k,
)
from jaxcnn.training.objective import (
    binary_cross_entropy,
    cross_entropy,
    dice,
    focal,
    huber,
    squared_error,
)
from jaxcnn.training.run import load
from jaxcnn.training.step import Metrics, TrainState, make_eval_step, make_train_step

__all__ = [
    "Epoch",
    "Evaluation",
    "FitResult",
    "Metric",
    "Metrics",
    "TrainState",
    "accuracy",
    "binary_cross_entropy",
    "calibration_error",
    "confusion",
    "cross_entropy",
    "dice",
    "evaluate",
    "f1",
    "fit",
    "focal",
    "huber",
    "load",
    "make_eval_step",
    "make_train_step",
    "mean_iou",
    "precision",
    "predict",
    "recall",
    "squared_error",
    "top_k",
]

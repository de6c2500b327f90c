"""Training by pure, jit-compiled steps."""

from jaxcnn.interchange.model_file import save
from jaxcnn.training.callbacks import history_csv, tensorboard
from jaxcnn.training.clip_averaging import over_clips
from jaxcnn.training.detected_boxes import detections
from jaxcnn.training.detection_loss import detection
from jaxcnn.training.detection_metrics import mean_average_precision
from jaxcnn.training.detection_scores import DetectionScores, average_precision
from jaxcnn.training.evaluation import Evaluation, evaluate, predict
from jaxcnn.training.evaluation_step import make_eval_step
from jaxcnn.training.events import Callback, Ended, EpochEnded, Event, Started, Stepped
from jaxcnn.training.fitting import FitResult, fit
from jaxcnn.training.history import Epoch
from jaxcnn.training.learning_rate_finder import LearningRateSearch, find_learning_rate
from jaxcnn.training.losses import (
    binary_cross_entropy,
    cross_entropy,
    cross_entropy_dice,
    dice,
    focal,
    huber,
    squared_error,
)
from jaxcnn.training.metrics import (
    Metric,
    accuracy,
    calibration_error,
    confusion,
    f1,
    iou,
    mean_iou,
    precision,
    recall,
    top_k,
)
from jaxcnn.training.models_of_checkpoints import CheckpointModel, checkpoint_models
from jaxcnn.training.optimizers import make_optimizer
from jaxcnn.training.options import StepOptions, TrainingOptions
from jaxcnn.training.placement import Placement
from jaxcnn.training.regression_metrics import mean_absolute_error, r2
from jaxcnn.training.run_folder import load
from jaxcnn.training.schedules import make_schedule
from jaxcnn.training.state import Metrics, TrainState
from jaxcnn.training.tiled_prediction import predict_tiles
from jaxcnn.training.training_step import Training, make_training

__all__ = [
    "Callback",
    "CheckpointModel",
    "DetectionScores",
    "Ended",
    "Epoch",
    "EpochEnded",
    "Evaluation",
    "Event",
    "FitResult",
    "LearningRateSearch",
    "Metric",
    "Metrics",
    "Placement",
    "Started",
    "StepOptions",
    "Stepped",
    "TrainState",
    "Training",
    "TrainingOptions",
    "accuracy",
    "average_precision",
    "binary_cross_entropy",
    "calibration_error",
    "checkpoint_models",
    "confusion",
    "cross_entropy",
    "cross_entropy_dice",
    "detection",
    "detections",
    "dice",
    "evaluate",
    "f1",
    "find_learning_rate",
    "fit",
    "focal",
    "history_csv",
    "huber",
    "iou",
    "load",
    "make_eval_step",
    "make_optimizer",
    "make_schedule",
    "make_training",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_iou",
    "over_clips",
    "precision",
    "predict",
    "predict_tiles",
    "r2",
    "recall",
    "save",
    "squared_error",
    "tensorboard",
    "top_k",
]

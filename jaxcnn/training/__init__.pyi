# The public names, by the file that holds them; each is imported at its first use.

from .callbacks import history_csv, tensorboard
from .clip_averaging import over_clips
from .detected_boxes import detections
from .detection_loss import detection
from .detection_metrics import mean_average_precision
from .detection_scores import DetectionScores, average_precision
from .evaluation import Evaluation, evaluate
from .evaluation_step import make_eval_step
from .events import Callback, Ended, EpochEnded, Event, Started, Stepped
from .fitting import FitResult, fit
from .history import Epoch
from .learning_rate_finder import LearningRateSearch, find_learning_rate
from .losses import (
    binary_cross_entropy,
    cross_entropy,
    cross_entropy_dice,
    dice,
    focal,
    huber,
    squared_error,
)
from .metrics import (
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
from .models_of_checkpoints import CheckpointModel, checkpoint_models
from .optimizers import make_optimizer
from .options import StepOptions, TrainingOptions
from .placement import Devices, Placement
from .prediction import predict
from .regression_metrics import mean_absolute_error, r2
from .run_folder import load
from .saving import save
from .schedules import make_schedule
from .several_processes import join_processes
from .state import Metrics, TrainState
from .tiled_prediction import predict_tiles
from .training_step import Training, make_training

__all__ = [
    "Callback",
    "CheckpointModel",
    "DetectionScores",
    "Devices",
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
    "join_processes",
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

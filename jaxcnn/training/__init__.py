"""Training by pure, jit-compiled steps."""

from jaxcnn.training.loop import Epoch, Evaluation, FitResult, evaluate, fit, predict
from jaxcnn.training.objective import cross_entropy
from jaxcnn.training.run import load
from jaxcnn.training.step import Metrics, TrainState, make_eval_step, make_train_step

__all__ = [
    "Epoch",
    "Evaluation",
    "FitResult",
    "Metrics",
    "TrainState",
    "cross_entropy",
    "evaluate",
    "fit",
    "load",
    "make_eval_step",
    "make_train_step",
    "predict",
]

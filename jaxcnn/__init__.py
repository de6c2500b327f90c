"""Convolutional networks in JAX as plain functions."""

from jaxcnn import data, insight, models, modules, ops, shapes, training
from jaxcnn.data import Batch, Dataset
from jaxcnn.insight import summarize
from jaxcnn.layers import (
    Layer,
    avg_pool,
    conv,
    dense,
    dropout,
    flatten,
    function,
    max_pool,
    serial,
)
from jaxcnn.training import (
    TrainState,
    evaluate,
    fit,
    load,
    make_eval_step,
    make_train_step,
    predict,
)

__all__ = [
    "Batch",
    "Dataset",
    "Layer",
    "TrainState",
    "avg_pool",
    "conv",
    "data",
    "dense",
    "dropout",
    "evaluate",
    "fit",
    "flatten",
    "function",
    "insight",
    "load",
    "make_eval_step",
    "make_train_step",
    "max_pool",
    "models",
    "modules",
    "ops",
    "predict",
    "serial",
    "shapes",
    "summarize",
    "training",
]

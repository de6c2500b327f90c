"""Labelled images: where they come from, and how they travel to the training step."""

from jaxcnn.data.augment import random_shift
from jaxcnn.data.batches import Batch, batches, prefetch, steps_per_epoch
from jaxcnn.data.dataset import Dataset, one_hot, storage_bytes
from jaxcnn.data.sampling import balanced_order, class_weights, k_fold, stratified_split
from jaxcnn.data.sources import load

__all__ = [
    "Batch",
    "Dataset",
    "balanced_order",
    "batches",
    "class_weights",
    "k_fold",
    "load",
    "one_hot",
    "prefetch",
    "random_shift",
    "steps_per_epoch",
    "storage_bytes",
    "stratified_split",
]

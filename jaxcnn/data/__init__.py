"""Labelled images: where they come from, and how they travel to the training step."""

from jaxcnn.data.augment import random_shift
from jaxcnn.data.batches import Batch, batches
from jaxcnn.data.dataset import Dataset, one_hot, storage_bytes
from jaxcnn.data.sources import load

__all__ = [
    "Batch",
    "Dataset",
    "batches",
    "load",
    "one_hot",
    "random_shift",
    "storage_bytes",
]

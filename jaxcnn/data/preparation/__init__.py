"""Preparation of public data sets: download, check, and write for TensorFlow Datasets."""

from jaxcnn.data.preparation.catalog import CATALOG, Entry, File, Split, available
from jaxcnn.data.preparation.install import prepare

__all__ = ["CATALOG", "Entry", "File", "Split", "available", "prepare"]

"""Public data sets: fetched, checked, and written so that TensorFlow Datasets reads them."""

from jaxcnn.data.preparation.catalog import CATALOG, Entry, File, Split, available
from jaxcnn.data.preparation.install import prepare

__all__ = ["CATALOG", "Entry", "File", "Split", "available", "prepare"]

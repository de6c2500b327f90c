"""Data sets of labeled images: loading, splits, sampling and batches."""

import lazy_loader

# A prediction needs no data sets; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

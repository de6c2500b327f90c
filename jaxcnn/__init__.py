"""Convolutional networks in JAX as plain functions."""

import lazy_loader

# Each room is imported at the first use of one of its names, so that the command line starts at
# once; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"

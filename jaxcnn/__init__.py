"""Convolutional networks in JAX as plain functions."""

import lazy_loader

from jaxcnn import other_names

# Each room is imported at the first use of one of its names, so that the command line starts at
# once; the names stand in __init__.pyi.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in __dir__():
        raise other_names.explain_attribute(__name__, name, __dir__())
    return _load(name)

"""Looking into networks: sizes, activations, what they attend to, and their errors."""

import lazy_loader

# A summary needs no training and no plots, and starts at once; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

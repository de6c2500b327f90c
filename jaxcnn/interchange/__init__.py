"""Weights and models from other libraries, and back."""

import lazy_loader

# Only conversions need other libraries' names; ours stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

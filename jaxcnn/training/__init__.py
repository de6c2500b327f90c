"""Training by pure, jit-compiled steps."""

import lazy_loader

# A prediction needs no loop and no optimizer; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

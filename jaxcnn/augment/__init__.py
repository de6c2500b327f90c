"""Augmentations: random changes of images in the jitted step, ``(key, images) -> images``."""

import lazy_loader

# A prediction needs none of them; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

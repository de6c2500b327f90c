"""A trained network behind HTTP: ``serving.create_app(serving.open_network("runs/digits"))``."""

import lazy_loader

# Starlette and onnxruntime are optional; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Trainings as files, and training them: ``recipes.train("digits", "runs/first")``."""

import lazy_loader

# Only the report needs plots; the names stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
